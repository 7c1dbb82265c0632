package parsers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
)

func TestChangesOf(t *testing.T) {
	f := func(old, new, want string) {
		t.Helper()
		if got := string(changesOf(old, new)); got != want {
			t.Errorf("changesOf(%.80s, %.80s)\n got %.400s\nwant %.400s", old, new, got, want)
		}
	}
	f("", "", "")
	f("null", " null ", "")
	f("{}", "", "")
	f(`{"a":1}`, `{"a":1}`, "")
	f(`{"a":1,"b":2}`, `{ "b" : 2, "a" : 1 }`, "")
	f(`{"a":1}`, `{"a":2}`, `{"a":{"old":1,"new":2}}`)
	f(`{"a":1,"b":"x"}`, `{"b":"x","c":null}`, `{"a":{"old":1},"c":{"new":null}}`)
	f(`{"a":null}`, `{"a":"x"}`, `{"a":{"old":null,"new":"x"}}`)
	f("", `{"a":1,"b":{"c":true}}`, `{"a":{"new":1},"b.c":{"new":true}}`)
	f(`{"a":1}`, "null", `{"a":{"old":1}}`)
	f(`{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":1,"d":3}}}`, `{"a.b.d":{"old":2,"new":3}}`)
	f(`{"a":{"b":1}}`, `{"a":5}`, `{"a":{"old":{"b":1},"new":5}}`)
	f(`{"a":1}`, `{"a":1,"b":{}}`, `{"b":{"new":{}}}`)
	f(`{"r":["x","y"]}`, `{"r":["x"]}`, `{"r":{"old":["x","y"],"new":["x"]}}`)
	f(`{"r":["x", "y",{"a":1,"b":2}]}`, `{"r":["x","\u0079",{"b":2.0,"a":1e0}]}`, "")
	f(`{"n":9007199254740993}`, `{"n":9007199254740992}`, `{"n":{"old":9007199254740993,"new":9007199254740992}}`)
	f(`{"a b":"\u00e9","\u0061":1}`, `{"a b":"é","a":1}`, "")
	f(`{"a":"x","a":"y"}`, `{"a":"z"}`, `{"a":{"old":"x","new":"z"}}`)
	f(`"x"`, `{"a":1}`, `{"value":{"old":"x","new":{"a":1}}}`)
	f(`{"a.b":1,"a":{"b":2}}`, `{}`, `{"a.b":{"old":1}}`)
	f(`{"":1,"a\u0000b":1}`, `{}`, `{"_":{"old":1},"a_b":{"old":1}}`)
	f(`{"l":[{"a":1,"a":2}]}`, `{"l":[{"\u0000":1}]}`, `{"l":{"old":"[{\"a\":1,\"a\":2}]","new":"[{\"\\u0000\":1}]"}}`)
	f(`{"l":[1,`+"\n"+` 2]}`, `{"l":["a`+"\xff"+`"]}`, `{"l":{"old":[1, 2],"new":["a`+"\ufffd"+`"]}}`)
	f(`{"s":"`+strings.Repeat("é", 2000)+`"}`, `{}`, `{"s":{"old":"`+strings.Repeat("é", 1024)+`..."}}`)
}

