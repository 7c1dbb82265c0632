package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sampleText is a value that fits the field's type.
func sampleText(f *Field) string {
	switch f.Name {
	case "event.kind":
		return "alert"
	case "event.outcome":
		return "failure"
	case "event.action":
		return "login"
	}
	switch f.Type {
	case Integer:
		return "42"
	case Float32:
		return "2.5"
	case DateTime:
		return "2026-11-22T10:15:32.000Z"
	case IP:
		return "203.0.113.9"
	case Boolean:
		return "true"
	case Place:
		return `{"lat":59.5,"lon":18.25}`
	case Flattened, Stored:
		return `{"a":"b"}`
	}
	return "te\"xt " + f.Name
}

func fill(t testing.TB, e *Event) {
	t.Helper()
	for i := range Fields {
		f := &Fields[i]
		if f.Go == "" || f.Name == "labels" {
			continue
		}
		if err := e.Set(FieldID(i), sampleText(f)); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	e.Label("one", "1")
	e.Label("two.dots", "2")
}

func testEncoder() *Encoder {
	return NewEncoder(EncoderOptions{Namespace: "default", Epoch: strings.Repeat("0", 32), Original: true, Typed: true,
		Agent: AgentInfo{ID: "a", Name: "n", Version: "1", EphemeralID: "x"}})
}

func flatten(prefix string, v any, out map[string]any) {
	if m, ok := v.(map[string]any); ok && len(m) > 0 {
		if id, known := FieldByName(prefix); !known || Fields[id].Type == DateTime {
			for k, x := range m {
				flatten(strings.TrimPrefix(prefix+"."+k, "."), x, out)
			}
			return
		}
	}
	out[prefix] = v
}

// Every field of the table lands at its own path, as a list exactly where the table says so, and nothing else is written.
func TestEveryFieldIsEncodedWhereTheTableSays(t *testing.T) {
	var e Event
	fill(t, &e)
	e.Finish()
	doc := testEncoder().AppendDocument(nil, &e)
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	got := map[string]any{}
	flatten("", v, got)
	for i := range Fields {
		f := &Fields[i]
		x, ok := got[f.Name]
		delete(got, f.Name)
		if f.Name == "event.ingested" {
			continue
		}
		if !ok {
			t.Errorf("%s is not in the document", f.Name)
			continue
		}
		if _, list := x.([]any); list != f.Array {
			t.Errorf("%s: list %v, the table says %v", f.Name, list, f.Array)
		}
	}
	for name := range got {
		t.Errorf("%s is in the document and not in the table", name)
	}
}

// What is encoded comes back the same, by the typed index and by the JSON.
func TestDecodeGivesTheEventBack(t *testing.T) {
	w := testEncoder()
	var full, empty, text Event
	fill(t, &full)
	full.Finish()
	text.Message = "control \x00\x1f, quotes \" \\, \u00e9\u4e16, invalid \xff\xfe"
	text.Time, text.Created, text.Dataset = 1, -1, "gatebook.linux.auth"
	var docs []byte
	typed := AppendTypedHeader(nil)
	var ends []int
	events := []*Event{&full, &empty, &text}
	for i, e := range events {
		docs, typed = w.AppendItem(docs, typed, e, uint64(i))
		ends = append(ends, len(docs))
	}
	for name, index := range map[string][]byte{"typed": typed, "json": nil, "other table": append([]byte("xxxx"), typed[4:]...), "cut": typed[:len(typed)/2]} {
		var d Decoder
		d.Reset(index)
		start := 0
		for i, want := range events {
			var got Event
			if err := d.Next(docs[start:ends[i]], &got); err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			start = ends[i]
			for id := range Fields {
				g, w := got.Get(FieldID(id)), want.Get(FieldID(id))
				switch FieldID(id) {
				case FieldEventId:
					continue
				case FieldMessage:
					w.Str = strings.ToValidUTF8(w.Str, "\ufffd")
					if want == &text {
						w.Str = strings.ReplaceAll(text.Message, "\xff\xfe", "\ufffd\ufffd")
					}
				case FieldTimestamp:
					if want == &empty { // the epoch itself reads as absent
						continue
					}
				}
				if diff := cmp.Diff(w, g, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s, event %d, %s: %s", name, i, Fields[id].Name, diff)
				}
			}
		}
	}
}

// A bulk item is two lines, whatever JSON a field was given, and UTF-8.
func TestRawStaysOnItsLine(t *testing.T) {
	var e Event
	e.Old, e.Changes = "{\n  \"a\": 1,\r\n  \"b\": \"\xff\"\n}", "{\"x\":\n{}}"
	item, _ := NewEncoder(EncoderOptions{}).AppendItem(nil, nil, &e, 1)
	if bytes.Count(item, []byte("\n")) != 2 || bytes.ContainsRune(item, '\r') || !utf8.Valid(item) || !json.Valid(Document(item)) {
		t.Errorf("%q", item)
	}
}

func TestResetLeavesNothing(t *testing.T) {
	var e Event
	fill(t, &e)
	e.Finish()
	e.Reset()
	for id := range Fields {
		if v := e.Get(FieldID(id)); v.Kind != None && FieldID(id) != FieldEventKind && FieldID(id) != FieldEventOutcome {
			t.Errorf("%s is still %v", Fields[id].Name, v)
		}
	}
	e.NeedJob()
	if e.Job.Name != "" {
		t.Error("a rare group kept its content")
	}
}

func TestSetRefusesWhatDoesNotFit(t *testing.T) {
	f := func(name, text, want string) {
		t.Helper()
		var e Event
		id, ok := FieldByName(name)
		if !ok {
			t.Fatalf("no field %s", name)
		}
		if err := e.Set(id, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %q: %v, want %q", name, text, err, want)
		}
	}
	f("source.ip", "not-an-address", `source.ip: "not-an-address" is not of type ip`)
	f("source.ip", "fe80::1%eth0", "not of type ip")
	f("source.port", "x", "not of type long")
	f("event.outcome", "maybe", "not of type keyword")
	f("event.action", "fly", "not of type keyword")
	f("@timestamp", "yesterday", "not of type date")
	f("source.geo.location", `{"lat":91,"lon":0}`, "not of type geo_point")
	f("gatebook.mfa.used", "perhaps", "not of type boolean")
	f("gatebook.old", "{", "not of type object")
	f("ecs.version", "x", "no such field")
}

func TestEscaping(t *testing.T) {
	for c := range 256 {
		for _, pad := range []int{0, 1, 7, 8, 9, 20} {
			s := strings.Repeat("a", pad) + string([]byte{byte(c)}) + strings.Repeat("b", 9)
			b := appendQuoted(nil, s)
			var back string
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatalf("byte %#x: %v in %q", c, err, b)
			}
			if want := strings.ToValidUTF8(s, "\ufffd"); back != want || !utf8.Valid(b) {
				t.Errorf("byte %#x: %q, want %q", c, back, want)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	var c timeCache
	for _, ns := range []int64{0, 1, -1, 999, 1e6, 1e9 - 1, 1e9, 1795342532_123000000, 1795342532_123456789, 1795342532_000000000, -62135596800e9 / 1000} {
		tm := Time(ns)
		got := string(c.append(nil, tm))
		want := tm.String()
		if ns == 0 {
			want = "1970-01-01T00:00:00.000Z"
		}
		if got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}

func TestLabelsOfOneKeyBecomeAList(t *testing.T) {
	got := string(appendLabels(nil, []Label{{"a", "1"}, {"b", "2"}, {"a", "3"}}))
	if want := `{"a":["1","3"],"b":"2"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLabelKey(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := LabelKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("tty", "tty")
	f("a.b c\n\"", "a_b_c__")
	f("", "_")
	f(strings.Repeat("x", 80), strings.Repeat("x", 64))
}

func TestActionNamesAreDistinct(t *testing.T) {
	for _, a := range Actions() {
		i := a.Info()
		if i.Name == "" || i.Category == "" || len(i.Types) == 0 || i.Meaning == "" {
			t.Errorf("action %d is incomplete: %+v", a, i)
		}
		if b, ok := ActionByName(i.Name); !ok || b != a {
			t.Errorf("%s stands twice", i.Name)
		}
	}
}

func sshEvent(e *Event) {
	e.Reset()
	e.Time, e.Created, e.Dataset = 1795342532e9, 1795342540e9, "gatebook.linux.auth"
	e.Message = "Failed password for invalid user admin from 203.0.113.9 port 40022 ssh2"
	e.Original = "Nov 22 10:15:32 web01 sshd[123]: Failed password for invalid user admin from 203.0.113.9 port 40022 ssh2"
	e.Action, e.Outcome, e.Reason = Login, Failure, "invalid user"
	e.Host.Name, e.Process.Name, e.Process.PID = "web01", "sshd", LongOf(123)
	e.Log.Path, e.Log.Offset = "/var/log/auth.log", LongOf(123456)
	e.User.Name, e.UserKey = "admin", "web01/admin"
	e.Source.IP, e.Source.Port = "203.0.113.9", LongOf(40022)
	e.Input, e.Parser = "auth", "linux_auth"
	e.Finish()
}

func BenchmarkEncode(b *testing.B) {
	for _, typed := range []bool{false, true} {
		b.Run(fmt.Sprintf("typed=%v", typed), func(b *testing.B) {
			w := testEncoder()
			w.options.Typed = typed
			var e Event
			var dst, index []byte
			b.ReportAllocs()
			for b.Loop() {
				sshEvent(&e)
				dst, index = w.AppendItem(dst[:0], index[:0], &e, 12345678)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	var e Event
	sshEvent(&e)
	item, typed := testEncoder().AppendItem(nil, AppendTypedHeader(nil), &e, 1)
	for name, index := range map[string][]byte{"typed": typed, "json": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var d Decoder
			for b.Loop() {
				d.Reset(index)
				if err := d.Next(item, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A label that no index would take is cut between characters, and the event says so.
func TestFinishCutsLabels(t *testing.T) {
	var e Event
	e.Label("short", "x")
	e.Label("long", "x"+strings.Repeat("ü", maxLabel))
	e.Finish()
	if got := e.Labels[1].Value; len(got) != maxLabel-1 || !utf8.ValidString(got) || !slices.Contains(e.Tags, "label-cut") {
		t.Errorf("%d bytes, tags %q", len(got), e.Tags)
	}
	e.Reset()
	e.Label("fits", strings.Repeat("x", maxLabel))
	e.Finish()
	if len(e.Labels[0].Value) != maxLabel || len(e.Tags) != 0 {
		t.Errorf("%d bytes, tags %q", len(e.Labels[0].Value), e.Tags)
	}
}
