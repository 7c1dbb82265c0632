package parsers

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
)

// What encoding/csv writes is read back cell by cell.
func TestCSVReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`([a-z",; \t]|é|""){0,8}`), 1, 12).Draw(t, "cells")
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		w.Comma = rapid.SampledFrom([]rune{',', ';', '\t', '|'}).Draw(t, "delimiter")
		if err := w.Write(want); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		line := strings.TrimSuffix(out.String(), "\n")
		got, err := csvFormat{byte(w.Comma), '"'}.split(nil, line)
		if err != nil {
			t.Fatalf("split %q: %v", line, err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("split %q: got %q, want %q", line, got, want)
		}
	})
}

// Where encoding/csv reads a line, we read the same.
func TestCSVAgreesWithTheStandardReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`[ab", ]{1,16}`).Draw(t, "line")
		want, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil {
			return
		}
		got, err := csvFormat{',', '"'}.split(nil, line)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("split %q: got %q (%v), want %q", line, got, err, want)
		}
	})
}

// Every ISO time that package time writes is read as it meant.
func TestISOTimesAgreeWithPackageTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	zones := []*time.Location{time.UTC, berlin, time.FixedZone("", -5*3600-30*60)}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(1, 7e9).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).In(zones[rapid.IntRange(0, 2).Draw(t, "zone")])
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.000000000Z07:00", "2006-01-02T15:04:05.999999999-0700"} {
			text := at.Format(layout)
			got, ok := parseISO(text, berlin)
			if !ok || got.Std().UnixNano() != at.UnixNano() {
				t.Fatalf("%q: got %v, %v", text, got, ok)
			}
			if got, ok := parseISO(text, nil); ok && int64(got) != at.UnixNano() {
				t.Fatalf("strict %q: got %v", text, got)
			}
		}
		text := at.Format("2006-01-02 15:04:05.999999999")
		want, err := time.ParseInLocation("2006-01-02 15:04:05.999999999", text, berlin)
		if got, ok := parseISO(text, berlin); err != nil || !ok || int64(got) != want.UnixNano() {
			t.Fatalf("%q in Berlin: got %v, want %v", text, got, want)
		}
	})
}

func TestTimesThatAreNone(t *testing.T) {
	r := newTimeReader(nil, Options{})
	for _, text := range []string{"", "x", "2026-13-01", "2026-02-29", "2026-00-10", "2026-01-32", "2026-01-10T24:00:00", "2026-01-10T10:60:00",
		"2026-01-10T10:00:61", "2026-01-10T10:00:00.", "2026-01-10T10:00:00+99:00", "2026-01-10T10:00:00+0", "2026-01-10T10:00:00 CEST",
		"2026-01-10x10:00:00", "20260110", "99999999999999999999", "-1", "0", "1e9", "1.5.5"} {
		if at, ok := r.read(text, received); ok && text != "20260110" {
			t.Errorf("%q is read as %v", text, at)
		}
	}
}

func TestUnixTimes(t *testing.T) {
	f := func(unit float64, text, want string) {
		t.Helper()
		if at, ok := parseUnix(text, unit); !ok || at.String() != want {
			t.Errorf("%q: got %v, %v, want %s", text, at, ok, want)
		}
	}
	f(1e9, "1768039200", "2026-01-10T10:00:00.000Z")
	f(1e9, "1768039200.25", "2026-01-10T10:00:00.250Z")
	f(1e6, "1768039200250", "2026-01-10T10:00:00.250Z")
	f(1e3, "1768039200250001", "2026-01-10T10:00:00.250001000Z")
	f(1, "1768039200250000001", "2026-01-10T10:00:00.250000001Z")
	f(0, "1768039200", "2026-01-10T10:00:00.000Z")
	f(0, "1768039200.5", "2026-01-10T10:00:00.500Z")
	f(0, "1768039200250", "2026-01-10T10:00:00.250Z")
	f(0, "1768039200250.5", "2026-01-10T10:00:00.250500000Z")
	f(0, "1768039200250001", "2026-01-10T10:00:00.250001000Z")
	f(0, "1768039200250000001", "2026-01-10T10:00:00.250000001Z")
}