func TestChangesFromDiff(t *testing.T) {
	f := func(diff, want string) {
		t.Helper()
		if got := string(changesFromDiff(diff)); got != want {
			t.Errorf("changesFromDiff(%.80s)\n got %.400s\nwant %.400s", diff, got, want)
		}
	}
	f("", "")
	f("null", "")
	f("{}", "")
	f(`{"fieldName__deleted":"was","other__added":"is","third":{"_old":"previous","_new":"current"}}`,
		`{"fieldName":{"old":"was"},"other":{"new":"is"},"third":{"old":"previous","new":"current"}}`)
	f(`{"f__deleted":1,"f__added":2}`, `{"f":{"old":1,"new":2}}`)
	f(`{"f":{"__old":1,"__new":[2]},"g":{"__new":0},"h":{"_old":null,"_new":{"a":1}}}`,
		`{"f":{"old":1,"new":[2]},"g":{"new":0},"h":{"old":null,"new":{"a":1}}}`)
	f(`{"a":{"b":{"c__added":{"x":1}},"d":{"_old":{"k":1,"l":2},"_new":{"k":1,"l":3}}}}`,
		`{"a.b.c":{"new":{"x":1}},"a.d.l":{"old":2,"new":3}}`)
	f(`{"_old":{"a":1},"_new":{"a":2}}`, `{"a":{"old":1,"new":2}}`)
	f(`{"roles":[["-","viewer"],["+","admin"],["+","auditor"],[" "]]}`, `{"roles":{"old":["viewer"],"new":["admin","auditor"]}}`)
	f(`{"l":[[" "],["~",{"n":{"__old":1,"__new":2}}],["+",5],[" ",3]]}`, `{"l.1.n":{"old":1,"new":2},"l":{"new":[5]}}`)
	f(`[["+",1]]`, `{"value":{"new":[1]}}`)
	f(`{"l":[1,2],"s":"x","m":[["+",1],2],"e":[],"p":[["+"]]}`, `{"l":{"new":[1,2]},"s":{"new":"x"},"m":{"new":[["+",1],2]},"e":{"new":[]}}`)
	f(`"text"`, `{"value":{"new":"text"}}`)
}

// A wide or deep object gives a bounded result, and what was left out is counted.
func TestChangesAreBounded(t *testing.T) {
	wide := func(n int, value string) string {
		b := []byte{'{'}
		for i := range n {
			b = fmt.Appendf(b, `"key%d":%s,`, i, value)
		}
		b[len(b)-1] = '}'
		return string(b)
	}
	got := gjson.Parse(string(changesOf(wide(5000, "1"), wide(5000, "2"))))
	if n := got.Get("_more.new").Int(); n != 5000-maxChanges || len(got.Map()) != maxChanges+1 {
		t.Errorf("%d entries, %d more", len(got.Map()), n)
	}
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	if n := len(changesOf(wide(100, big), wide(100, `"y"`))); n > maxChangeBytes+3*maxChangeValue {
		t.Errorf("%d bytes", n)
	}
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	if got := changesOf(deep, "{}"); !strings.HasPrefix(string(got), `{"a.a.a.a.a.a.a.a":{"old":"{\"a\":`) || len(got) > 2*maxChangeValue {
		t.Errorf("got %.200s", got)
	}
	long := `{"` + strings.Repeat("é", 500) + `":1}`
	if got := changesOf(long, ""); len(got) > maxChangePath+30 || !gjson.Valid(string(got)) {
		t.Errorf("got %.200s", got)
	}
}

// Whatever the two objects are: the result is an object without a key twice that a flattened field takes, and comparing a thing
// with itself gives nothing.
func TestChangesAlwaysFit(t *testing.T) {
	keys := rapid.SampledFrom([]string{"a", "b", "a.b", "", "\x00", "é", "a__added", "a__deleted", "_old", "_new", "__old", "+", "~"})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			kind := rapid.IntRange(0, 4).Draw(t, "kind")
			if depth == 0 {
				kind = min(kind, 2)
			}
			switch kind {
			case 0:
				return rapid.SampledFrom([]string{"null", "true", "1", "1.0", "-2e3"}).Draw(t, "scalar")
			case 1, 2:
				return string(event.AppendQuoted(nil, keys.Draw(t, "text")))
			}
			b, end := []byte("["), byte(']')
			if kind == 4 {
				b, end = []byte("{"), '}'
			}
			for i := range rapid.IntRange(0, 4).Draw(t, "n") {
				if i > 0 {
					b = append(b, ", "...)
				}
				if kind == 4 {
					b = append(event.AppendQuoted(b, keys.Draw(t, "key")), ':')
				}
				b = append(b, value(depth-1).Draw(t, "value")...)
			}
			return string(append(b, end))
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		old, new := value(5).Draw(t, "old"), value(5).Draw(t, "new")
		if got := changesOf(old, old); got != "" && storableJSON(old, 99) {
			t.Fatalf("%s differs from itself: %s", old, got)
		}
		for _, raw := range []event.Raw{changesOf(old, new), changesFromDiff(old), storedObject(old)} {
			if raw == "" {
				continue
			}
			if !gjson.Valid(string(raw)) || raw[0] != '{' || !storableJSON(string(raw), maxStoredDepth+1) {
				t.Fatalf("%s, %s: %s", old, new, raw)
			}
		}
		for _, raw := range []event.Raw{changesOf(old, new), changesFromDiff(old)} {
			if raw != "" && !flatJSON(string(raw), maxFlatDepth+2, maxFlatPath+2*maxChangePath) {
				t.Fatalf("%s, %s: %s", old, new, raw)
			}
		}
	})
}

