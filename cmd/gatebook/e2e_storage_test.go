package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/bench/gen"
	"github.com/gatebook/gatebook/internal/testkit"
)

var storageDocuments = flag.Int("storage", 0, "documents that TestStorageSettings indexes with each setting; 0 skips it")
var storageRounds = flag.Int("storage-rounds", 2, "how often TestStorageSettings tries each setting; 0 logs the bytes of fields alone")

// storageSettings are changes of the index settings that `setup` installs; nil takes one away.
var storageSettings = []struct {
	name   string
	change map[string]any
}{
	{"as installed", nil},
	{"codec default", map[string]any{"codec": "default"}},
	{"refresh 1s", map[string]any{"refresh_interval": "1s"}},
	{"refresh 30s", map[string]any{"refresh_interval": "30s"}},
	{"refresh not set", map[string]any{"refresh_interval": nil}},
	{"sorted by time", map[string]any{"sort": map[string]any{"field": "@timestamp", "order": "desc"}}},
	{"mode logsdb", map[string]any{"mode": "logsdb"}},
}

// TestStorageSettings measures what index settings cost: bytes on disk and processor time of the server per document, for lines of sshd
// and JSON audit lines in equal parts. The installed settings are tried once to warm the server up, and what each field takes is logged;
// then all in turn, and in the opposite order; the table has the means.
//
//	go test ./cmd/gatebook -run TestStorageSettings -storage 200000 -v -timeout 30m
func TestStorageSettings(t *testing.T) {
	if *storageDocuments == 0 {
		t.Skip("a measurement; run with -storage 200000")
	}
	node := testkit.Elasticsearch(t, testkit.Full(), testkit.Heap("1g"))
	docs := storageSample(t, node, *storageDocuments)
	installed := resolved(node, "logs-gatebook.linux.auth-storage")
	run := 0
	measure := func(change map[string]any) storageCost {
		run++
		return docs.index(t, node, installed, change, fmt.Sprint("run", run))
	}
	measure(nil)
	order := make([]int, len(storageSettings))
	for i := range order {
		order[i] = i
	}
	costs := make([]storageCost, len(storageSettings))
	for range *storageRounds {
		for _, i := range order {
			costs[i].add(measure(storageSettings[i].change))
		}
		slices.Reverse(order)
	}
	if *storageRounds == 0 {
		return
	}
	rounds := *storageRounds
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d documents of %d bytes each on average, one bulk request of %d at a time\n", docs.n, docs.bytes/docs.n, storageBulk)
	fmt.Fprintf(&b, "%-16s", "setting")
	for _, s := range docs.streams {
		fmt.Fprintf(&b, " %22s", s+" B/doc")
	}
	fmt.Fprintf(&b, " %12s %12s %10s %12s\n", "all B/doc", "index us/doc", "merge us", "documents/s")
	for i, c := range costs {
		n := float64(rounds * docs.n)
		fmt.Fprintf(&b, "%-16s", storageSettings[i].name)
		for _, s := range docs.streams {
			fmt.Fprintf(&b, " %22.1f", float64(c.bytes[s])/float64(rounds*docs.perStream[s]))
		}
		fmt.Fprintf(&b, " %12.1f %12.1f %10.1f %12.0f\n", float64(c.allBytes())/n, c.index.Seconds()*1e6/n, c.merge.Seconds()*1e6/n, n/c.wall.Seconds())
	}
	t.Log(b.String())
}

const storageBulk = 2000

// storageDocs are bulk requests without the data streams' namespace, which stands in them as storageNamespace.
type storageDocs struct {
	path      string
	n, bytes  int
	streams   []string
	perStream map[string]int
}

