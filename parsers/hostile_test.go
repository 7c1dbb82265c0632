package parsers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// hostileValues are JSON texts that stand where a source has a value.
func hostileValues() []string {
	const size = 64 << 10
	list := []string{
		`1e999`, `-0`, `9223372036854775808`, `-9223372036854775809`, `0.1e-400`, `123456789012345678901234567890`,
		`"0000-00-00T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`, `1000000000000000000`, `"1000000000000000000"`, `-1`, `253402300799999`,
		`""`, `null`, `true`, `[]`, `{}`, `[{}]`, `[[],[null]]`, `"\u0000"`, `"\ud800"`, "\"\xff\xfe\"", "{\"\xff\":\"\xff\"}",
		`{"a":1,"a":2,"b":{"c":1,"c":2}}`, "{\"a\" : 1,\n\"b\":[1,\r\n2]}", `"{\"a\":1,\"a\":2}"`, `{"":{"":""}}`, `{"a.b":1,"a":{"b":2}}`,
		`{"_old":{"a":1,"a":2},"_new":{"a":3}}`, `{"old":{"x":1,"x":2},"new":{"x":[]}}`, `{"attributes":{"a":1,"a":2},"old":{"a":0}}`,
		`{"id":1,"id":2,"name":{},"email":[],"type":{"type":{}}}`,
		strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		`"` + strings.Repeat(`[{`, size/2) + `"`, `"` + strings.Repeat(`\"`, size/2) + `"`, `"` + strings.Repeat(`\\`, size/2) + `"`,
		`"` + strings.Repeat(`a@`, size/2) + `"`, `"` + strings.Repeat(`, `, size/2) + `"`, `"` + strings.Repeat("failed login ", size/13) + `"`,
		`"` + strings.Repeat(`a.`, size/2) + `"`, `{"` + strings.Repeat("k", 10<<10) + `":1}`, `"` + strings.Repeat(`{\"a\":`, size/6) + `"`,
		"[" + strings.Repeat(`{"id":1,"type":"User","displayName":"x"},`, size/42) + "{}]", "[" + strings.Repeat("1,", size/2) + "1]",
		"[" + strings.Repeat(`["+",1],["-",2],`, size/16) + `["~",{}]]`,
	}
	many, twice := strings.Builder{}, strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(&many, `,"k%d":{"old":%d,"new":""}`, i, i)
		twice.WriteString(`,"a":{"b":1}`)
	}
	return append(list, "{"+many.String()[1:]+"}", "{"+twice.String()[1:]+"}")
}

// hostileTexts stand in lines that are not JSON.
func hostileTexts() []string {
	list := []string{"\x00", "\xff\xfe", "\n", "\r\n", "\ufeff", "-", "0000-00-00 00:00:00", "9999-12-31T23:59:59Z", "1000000000000000000", "1e999", "-0", "9223372036854775808"}
	for _, piece := range []string{"[", "]", "{", `"`, `\`, `'`, "=", " ", ",", ":", ": ", "<", "(", "a=", `a="`, ";", "@", "%", " from ", ", client: ", "] [", `" "`, "key=value "} {
		list = append(list, strings.Repeat(piece, (64<<10)/len(piece)))
	}
	return list
}

// hostileLines are variants of a line that the parser reads: one value at a time is a hostile one.
func hostileLines(line string, yield func(string)) {
	if !strings.HasPrefix(line, "{") || !gjson.Valid(line) {
		for _, text := range hostileTexts() {
			yield(line + text)
			yield(text + line)
			for _, at := range []string{"=", `"`, ": ", " ", ","} {
				if i := strings.LastIndex(line, at); i > 0 {
					yield(line[:i+1] + text + line[i+1:])
					yield(line[:i+1] + text)
				}
				if i := strings.Index(line, at); i > 0 {
					yield(line[:i+1] + text + line[i+1:])
				}
			}
		}
		return
	}
	var space [64]jsonMember
	list := membersOf(space[:0], line)
	for _, value := range hostileValues() {
		for _, m := range list { // instead of a value, and beside it
			i := strings.Index(line, m.value)
			yield(line[:i] + value + line[i+len(m.value):])
			if inner := membersOf(nil, object(m.value)); len(inner) > 0 {
				last := inner[len(inner)-1].value
				j := i + strings.LastIndex(m.value, last)
				yield(line[:j] + value + line[j+len(last):])
			}
		}
		yield(line[:len(line)-1] + `,"odd":` + value + "}")
		if value[0] == '{' && len(value) > 2 {
			yield(line[:len(line)-1] + "," + value[1:])
		}
	}
	yield(line[:len(line)-1] + "," + line[1:])
	yield(line + line)
	yield(line[:len(line)/2])
}