func TestStoredObject(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(storedObject(in)); got != want {
			t.Errorf("%.80s\n got %.100s\nwant %.100s", in, got, want)
		}
	}
	f("", "")
	f(" null", "")
	f(` {"a":[1]} `, `{"a":[1]}`)
	f("{\"a\":\n\t1,\"b\":\"\xff\"}", "{\"a\":1,\"b\":\"\ufffd\"}")
	f(`[1,"x"]`, `{"value":[1,"x"]}`)
	f(`"x"`, `{"value":"x"}`)
	f(`{"a":1,"\u0061":2}`, `{"value":"{\"a\":1,\"\\u0061\":2}"}`)
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	f(deep, `{"value":"`+deep+`"}`)
}

func BenchmarkChangesOf(b *testing.B) {
	const old = `{"id":7,"name":"Google","enabled":true,"type":"oidc","settings":{"issuer":"https://accounts.example.com","scopes":["openid","email"]},"updatedAt":"2026-01-10T10:00:00Z"}`
	const new = `{"id":7,"name":"Google","enabled":false,"type":"oidc","settings":{"issuer":"https://accounts.example.com","scopes":["openid","email","profile"]},"updatedAt":"2026-01-11T10:00:00Z"}`
	b.ReportAllocs()
	b.SetBytes(int64(len(old) + len(new)))
	for b.Loop() {
		if changesOf(old, new) == "" {
			b.Fatal("nothing")
		}
	}
}

// What a line or a document gives for a field that holds an object is stored as what the sources' own parsers give.
func TestObjectsFromLines(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, c := range []struct{ value, old, changes string }{
		{`{"a":1}`, `{"a":1}`, `{"a":1}`},
		{`{"a":1,"a":2}`, `{"value":"{\"a\":1,\"a\":2}"}`, `{"value":"{\"a\":1,\"a\":2}"}`},
		{"{\"a\":\n[1]}", `{"a":[1]}`, `{"a":[1]}`},
		{`{"":1}`, `{"":1}`, `{"value":"{\"\":1}"}`},
		{deep, deep, `{"value":` + string(event.AppendQuoted(nil, deep)) + `}`},
		{`[1]`, "", ""},
		{`"a"`, "", ""},
	} {
		set, ds := build(t, `parser "json" "app" {
			fields = { "gatebook.old" = "o", "gatebook.changes" = "c" }
		}
		parser "ecs" "relay" { trusted = true }`)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		for name, line := range map[string]string{"app": `{"o":` + c.value + `,"c":` + c.value + `}`, "relay": `{"gatebook":{"old":` + c.value + `,"changes":` + c.value + `}}`} {
			p, err := set.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			var ev event.Event
			if err := p.Parse(Line{Text: line, Received: received}, &ev); err != nil {
				t.Fatal(err)
			}
			if string(ev.Old) != c.old || string(ev.Changes) != c.changes {
				t.Errorf("%s: %s\n old     %s, want %s\n changes %s, want %s", name, c.value, ev.Old, c.old, ev.Changes, c.changes)
			}
			if c.old == "" && len(ev.Labels) == 0 {
				t.Errorf("%s: %s is dropped", name, c.value)
			}
		}
	}
}