// A line of a file is read by the header of that file, whichever worker comes first, when the source was primed.
func TestPortalHeadersUnderParallelWorkers(t *testing.T) {
	set, _ := build(t, "")
	for _, name := range []string{"payment_portal", "auto"} {
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		var lines []Line
		for i := range 2000 { // more sources than are remembered
			source := fmt.Sprintf("/log/%d", i%20)
			lines = append(lines, Line{Text: "status,entry,user,ip,time", Source: source},
				Line{Text: "5,1,bob,203.0.113.9,2026-01-10 10:00:00", Source: source, Offset: int64(30 + i)})
		}
		for i := range 20 {
			p.(Primer).Prime(fmt.Sprintf("/log/%d", i), "status,entry,user,ip,time")
		}
		rand.New(rand.NewSource(1)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				var ev event.Event
				for i := w; i < len(lines); i += 4 {
					ev.Reset()
					if err := p.Parse(lines[i], &ev); err != nil {
						t.Errorf("%+v: %v", lines[i], err)
					} else if lines[i].Offset > 0 && (ev.Entry.Code.N != 1 || ev.Status.Code.N != 5 || len(ev.Tags) > 0) {
						t.Errorf("%+v: entry %v, status %v, tags %v", lines[i], ev.Entry, ev.Status, ev.Tags)
					}
				}
			})
		}
		wg.Wait()
	}
}

