package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/gatebook/gatebook/internal/testkit"
)

// Everything that there is to index, indexed: the shipped samples by the config of `gatebook demo`, then the lines of all golden
// cases and of all corpora by the parsers that read them, rules on, into real servers. No document is refused, no field is
// outside the mapping, no value is ignored.
//
//	go test ./cmd/gatebook -run TestSamplesInElasticsearch -v
func TestSamplesInElasticsearch(t *testing.T) {
	node := testkit.Elasticsearch(t, testkit.Full())
	indexSamples(t, node)
	t.Run("seen", func(t *testing.T) { indexFaults(t, node) })
}

// The same in OpenSearch.
func TestSamplesInOpenSearch(t *testing.T) { indexSamples(t, testkit.OpenSearch(t)) }

func indexSamples(t *testing.T, node *testkit.Node) {
	t.Run("samples", func(t *testing.T) {
		d, err := prepareDemo(filepath.Join(t.TempDir(), "demo"))
		must(t, err)
		config, err := os.ReadFile(d.config)
		must(t, err)
		inputs, _, ok := strings.Cut(string(config), `output "store"`)
		if !ok {
			t.Fatalf("no store in the demo's config:\n%s", config)
		}
		indexAll(t, node, "samples", inputs)
	})
	t.Run("golden", func(t *testing.T) {
		dir := t.TempDir()
		indexAll(t, node, "golden", sampleConfig(dir, goldenLogs(t, filepath.Join(dir, "logs"))))
	})
	t.Run("hostile", func(t *testing.T) { indexHostile(t, node) })
	t.Run("corpora", func(t *testing.T) {
		dir := t.TempDir()
		config := sampleConfig(dir, corpusLogs(t, filepath.Join(dir, "logs")))
		mmdb := testkit.Shared(t, "corpora/mmdb/test-data")
		config += fmt.Sprintf("geoip {\n  city = \"%s/GeoLite2-City-Test.mmdb\"\n  asn  = \"%s/GeoLite2-ASN-Test.mmdb\"\n}\n", mmdb, mmdb)
		indexAll(t, node, "corpora", config)
	})
}

// sampleConfig reads folders of logs, each by the parser it is named for.
func sampleConfig(dir string, logs map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "data_dir = %q\ntimezone = \"UTC\"\nrules {\n  library = true\n}\n", filepath.Join(dir, "data"))
	for _, folder := range slices.Sorted(maps.Keys(logs)) {
		fmt.Fprintf(&b, "input \"file\" %q {\n  paths  = [%q]\n  parser = %q\n}\n", filepath.Base(folder), filepath.Join(folder, "*.log"), logs[folder])
	}
	return b.String()
}

// goldenLogs writes the lines of the golden cases of all parsers that need no block.
func goldenLogs(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testkit.RepoRoot(t), "parsers", "testdata", "*", "*.txtar"))
	must(t, err)
	logs := map[string]string{}
	for _, path := range paths {
		ar, err := txtar.ParseFile(path)
		must(t, err)
		input := testkit.File(ar, "input")
		if testkit.File(ar, "config.hcl") != nil || len(input) == 0 {
			continue
		}
		parser := filepath.Base(filepath.Dir(path))
		folder := filepath.Join(dir, parser)
		logs[folder] = parser
		writeLog(t, folder, strings.TrimSuffix(filepath.Base(path), ".txtar"), input)
	}
	return logs
}

// corpusLogs writes the lines of the corpora.
func corpusLogs(t *testing.T, dir string) map[string]string {
	t.Helper()
	root := testkit.Shared(t, "corpora")
	logs := map[string]string{}
	add := func(pattern, name, parser string, lines func(path string, b []byte) []byte) {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		must(t, err)
		if len(paths) == 0 {
			t.Fatalf("nothing matches %s", pattern)
		}
		folder := filepath.Join(dir, name)
		logs[folder] = parser
		for _, path := range paths {
			if strings.HasSuffix(path, "-expected.json") || strings.HasSuffix(path, ".yml") {
				continue
			}
			b, err := os.ReadFile(path)
			must(t, err)
			rel, err := filepath.Rel(root, path)
			must(t, err)
			writeLog(t, folder, strings.ReplaceAll(rel, "/", "-"), lines(path, b))
		}
	}
	add("loghub/*/*.log", "loghub", "linux_auth", asItIs)
	add("fail2ban/*", "fail2ban", "auto", commentsLeftOut)
	add("elastic-integrations/*/*/*", "integrations", "auto", asEvents)
	for _, parser := range []string{"nginx", "apache", "okta", "auth0"} {
		add("elastic-integrations/"+parser+"/*/*", parser, parser, asEvents)
	}
	add("beats/nginx/*/*.log", "beats-nginx", "nginx", asItIs)
	add("beats/apache/*/*.log", "beats-apache", "apache", asItIs)
	add("syslog/*.jsonl", "syslog", "syslog", func(_ string, b []byte) (out []byte) {
		for line := range bytes.Lines(b) {
			var m struct{ In string }
			must(t, json.Unmarshal(line, &m))
			out = append(append(out, strings.ReplaceAll(m.In, "\n", " ")...), '\n')
		}
		return out
	})
	return logs
}