// storageSample has the agent make documents, and the server its templates.
func storageSample(t *testing.T, node *testkit.Node, n int) *storageDocs {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, lines func(io.Writer) error) {
		f, err := os.Create(filepath.Join(dir, name))
		must(t, err)
		must(t, lines(f))
		must(t, f.Close())
	}
	write("auth.log", func(w io.Writer) error { return gen.Auth(w, n/2, false) })
	write("audit.log", func(w io.Writer) error { return gen.Audit(w, n/2) })
	copied, config := filepath.Join(dir, "copy.ndjson"), filepath.Join(dir, "gatebook.hcl")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `data_dir  = "%[1]s/data"
timezone  = "UTC"
namespace = "storage"
health    = "0s"
input "file" "auth" {
  paths  = ["%[1]s/auth.log"]
  parser = "linux_auth"
}
input "file" "audit" {
  paths  = ["%[1]s/audit.log"]
  parser = "audit"
}
parser "json" "audit" {
  dataset = "audit"
  time    = { field = "timestamp", layouts = ["rfc3339"] }
  fields = {
    "event.code"           = "action"
    "event.outcome"        = "status"
    "user.id"              = "actor.id"
    "user.email"           = "actor.email"
    "gatebook.actor.type"  = "actor.type"
    "source.ip"            = "ip"
    "user_agent.original"  = "user_agent"
    "gatebook.target.type" = "entity.type"
    "gatebook.target.id"   = "entity.id"
    "gatebook.old"         = "changes.old"
    "gatebook.new"         = "changes.new"
  }
}
output "file" "copy" {
  path     = %[2]q
  max_size = "4GiB"
}
output "elasticsearch" "templates" {
  when  = event.code == "none"
  hosts = [%[3]q]
  setup = true
}
`, dir, copied, node.URL()), 0o640))
	p := testkit.Start(t, testkit.Gatebook(t), "run", "--once", "--config", config)
	if code := p.Wait(5 * time.Minute); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.Stderr())
	}
	docs := &storageDocs{path: copied, perStream: map[string]int{}}
	docs.each(t, func(stream, _ string, doc []byte) {
		docs.n++
		docs.bytes += len(doc)
		docs.perStream[stream]++
	})
	docs.streams = slices.Sorted(maps.Keys(docs.perStream))
	if docs.n != n/2*2 {
		t.Fatalf("%d documents of %d lines", docs.n, n)
	}
	return docs
}

func (d *storageDocs) each(t *testing.T, f func(stream, id string, doc []byte)) {
	t.Helper()
	file, err := os.Open(d.path)
	must(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var doc struct {
			Event struct{ ID, Dataset string }
		}
		must(t, json.Unmarshal(lines.Bytes(), &doc))
		f(doc.Event.Dataset, doc.Event.ID, lines.Bytes())
	}
	must(t, lines.Err())
}

// storageCost is what it took to index all documents.
type storageCost struct {
	bytes        map[string]int
	index, merge time.Duration // processor time of the server
	wall         time.Duration
}

func (c *storageCost) add(o storageCost) {
	if c.bytes == nil {
		c.bytes = map[string]int{}
	}
	for s, n := range o.bytes {
		c.bytes[s] += n
	}
	c.index, c.merge, c.wall = c.index+o.index, c.merge+o.merge, c.wall+o.wall
}

func (c *storageCost) allBytes() (n int) {
	for _, b := range c.bytes {
		n += b
	}
	return n
}