func object(s string) string {
	if s != "" && s[0] == '{' {
		return s
	}
	return ""
}

// Whatever stands in a line, every parser answers at once with a document that Elasticsearch takes, or with an error.
func TestHostileLines(t *testing.T) {
	set, ds := build(t, fuzzConfig)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	blocks := map[string][]string{"json": {"json", "audit", "wild"}, "logfmt": {"lf"}, "csv": {"cs"}, "regex": {"re"}, "ecs": {"ecs", "documents", "trusted"}, "nginx": {"nginx", "shop"}}
	for _, typ := range types() {
		names := blocks[typ]
		if names == nil {
			names = []string{typ}
		}
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				p, err := set.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				h := hostile{t: t, parser: p, enc: event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})}
				for _, line := range hostileBases(t, typ, p) {
					hostileLines(line, h.try)
				}
				for _, text := range hostileTexts() {
					h.try(text)
				}
				for _, value := range hostileValues() {
					h.try(value)
				}
				for _, text := range []string{strings.Repeat("a", 1<<20), `{"a":"` + strings.Repeat("a", 1<<20) + `"}`, strings.Repeat(`{"a":1} `, 1<<17)} {
					h.try(text)
				}
				if h.read == 0 {
					t.Error("no line was read")
				}
				t.Logf("%d lines, %d of them read; slowest %s: %.80q ... %q", h.tried, h.read, h.slowest, h.slow, h.slow[max(0, len(h.slow)-80):])
			})
		}
	}
}

// hostileBases are a few lines of the golden cases, of different kinds, that the parser reads.
func hostileBases(t *testing.T, typ string, p Parser) (lines []string) {
	paths, err := filepath.Glob(filepath.Join("testdata", typ, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(testkit.File(txtar.Parse(src), "input"))) {
			line = strings.TrimSuffix(line, "\n")
			var ev event.Event
			if len(line) > 2000 || p.Parse(Line{Text: line, Received: received, Source: "s", Offset: 7}, &ev) != nil {
				continue
			}
			kind := ev.Action.String() + ev.Dataset + line[:1]
			if ev.Old == "" && ev.New == "" && ev.Changes == "" && ev.Session.Claims == "" && len(seen) > 1 {
				kind = ev.Dataset + line[:1]
			}
			if !seen[kind] && len(seen) < 4 {
				seen[kind] = true
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// hostile tries lines on one parser.
type hostile struct {
	t       *testing.T
	parser  Parser
	enc     *event.Encoder
	buf     []byte
	ev      event.Event
	tried   int
	read    int
	slowest time.Duration
	slow    string
}

func (h *hostile) try(text string) {
	if h.t.Failed() {
		return // one line is enough to see what is wrong
	}
	h.tried++
	h.ev.Reset()
	line := Line{Text: text, Received: received, Source: "s", Offset: 7}
	// What would be quadratic takes seconds.
	const most = 2 * time.Second
	var err error
	took := testkit.CPU(h.t, func() { err = h.parser.Parse(line, &h.ev) })
	if took > most {
		h.t.Errorf("%s for %d bytes: %.200q", took, len(text), text)
	}
	if took > h.slowest {
		h.slowest, h.slow = took, text
	}
	if err != nil {
		return
	}
	h.read++
	ev := &h.ev
	if n := len(ev.Labels); n > 2*maxLabels { // of a document and of the line in it
		h.t.Errorf("%d labels: %.200q", n, text)
	}
	for name, raw := range map[string]event.Raw{"old": ev.Old, "new": ev.New, "changes": ev.Changes, "claims": ev.Session.Claims} {
		if raw != "" && (raw[0] != '{' || strings.ContainsAny(string(raw), "\r\n") || !utf8.ValidString(string(raw))) {
			h.t.Errorf("%s is no object on one line: %.200q of %.200q", name, raw, text)
		}
	}
	h.buf = h.enc.AppendDocument(h.buf[:0], ev)
	doc := string(h.buf)
	switch {
	case !gjson.Valid(doc) || !utf8.ValidString(doc) || strings.ContainsAny(doc, "\r\n"):
		h.t.Errorf("not one line of JSON: %.300q of %.200q", doc, text)
	case !storableJSON(doc, maxStoredDepth+8):
		h.t.Errorf("a key stands twice, or too deep: %.300q of %.200q", doc, text)
	}
}