func asItIs(_ string, b []byte) []byte { return b }

func commentsLeftOut(_ string, b []byte) (out []byte) {
	for line := range bytes.Lines(b) {
		if line[0] != '#' && len(line) > 1 {
			out = append(out, line...)
		}
	}
	return out
}

// asEvents takes the events out of a file {"events": [{"message": text} or {"json": object}]}, one a line.
func asEvents(path string, b []byte) (out []byte) {
	var file struct {
		Events []struct {
			Message string
			JSON    json.RawMessage
		}
	}
	if !strings.HasSuffix(path, ".json") || json.Unmarshal(b, &file) != nil {
		return b
	}
	for _, e := range file.Events {
		var line bytes.Buffer
		if e.JSON == nil || json.Compact(&line, e.JSON) != nil {
			line.WriteString(strings.ReplaceAll(e.Message, "\n", " "))
		}
		out = append(append(out, line.Bytes()...), '\n')
	}
	return out
}

func writeLog(t *testing.T, folder, name string, lines []byte) {
	t.Helper()
	must(t, os.MkdirAll(folder, 0o755))
	if !bytes.HasSuffix(lines, []byte("\n")) {
		lines = append(slices.Clip(lines), '\n')
	}
	must(t, os.WriteFile(filepath.Join(folder, name+".log"), lines, 0o644))
}

var (
	saidOutput = regexp.MustCompile(`msg=output output=siem delivered=(\d+) filtered=(\d+) dead_letters=(\d+) waiting=(\d+)`)
	saidInput  = regexp.MustCompile(`msg=input lines=(\d+) parse_failures=(\d+)`)
)

// indexAll runs the agent once over the inputs, into a namespace of its own and into a file, and holds the two against each other and
// the documents against the mapping.
func indexAll(t *testing.T, node *testkit.Node, namespace, inputs string) {
	t.Helper()
	want, said, read := runInto(t, node, namespace, inputs)
	x := newIndexed(t, node, "logs-gatebook.*-"+namespace)
	for id := range want {
		if x.ids[id] != 1 {
			t.Errorf("record %s is %d times in the data streams", id, x.ids[id])
		}
	}
	if x.documents != len(want) || x.documents != said[0] || said[1] != 0 || said[2] != 0 || said[3] != 0 {
		t.Errorf("%d documents of %d records; the agent says %d delivered, %d filtered, %d dead letters, %d waiting", x.documents, len(want), said[0], said[1], said[2], said[3])
	}
	if n := node.Count("logs-gatebook.deadletter-" + namespace); n != 0 {
		t.Errorf("%d documents in the dead-letter stream", n)
	}
	for _, problem := range slices.Sorted(maps.Keys(x.problems)) {
		t.Errorf("%s: %d documents, such as %s", problem, x.problems[problem].n, x.problems[problem].example)
	}
	t.Logf("%s: %d lines and alerts read, %d parse failures, %d documents; %s", namespace, read[0], read[1], x.documents, x.kinds())
	x.logSizes()
}

// runInto runs the agent once over the inputs, and returns the records that it wrote into a file by id, and what it says that it
// delivered to the server (delivered, filtered, dead letters, waiting) and read (lines, parse failures).
func runInto(t *testing.T, node *testkit.Node, namespace, inputs string) (records map[string]json.RawMessage, said, read []int) {
	t.Helper()
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.ndjson")
	config := filepath.Join(dir, "gatebook.hcl")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "namespace = %q\n%s\noutput \"elasticsearch\" \"siem\" {\n  hosts = [%q]\n  setup = true\n}\noutput \"file\" \"copy\" {\n  path = %q\n}\n",
		namespace, inputs, node.URL(), copied), 0o640))
	p := testkit.Start(t, testkit.Gatebook(t), "run", "--once", "--config", config)
	if code := p.Wait(5 * time.Minute); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr())
	}
	if strings.Contains(p.Stderr(), "accounts do not add up") {
		t.Errorf("accounts do not add up:\n%s", p.Stderr())
	}
	said, read = numbers(t, saidOutput, p.Stderr()), numbers(t, saidInput, p.Stderr())

	records = map[string]json.RawMessage{}
	b, err := os.ReadFile(copied)
	must(t, err)
	for line := range bytes.Lines(b) {
		var d struct{ Event struct{ ID string } }
		must(t, json.Unmarshal(line, &d))
		if records[d.Event.ID] != nil {
			t.Errorf("record %s is in the file twice", d.Event.ID)
		}
		records[d.Event.ID] = line
	}
	return records, said, read
}