// index writes all documents into data streams of a namespace of their own and removes them again.
func (d *storageDocs) index(t *testing.T, node *testkit.Node, template map[string]any, change map[string]any, namespace string) storageCost {
	t.Helper()
	settings := map[string]any{}
	if s, ok := template["settings"].(map[string]any); ok {
		maps.Copy(settings, s["index"].(map[string]any))
	}
	for key, v := range change {
		if settings[key] = v; v == nil {
			delete(settings, key)
		}
	}
	body, err := json.Marshal(map[string]any{"index_patterns": []string{"*-" + namespace}, "data_stream": struct{}{}, "priority": 900,
		"template": map[string]any{"settings": map[string]any{"index": settings}, "mappings": template["mappings"]}})
	must(t, err)
	node.Must("PUT", "/_index_template/"+namespace, string(body), nil)

	cost := storageCost{bytes: map[string]int{}}
	begin, cpu := time.Now(), processorTime(t, node.Pid())
	var request strings.Builder
	inRequest := 0
	send := func() {
		var r struct {
			Errors bool
			Items  []json.RawMessage
		}
		node.Must("POST", "/_bulk?filter_path=errors,items.*.error", request.String(), &r)
		if r.Errors {
			t.Fatalf("refused: %.500s", r.Items)
		}
		request.Reset()
		inRequest = 0
	}
	d.each(t, func(stream, id string, doc []byte) {
		fmt.Fprintf(&request, "{\"create\":{\"_index\":\"logs-%s-%s\",\"_id\":%q}}\n%s\n", stream, namespace, id, doc)
		if inRequest++; inRequest == storageBulk {
			send()
		}
	})
	if inRequest > 0 {
		send()
	}
	node.Refresh("logs-*-" + namespace)
	cost.wall = time.Since(begin)
	cost.index = processorTime(t, node.Pid()) - cpu
	cpu = processorTime(t, node.Pid())
	for _, s := range d.streams {
		stream := "logs-" + s + "-" + namespace
		cost.bytes[s] = diskBytes(node, stream)
		if namespace == "run1" {
			logFields(t, node, stream, d.perStream[s])
		}
		node.Must("DELETE", "/_data_stream/"+stream, "", nil)
	}
	cost.merge = processorTime(t, node.Pid()) - cpu
	node.Must("DELETE", "/_index_template/"+namespace, "", nil)
	return cost
}

// logFields logs the fields that take most of a data stream's bytes.
func logFields(t *testing.T, node *testkit.Node, stream string, documents int) {
	t.Helper()
	var usage map[string]json.RawMessage
	node.Must("POST", "/"+stream+"/_disk_usage?run_expensive_tasks=true", "", &usage)
	type field struct {
		Total    int `json:"total_in_bytes"`
		Inverted struct {
			Total int `json:"total_in_bytes"`
		} `json:"inverted_index"`
		DocValues int `json:"doc_values_in_bytes"`
		Stored    int `json:"stored_fields_in_bytes"`
		Points    int `json:"points_in_bytes"`
		Norms     int `json:"norms_in_bytes"`
	}
	for index, raw := range usage {
		if index == "_shards" {
			continue
		}
		var u struct{ Fields map[string]field }
		must(t, json.Unmarshal(raw, &u))
		names := slices.SortedFunc(maps.Keys(u.Fields), func(a, b string) int { return u.Fields[b].Total - u.Fields[a].Total })
		var b strings.Builder
		per := func(n int) float64 { return float64(n) / float64(documents) }
		fmt.Fprintf(&b, "\n%s, bytes per document\n%-40s %8s %8s %8s %8s %8s %8s\n", stream, "field", "all", "inverted", "values", "stored", "points", "norms")
		for _, name := range names[:min(25, len(names))] {
			f := u.Fields[name]
			fmt.Fprintf(&b, "%-40s %8.2f %8.2f %8.2f %8.2f %8.2f %8.2f\n", name, per(f.Total), per(f.Inverted.Total), per(f.DocValues), per(f.Stored), per(f.Points), per(f.Norms))
		}
		t.Log(b.String())
	}
}

// resolved is what the server's templates make of an index of a name: its settings and mappings.
func resolved(node *testkit.Node, index string) map[string]any {
	var r struct{ Template map[string]any }
	node.Must("POST", "/_index_template/_simulate_index/"+index, "", &r)
	return r.Template
}

// processorTime is what a process has used, by itself and in the kernel.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	must(t, err)
	system, err := strconv.Atoi(fields[12])
	must(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is 1/100 s on every Linux
}
