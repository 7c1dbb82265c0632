package event

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// What the encoder keeps from event to event never shows in one that says something else.
func TestNothingSticksFromEventToEvent(t *testing.T) {
	w := testEncoder()
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	path := []byte("/var/log/a.log")
	for i := range 5000 {
		path[9] = byte('a' + rng.IntN(3)) // a string over memory that is used again
		var e Event
		e.Time, e.Created = Time(rng.IntN(3))*1e9+Time(rng.IntN(2))*1e6, 1795342540e9+Time(rng.IntN(3))*1e5
		e.Dataset = pick("", "gatebook.a", "gatebook.b\"")
		e.Action, e.Outcome, e.Kind = Action(rng.IntN(int(actionCount))), Outcome(pick("", "success", "failure", "unknown")), Kind(pick("", "", "", "alert"))
		e.Category, e.Type = pick("", "", "file"), pick("", "", "info")
		e.Log.Path = pick("", "/x\"y", unsafe.String(&path[0], len(path)))
		if rng.IntN(2) > 0 {
			e.Log.Offset = LongOf(int64(i))
		}
		e.Input, e.Parser = pick("", "i", "in\"put"), pick("", "p", "parser")
		fresh := testEncoder()
		got, index := w.AppendItem(nil, nil, &e, uint64(i))
		want, wantIndex := fresh.AppendItem(nil, nil, &e, uint64(i))
		if string(got) != string(want) || string(index) != string(wantIndex) {
			t.Fatalf("event %d:\n%s\na new encoder writes\n%s", i, got, want)
		}
		if !json.Valid(Document(got)) {
			t.Fatalf("event %d is not valid JSON: %s", i, got)
		}
		var typed, plain Event
		var d Decoder
		d.Reset(append(AppendTypedHeader(nil), index...))
		if err := d.Next(got, &typed); err != nil {
			t.Fatal(err)
		}
		if err := FromJSON(Document(got), &plain); err != nil {
			t.Fatal(err)
		}
		plain.Agent = nil // its own agent stands in every document, and in no index
		for id := range Fields {
			if a, b := typed.Get(FieldID(id)).Text(), plain.Get(FieldID(id)).Text(); a != b {
				t.Fatalf("event %d, %s: the typed index says %q, the document %q: %s", i, Fields[id].Name, a, b, got)
			}
		}
		if typed.Log.Path != e.Log.Path || typed.Input != e.Input || typed.Parser != e.Parser || typed.Action != e.Action || typed.outcome() != e.outcome() {
			t.Fatalf("event %d: %+v came back as %+v", i, e, typed)
		}
	}
}

// Any mixture of bytes is escaped as RFC 8259 wants it, whatever room dst has and wherever the special bytes stand.
func TestEscapingOfMixtures(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"a", "bcdefgh", "ijklmnopqrstuvw", `"`, `\`, "\n", "\x00", "\x1f", "\x7f", "é", "世", "\xff", "\xe4\xb8", "😀", `{"a":"b"}`}
	for range 50_000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		s := b.String()
		dst := append(make([]byte, 0, 2+rng.IntN(40)), '"', 'x')
		got := string(append(appendEscaped(dst, s), '"'))
		var back string
		if err := json.Unmarshal([]byte(got), &back); err != nil {
			t.Fatalf("%q: %v in %s", s, err, got)
		}
		if want := "x" + string([]rune(s)); back != want {
			t.Fatalf("%q came back as %q, want %q", s, back, want)
		}
	}
}

func BenchmarkEscapeJSONLine(b *testing.B) {
	const line = `{"timestamp":"2026-11-22T00:00:00.000Z","id":"evt_9d9b310f18f31e12","action":"document.update","actor":{"id":95,"email":"user95@example.com","type":"user"},"ip":"203.0.113.9","changes":{"old":{"role":"editor","active":true},"new":{"role":"editor","active":true}},"status":"success"}`
	var dst []byte
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendEscaped(dst[:0], line)
	}
}
