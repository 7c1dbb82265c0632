package parsers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// corpusPackage says how the documents that Elastic's own pipelines make of a source's logs compare with ours. Each field of
// an expected document is compared where our field table has it, or `mapped` names the field that it is in ours; all others
// have their reason in `left`. A field that is in none of them fails the test.
type corpusPackage struct {
	name   string // folder of corpora/elastic-integrations; each data stream is a folder in it
	parser string
	// streams are the data streams to read; nil: all of the folder.
	streams []string
	// actions is our event.action for theirs; "" is an event of which we say no more than its code.
	actions map[string]string
	// detail is appended to their action before it is looked up, where ours goes by more than their word; nil: nothing.
	detail func(word, line string) string
	// mapped is the field of ours that holds what a field of the source's own namespace does.
	mapped map[string]string
	// left is why a field is not compared; a key that ends in ".*" stands for all fields below it.
	left map[string]string
	// ours is why a field differs on purpose. It still counts as different.
	ours map[string]string
	// wrong says why an expectation is provably wrong, by what the line itself says; such a field is not counted. "": it is not.
	wrong func(d *corpusDifference) string
}

// corpusDifference is one field that is not equal.
type corpusDifference struct {
	at        string // file and number of the event
	field     string // theirs
	line      string
	want, got []string
	document  map[string][]string // ours
}

// packages is all that is compared: one line each, its tables in corpora_<package>_test.go.
var packages = []corpusPackage{
	nginxCorpus,
	apacheCorpus,
	oktaCorpus,
	auth0Corpus,
}

// leastShare is how much of the comparable fields has to be equal.
const leastShare = 0.97

// TestElasticIntegrations holds our documents against those of other people:
//
//	go test ./parsers -run TestElasticIntegrations -v
func TestElasticIntegrations(t *testing.T) {
	for _, p := range packages {
		t.Run(p.name, func(t *testing.T) {
			dir := testkit.Shared(t, "corpora/elastic-integrations/"+p.name)
			c := comparison{corpusPackage: p, unlisted: map[string]bool{}, printed: map[string]int{}}
			for _, path := range c.files(t, dir) {
				c.file(t, path)
			}
			c.report(t)
		})
	}
}

// comparison is the running count of one package.
type comparison struct {
	corpusPackage
	documents, skipped int
	ecs, own           count // fields of ECS, and of the source's own namespace
	wrongs             int
	unlisted           map[string]bool
	printed            map[string]int
}

type count struct{ compared, equal int }

func (c count) share() float64 { return float64(c.equal) / float64(max(c.compared, 1)) }