// After a restart in the middle of a file nothing tells the order of its columns: the record says so.
func TestPortalColumnsAssumed(t *testing.T) {
	f := func(config, name string, lines []Line, want []string) {
		t.Helper()
		set, ds := build(t, config)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		var ev event.Event
		for _, l := range lines {
			ev.Reset()
			if err := p.Parse(l, &ev); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(ev.Tags, want) {
			t.Errorf("tags %q, want %q", ev.Tags, want)
		}
	}
	row := Line{Text: "2026-01-10 10:00:00,bob,1,5,203.0.113.9", Source: "/a", Offset: 100}
	first := Line{Text: row.Text, Source: "/a"}
	f("", "payment_portal", []Line{row}, []string{tagColumnsAssumed})
	f("", "payment_portal", []Line{first, row}, nil)
	f(`parser "payment_portal" "p" { columns = ["time", "user", "entry", "status", "ip"] }`, "p", []Line{row}, nil)
}

func TestHeaderBookIsBounded(t *testing.T) {
	var b headerBook
	h := newPortalHeader(portalOrder)
	for i := range 3 * maxSources {
		for o := range 10 {
			b.put(fmt.Sprint(i), int64(o), h)
		}
	}
	if len(b.sources) != maxSources {
		t.Errorf("%d sources", len(b.sources))
	}
	for _, list := range b.sources {
		if len(list) > maxHeaders {
			t.Fatalf("%d headers of one source", len(list))
		}
	}
}

func TestAutoRemembersBounded(t *testing.T) {
	p, err := newAuto("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	for i := range 2 * maxSources {
		ev.Reset()
		if err := p.Parse(Line{Text: "Nov 22 11:00:00 web01 sshd[7]: Server listening on :: port 22.", Received: received, Source: fmt.Sprint(i)}, &ev); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.(*autoParser).sources); n != maxSources {
		t.Errorf("%d sources", n)
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	var c keyCache
	for i := range 4 * maxKeys {
		if got := c.key([]byte(fmt.Sprintf("a.%d", i))); got != fmt.Sprintf("a_%d", i) {
			t.Fatal(got)
		}
	}
	if n := len(*c.keys.Load()); n != maxKeys {
		t.Errorf("%d keys", n)
	}
}

func TestSetGet(t *testing.T) {
	set, ds := build(t, `parser "json" "billing" {}`)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	f := func(name, want string) {
		t.Helper()
		_, err := set.Get(name)
		if got := fmt.Sprint(err); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	f("billing", "<nil>")
	f("linux_auth", "<nil>")
	f("regex", `parser "regex" needs a block: write parser "regex" "NAME" { ... } and name that`)
	f("biling", `there is no parser "biling"; did you mean "billing"?`)
	f("nothing_like_it", `there is no parser "nothing_like_it"; known here: activity_log, apache, auth0, auth_service, auto, billing, daemons, ecs, json, keycloak, linux_auth, logfmt, nginx, okta, payment_portal, raw, syslog, user_activity`)
}

// Every field that a block may set can be set, and lands where it belongs.
func TestEveryFieldCanBeMapped(t *testing.T) {
	samples := map[event.Type]string{event.Integer: "42", event.Float32: "2.5", event.DateTime: "2026-11-22T10:15:32Z", event.IP: "203.0.113.9",
		event.Boolean: "true", event.Place: `{"lat":59.5,"lon":18.25}`, event.Flattened: `{"a":"b"}`, event.Stored: `{"a":"b"}`, event.Keyword: "x", event.Text: "x"}
	for i := range event.Fields {
		id := event.FieldID(i)
		if problem, _ := ownField(id); problem != "" || id == event.FieldEventCategory || id == event.FieldEventType {
			continue
		}
		name, sample := id.Info().Name, samples[id.Info().Type]
		switch id {
		case event.FieldEventAction:
			sample = "login"
		case event.FieldEventOutcome:
			sample = "failure"
		case event.FieldGatebookNotificationBody:
			sample = "x"
		}
		set, ds := build(t, fmt.Sprintf("parser \"json\" \"app\" {\n fields = { %q = \"v\" }\n}", name))
		if len(ds) > 0 {
			t.Errorf("%s: %v", name, ds)
			continue
		}
		p, err := set.Get("app")
		if err != nil {
			t.Fatal(err)
		}
		raw := sample
		if sample[0] != '{' {
			raw = fmt.Sprintf("%q", sample)
		}
		var ev event.Event
		if err := p.Parse(Line{Text: `{"v":` + raw + `}`, Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Get(id).Kind == event.None || slices.Contains(ev.Tags, tagValueRejected) {
			t.Errorf("%s: %v, tags %v, labels %v", name, ev.Get(id), ev.Tags, ev.Labels)
		}
	}
}

// The walk finds in any JSON object what encoding/json finds.
func TestJSONWalkAgreesWithTheStandardDecoder(t *testing.T) {
	p, err := newJSON("", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		obj := rapid.MapOfN(rapid.StringMatching(`[a-m]{1,5}`), rapid.OneOf(
			rapid.Map(rapid.StringMatching(`([a-z"\\/{}\[\], ]|é|\n){1,8}`), func(s string) any { return s }),
			rapid.Map(rapid.IntRange(-9, 99999), func(n int) any { return n }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Just[any](nil),
			rapid.Map(rapid.SliceOfN(rapid.StringMatching(`[a-z"]{1,3}`), 0, 4), func(l []string) any { return l }),
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), rapid.Int16(), 0, 3), func(m map[string]int16) any { return m }),
		), 0, 8).Draw(t, "object")
		text, err := json.MarshalIndent(obj, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{}
		for k, v := range obj {
			switch v := v.(type) {
			case nil:
			case []string:
				want[k] = append(want[k], v...)
			case map[string]int16:
				for k2, n := range v {
					want[k+"_"+k2] = []string{fmt.Sprint(n)}
				}
			default:
				want[k] = []string{fmt.Sprint(v)}
			}
		}
		var ev event.Event
		if err := p.Parse(Line{Text: string(text), Received: received}, &ev); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := map[string][]string{}
		for _, l := range ev.Labels {
			got[l.Key] = append(got[l.Key], l.Value)
		}
		for k, v := range want {
			if len(v) > 0 && !slices.Equal(got[k], v) {
				t.Fatalf("%s: %s: got %q, want %q", text, k, got[k], v)
			}
			delete(got, k)
		}
		if len(got) > 0 {
			t.Fatalf("%s: %q too many", text, got)
		}
	})
}

// A line of brackets must not overflow the stack of the process: that cannot be recovered.
func TestDeepNestingIsRefused(t *testing.T) {
	brackets := `{"o":` + strings.Repeat("[", 8<<20)
	set, ds := build(t, `
parser "json" "j" { fields = { "gatebook.old" = "o" } }
parser "logfmt" "l" { fields = { "gatebook.old" = "o" } }
`)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	for _, name := range []string{"json", "j", "payment_portal", "auto"} {
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		var ev event.Event
		if err := p.Parse(Line{Text: brackets}, &ev); !errors.Is(err, event.ErrTooDeep) && !errors.Is(err, ErrNoMatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := set.Get("l")
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	if err := p.Parse(Line{Text: "o={" + strings.Repeat("[", 8<<20)}, &ev); err != nil || ev.Old != "" || !slices.Contains(ev.Tags, tagValueRejected) {
		t.Errorf("logfmt: %v, tags %v", err, ev.Tags)
	}
}