// indexHostile indexes lines that try to break a mapping. All become documents.
func indexHostile(t *testing.T, node *testkit.Node) {
	dir := t.TempDir()
	long := strings.Repeat("x", 40000)
	var deep, wide strings.Builder
	for i := range 50 {
		deep.WriteString(`{"d":`)
		fmt.Fprintf(&wide, `"m%d":{"a":%d},`, i, i)
	}
	writeLog(t, filepath.Join(dir, "logs", "json"), "hostile", []byte(`{"time":"2026-11-22T10:00:00Z","blob":"`+long+`"}
{"time":"2026-11-22T10:00:00Z","`+long+`":"key"}
{"time":"2026-11-22T10:00:00Z","user":"`+long+`","ip":"not an address","port":"a","`+"labels"+`":{"a.b":{"c":1},"a":{"b":2}}}
{"time":"2026-11-22T10:00:00Z","deep":`+deep.String()+`1`+strings.Repeat("}", 50)+`}
{"time":"2026-11-22T10:00:00Z",`+wide.String()+`"n":1}
{"time":"2026-11-22T10:00:00Z","n":1e400,"m":9223372036854775808,"o":-0,"p":[1,"a",{"b":null}],"q":null,"r":true}
{"time":"+292278995-01-01T00:00:00Z","a":"\u0000\ud800"}
{"time":"0000-00-00T00:00:00Z","":"empty",".":"dot","..":"dots","a..b":"x","*":"star"}
{"time":"2026-11-22T10:00:00Z","@timestamp":{"a":1},"event":"text","user":{"name":{"x":1}},"source":7}
`))
	writeLog(t, filepath.Join(dir, "logs", "linux_auth"), "hostile", []byte("Nov 22 10:00:00 web01 sshd[1]: Failed password for invalid user "+long+" from 203.0.113.1 port 99999999999 ssh2\n"+
		"Nov 22 10:00:00 "+long[:300]+" sshd[99999999999999999999]: Accepted password for a from fe80::1%eth0 port 22 ssh2\n"))
	records, said, _ := runInto(t, node, "hostile", sampleConfig(dir, map[string]string{filepath.Join(dir, "logs", "json"): "json", filepath.Join(dir, "logs", "linux_auth"): "linux_auth"}))
	x := newIndexed(t, node, "logs-gatebook.*-hostile")
	for id, record := range records {
		if x.ids[id] != 1 {
			t.Errorf("%d documents of %.500s", x.ids[id], record)
		}
	}
	if said[2] != 0 || said[0] != x.documents {
		t.Errorf("%d records, %d documents; the agent says %d delivered, %d dead letters", len(records), x.documents, said[0], said[2])
	}
	ignored := 0
	for problem, p := range x.problems {
		if ignored++; !strings.Contains(problem, " is ignored in ") {
			t.Errorf("%s: %d documents, such as %s", problem, p.n, p.example)
		}
	}
	t.Logf("hostile: %d records, %d fields ignored in some; %s", len(records), ignored, x.kinds())
}

// numbers are the figures of the last match.
func numbers(t *testing.T, re *regexp.Regexp, text string) (list []int) {
	t.Helper()
	all := re.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		t.Fatalf("no %s in\n%s", re, text)
	}
	for _, s := range all[len(all)-1][1:] {
		n, err := strconv.Atoi(s)
		must(t, err)
		list = append(list, n)
	}
	return list
}

// indexFaults proves that indexed sees what it is there for: a data stream whose mapping lacks a field, values that are ignored, and
// one of another type than the mapping says.
func indexFaults(t *testing.T, node *testkit.Node) {
	mappings := resolved(node, "logs-gatebook.linux.auth-older")["mappings"].(map[string]any)
	source := mappings["properties"].(map[string]any)["source"].(map[string]any)["properties"].(map[string]any)
	if source["ip"] == nil || source["port"] == nil {
		t.Fatalf("mapping of source: %v", source)
	}
	delete(source, "ip") // an older version had no source.ip
	source["port"] = map[string]any{"type": "keyword"}
	template, err := json.Marshal(map[string]any{"index_patterns": []string{"logs-gatebook.*-older"}, "data_stream": struct{}{}, "priority": 900, "template": map[string]any{"mappings": mappings}})
	must(t, err)
	node.Must("PUT", "/_index_template/older", string(template), nil)
	const stream = "logs-gatebook.linux.auth-older"
	long := strings.Repeat("x", 2000)
	for _, doc := range []string{
		`{"@timestamp":"2026-11-22T10:00:00Z","event":{"id":"1"},"source":{"ip":"192.0.2.1","port":22}}`,
		`{"@timestamp":"2026-11-22T10:00:00Z","event":{"id":"2"},"user":{"name":"` + long + `"}}`,
		`{"@timestamp":"2026-11-22T10:00:00Z","event":{"id":"3"},"nothing":{"of":{"ours":[1,"a"]}},"labels":{"a":{"b":"c"},"d":"` + long + `"}}`,
	} {
		node.Must("POST", "/"+stream+"/_doc", doc, nil)
	}
	x := newIndexed(t, node, "logs-gatebook.*-older")
	want := []string{"source.ip is not in the mapping of " + stream, "source.port is 22, which is no keyword", "user.name is ignored in " + stream, "nothing.of.ours is not in the mapping of " + stream}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(x.problems)); !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
	if got := x.kinds(); got != "2 leaves under flattened labels, 1 values of labels too long to be found" {
		t.Errorf("kinds of leaves: %s", got)
	}
}