func (c *comparison) files(t *testing.T, dir string) []string {
	pattern := []string{"*"}
	if c.streams != nil {
		pattern = c.streams
	}
	var all []string
	for _, stream := range pattern {
		found, err := filepath.Glob(filepath.Join(dir, stream, "*-expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		t.Fatalf("%s: no expected documents", dir)
	}
	return all
}

func (c *comparison) file(t *testing.T, path string) {
	var expected struct{ Expected []map[string]any }
	decode(t, path, &expected)
	input := strings.TrimSuffix(path, "-expected.json")
	config := readCorpusConfig(t, input)
	lines := config.lines(t, input)
	if len(lines) != len(expected.Expected) {
		t.Fatalf("%s: %d events, %d expected documents", input, len(lines), len(expected.Expected))
	}
	set, err := Build(nil, Options{Location: config.location(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get(c.parser)
	if err != nil {
		t.Fatal(err)
	}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	var ev event.Event
	for i, line := range lines {
		if expected.Expected[i] == nil {
			c.skipped++ // their pipeline drops it
			continue
		}
		at := fmt.Sprintf("%s:%d", filepath.Join(filepath.Base(filepath.Dir(input)), filepath.Base(input)), i+1)
		ev.Reset()
		if err := p.Parse(Line{Text: line, Received: received, Source: input, Offset: int64(i)}, &ev); err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if ev.Time == 0 {
			ev.Time = received
		}
		var ours map[string]any
		d := json.NewDecoder(bytes.NewReader(enc.AppendDocument(nil, &ev)))
		d.UseNumber()
		if err := d.Decode(&ours); err != nil {
			t.Fatal(err)
		}
		c.documents++
		c.document(t, at, line, flatten(expected.Expected[i]), flatten(ours))
	}
}

// document compares the fields of one event.
func (c *comparison) document(t *testing.T, at, line string, theirs, ours map[string][]string) {
	for _, field := range slices.Sorted(maps.Keys(theirs)) {
		want := theirs[field]
		if field == "event.action" {
			word := want[0]
			if c.detail != nil {
				word += c.detail(word, line)
			}
			action, ok := c.actions[word]
			if !ok {
				c.unlisted["event.action "+word] = true
				continue
			}
			want = []string{action}
		}
		name, n := field, &c.ecs
		if to, ok := c.mapped[field]; ok {
			name, n = to, &c.own
		} else if c.isLeft(field) {
			continue
		}
		id, known := event.FieldByName(name)
		if !known && !strings.HasPrefix(name, "labels.") {
			c.unlisted[field] = true
			continue
		}
		got := ours[name]
		if sameValues(want, got, known && id.Info().Type == event.DateTime) {
			n.compared++
			n.equal++
			continue
		}
		d := corpusDifference{at: at, field: field, line: line, want: want, got: got, document: ours}
		if reason := c.provenWrong(&d); reason != "" {
			c.wrongs++
			c.note(t, field, "%s: %s: expectation left out, %s: want %q, got %q", at, field, reason, want, got)
			continue
		}
		n.compared++
		reason := ""
		if why := c.ours[field]; why != "" {
			reason = " (ours on purpose: " + why + ")"
		}
		c.note(t, field, "%s: %s: want %q, got %q%s", at, field, want, got, reason)
	}
}

func (c *comparison) provenWrong(d *corpusDifference) string {
	if c.wrong == nil {
		return ""
	}
	return c.wrong(d)
}

// note prints a difference; of one field at most 20.
func (c *comparison) note(t *testing.T, field, format string, args ...any) {
	if c.printed[field]++; c.printed[field] <= 20 {
		t.Logf(format, args...)
	}
}

// isLeft says that a field is listed as not compared, by itself or with all of its group.
func (c *comparison) isLeft(field string) bool {
	if c.left[field] != "" {
		return true
	}
	for i := range len(field) {
		if field[i] == '.' && c.left[field[:i]+".*"] != "" {
			return true
		}
	}
	return false
}

func (c *comparison) report(t *testing.T) {
	for field := range c.unlisted {
		t.Errorf("%s is in no list: say what it is in our record, or why it is left out", field)
	}
	for field, n := range c.printed {
		if n > 20 {
			t.Logf("%s: %d more like these", field, n-20)
		}
	}
	t.Logf("%s: %d documents (%d that are dropped there), %d comparable fields of ECS, %d equal, %.2f %%; fields of its own namespace: %d, %d equal, %.2f %%; %d expectations wrong",
		c.name, c.documents, c.skipped, c.ecs.compared, c.ecs.equal, 100*c.ecs.share(), c.own.compared, c.own.equal, 100*c.own.share(), c.wrongs)
	if both := (count{c.ecs.compared + c.own.compared, c.ecs.equal + c.own.equal}); c.ecs.share() < leastShare || both.share() < leastShare {
		t.Errorf("%s: %.2f %% of the fields are equal, want %.0f %%", c.name, 100*min(c.ecs.share(), both.share()), 100*leastShare)
	}
}

// corpusConfig is what X.log-config.yml, else test-common-config.yml beside the logs, says of them.
type corpusConfig struct {
	Multiline struct {
		FirstLinePattern string `yaml:"first_line_pattern"`
	}
	Fields map[string]any
}

func readCorpusConfig(t *testing.T, input string) (c corpusConfig) {
	for _, path := range []string{filepath.Join(filepath.Dir(input), "test-common-config.yml"), input + "-config.yml"} {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return c
}

// location is the zone of times that carry none: "GMT+2" there is two hours east.
func (c *corpusConfig) location(t *testing.T) *time.Location {
	name, _ := c.Fields["event.timezone"].(string)
	if name == "" {
		return time.UTC
	}
	hours, err := strconv.Atoi(strings.TrimPrefix(name, "GMT"))
	if err != nil {
		t.Fatalf("event.timezone %q: %v", name, err)
	}
	return time.FixedZone(name, hours*3600)
}

// lines returns the events of a file as a shipper would give them.
func (c *corpusConfig) lines(t *testing.T, input string) (lines []string) {
	if strings.HasSuffix(input, ".json") {
		var file struct {
			Events []struct {
				Message string
				JSON    json.RawMessage
			}
		}
		decode(t, input, &file)
		for _, e := range file.Events {
			line := []byte(e.Message)
			if e.JSON != nil {
				var buf bytes.Buffer
				if err := json.Compact(&buf, e.JSON); err != nil {
					t.Fatal(err)
				}
				line = buf.Bytes()
			}
			lines = append(lines, string(line))
		}
		return lines
	}
	text, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(c.Multiline.FirstLinePattern)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case len(lines) > 0 && !first.MatchString(line):
			lines[len(lines)-1] += "\n" + line
		case line != "":
			lines = append(lines, line)
		}
	}
	return lines
}

func decode(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// flatten gives the values of a document by their dotted names; one value is a list of one.
func flatten(doc map[string]any) map[string][]string {
	flat := map[string][]string{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			for k, v := range v {
				walk(strings.TrimPrefix(prefix+"."+k, "."), v)
			}
		case []any:
			for _, e := range v {
				if _, deep := e.(map[string]any); deep {
					text, _ := json.Marshal(e)
					flat[prefix] = append(flat[prefix], string(text))
					continue
				}
				walk(prefix, e)
			}
		default:
			flat[prefix] = append(flat[prefix], fmt.Sprint(v))
		}
	}
	walk("", doc)
	return flat
}

// sameValues compares lists without their order; times as instants, addresses as addresses.
func sameValues(want, got []string, times bool) bool {
	canonical := func(list []string) []string {
		out := slices.Clone(list)
		for i, s := range out {
			if at, err := time.Parse(time.RFC3339Nano, s); times && err == nil {
				out[i] = at.UTC().Format(time.RFC3339Nano)
			} else if ip, err := netip.ParseAddr(s); err == nil {
				out[i] = ip.String()
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(canonical(want), canonical(got))
}

// The comparison itself sees what differs.
func TestCorpusComparison(t *testing.T) {
	for _, c := range []struct {
		want, got []string
		times     bool
		same      bool
	}{
		{[]string{"a"}, []string{"a"}, false, true},
		{[]string{"a"}, nil, false, false},
		{[]string{"a", "b"}, []string{"b", "a"}, false, true},
		{[]string{"a", "b"}, []string{"a"}, false, false},
		{[]string{"2026-01-10T12:00:00.000+02:00"}, []string{"2026-01-10T10:00:00.000Z"}, true, true},
		{[]string{"2026-01-10T12:00:00.000+02:00"}, []string{"2026-01-10T12:00:00.000Z"}, true, false},
		{[]string{"2001:DB8::0:1"}, []string{"2001:db8::1"}, false, true},
		{[]string{"A"}, []string{"a"}, false, false},
	} {
		if same := sameValues(c.want, c.got, c.times); same != c.same {
			t.Errorf("%q and %q: %v", c.want, c.got, same)
		}
	}
	doc := flatten(map[string]any{"a": map[string]any{"b": []any{"x", json.Number("1")}, "n": nil}, "c": true})
	if fmt.Sprint(doc) != "map[a.b:[x 1] c:[true]]" {
		t.Errorf("flattened: %v", doc)
	}
	c := comparison{corpusPackage: corpusPackage{left: map[string]string{"okta.*": "why", "event.id": "why"}}}
	for field, left := range map[string]bool{"okta.actor.id": true, "okta": false, "event.id": true, "event.ids": false, "oktas.x": false} {
		if c.isLeft(field) != left {
			t.Errorf("%s: left out is %v", field, !left)
		}
	}
	zone := corpusConfig{Fields: map[string]any{"event.timezone": "GMT+2"}}
	if _, offset := time.Unix(0, 0).In(zone.location(t)).Zone(); offset != 2*3600 {
		t.Errorf("GMT+2 is %d s east", offset)
	}
}
