package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gatebook/gatebook/outputs/elastic"
)

// What a setting or a part of the mapping costs a real server: the same documents of gatebook's (job B) go into one index per
// variant, each like ours but for one thing. Nothing is forced: the figure is what indexing, refreshes and merges took.

// variant is our index with one thing changed.
type variant struct {
	name     string
	settings map[string]any             // over ours
	mapping  func(props map[string]any) // changes the properties
	autoID   bool                       // without our _id
	drop     bool                       // without the final pipeline
}

var variants = []variant{
	{name: "as installed"},
	{name: "without the pipeline that sets event.ingested", drop: true},
	{name: "_id made by the server", autoID: true},
	{name: "codec default", settings: map[string]any{"codec": "default"}},
	{name: "refresh 1s", settings: map[string]any{"refresh_interval": "1s"}},
	{name: "refresh 30s", settings: map[string]any{"refresh_interval": "30s"}},
	{name: "translog async", settings: map[string]any{"translog.durability": "async"}},
	{name: "no .text sub-fields", mapping: func(p map[string]any) { each(p, "", func(_ string, m map[string]any) { delete(m, "fields") }) }},
	{name: "message not searchable", mapping: func(p map[string]any) { p["message"] = map[string]any{"type": "text", "index": false} }},
	{name: "event.id not indexed, no doc values", mapping: unindexed("event.id")},
	{name: "event.id without doc values", mapping: change("event.id", "doc_values", false)},
	{name: "log.offset not indexed, no doc values", mapping: unindexed("log.offset")},
	{name: "what hardly varies not indexed (doc values stay)", mapping: func(p map[string]any) {
		for _, f := range []string{"ecs.version", "data_stream.type", "data_stream.dataset", "data_stream.namespace", "agent.name", "agent.type", "agent.version", "agent.id", "agent.ephemeral_id", "log.file.path"} {
			change(f, "index", false)(p)
		}
	}},
	{name: "dates and numbers not indexed (doc values stay), @timestamp aside", mapping: func(p map[string]any) {
		each(p, "", func(f string, m map[string]any) {
			if t := m["type"]; f != "@timestamp" && (t == "date" || t == "long" || t == "integer" || t == "float") {
				m["index"] = false
			}
		})
	}},
	{name: "ten fields", drop: true, mapping: func(p map[string]any) {
		keep := []string{"@timestamp", "message", "host.name", "process.name", "process.pid", "event.action", "user.name", "source.ip", "source.port"}
		each(p, "", func(f string, m map[string]any) {
			if !slices.Contains(keep, f) {
				object := m["type"] != "keyword" && m["type"] != "text"
				clear(m)
				if m["type"] = "object"; object {
					m["enabled"] = false
				} else {
					m["type"], m["index"], m["doc_values"] = "keyword", false, false
				}
			} else {
				delete(m, "fields")
			}
		})
	}},
	{name: "nothing mapped, server's _id, no pipeline", drop: true, autoID: true, mapping: func(p map[string]any) {
		ts := p["@timestamp"]
		clear(p)
		p["@timestamp"] = ts
	}},
}

func unindexed(field string) func(map[string]any) {
	return func(p map[string]any) {
		change(field, "index", false)(p)
		change(field, "doc_values", false)(p)
	}
}

func change(field, key string, value any) func(map[string]any) {
	return func(p map[string]any) {
		each(p, "", func(f string, m map[string]any) {
			if f == field && m["type"] != "object" {
				m[key] = value
			}
		})
	}
}

// each visits the fields of a mapping.
func each(props map[string]any, prefix string, f func(name string, m map[string]any)) {
	for name, v := range props {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		if sub, ok := m["properties"].(map[string]any); ok {
			each(sub, prefix+name+".", f)
		}
		if _, ok := m["type"].(string); ok {
			f(prefix+name, m)
		}
	}
}

// mappings measures the variants whose names have one of the words ("all": each of them), the first among them always.
func (b *bench) mappings(ctx context.Context, words []string) error {
	docs, err := b.documents(ctx)
	if err != nil {
		return err
	}
	if b.real, err = startReal(ctx, b); err != nil {
		return err
	}
	settings, mapping, err := b.installed(ctx)
	if err != nil {
		return err
	}
	picked := variants[:1]
	for _, v := range variants[1:] {
		if slices.Contains(words, "all") || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(v.name, w) }) {
			picked = append(picked, v)
		}
	}
	type figures struct{ cpu, rate, disk []float64 }
	all := make([]figures, len(picked))
	for run := -1; run < b.runs; run++ {
		for i, v := range picked {
			if run < 0 && b.real.warm >= warmUp {
				break
			}
			b.say("run %d of %d: %s", run+1, b.runs, v.name)
			cpu, rate, disk, err := b.variant(ctx, v, docs, settings, mapping)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			b.real.warm += b.n
			b.say("  %.1f CPU-s/M, %.0f/s, %.0f B", cpu, rate, disk)
			if run >= 0 {
				all[i].cpu, all[i].rate, all[i].disk = append(all[i].cpu, cpu), append(all[i].rate, rate), append(all[i].disk, disk)
			}
		}
	}
	middle := func(v []float64) float64 { slices.Sort(v); return v[(len(v)-1)/2] }
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "variant\tserver CPU-s/M\tagainst the first\tdocs/s\tdisk B/doc\t")
	base := middle(all[0].cpu)
	for i, v := range picked {
		c := middle(all[i].cpu)
		fmt.Fprintf(tw, "%s\t%.1f\t%+.0f %%\t%.0f\t%.0f\t\n", v.name, c, 100*(c/base-1), middle(all[i].rate), middle(all[i].disk))
	}
	return tw.Flush()
}

// documents makes gatebook write the records of job B to a file.
func (b *bench) documents(ctx context.Context) (string, error) {
	data, err := b.data("auth")
	if err != nil {
		return "", err
	}
	state := filepath.Join(b.work, "run", "documents")
	if err := os.RemoveAll(state); err != nil {
		return "", err
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return "", err
	}
	out := filepath.Join(state, "records.ndjson")
	conf := filepath.Join(state, "gatebook.hcl")
	text := strings.NewReplacer("{data}", data, "{state}", state).Replace(gatebookHead + gatebookAuth + "output \"file\" \"out\" {\n  path = \"" + out + "\"\n  max_size = \"0B\"\n}\n")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", err
	}
	b.say("making documents")
	if msg, err := exec.CommandContext(ctx, b.binary, "run", "--once", "--config", conf).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make documents: %w\n%s", err, msg)
	}
	return out, nil
}

// installed is what our templates come to.
func (b *bench) installed(ctx context.Context) (settings, mapping map[string]any, err error) {
	client, err := elastic.New(elastic.Config{Hosts: []string{b.real.node.URL()}})
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	if _, err := client.Setup(ctx, elastic.SetupOptions{}); err != nil {
		return nil, nil, err
	}
	var t struct {
		Template struct{ Settings, Mappings map[string]any }
	}
	if err := b.real.must(ctx, "POST", "/_index_template/_simulate_index/logs-gatebook.linux.auth-default", "", &t); err != nil {
		return nil, nil, err
	}
	index, _ := t.Template.Settings["index"].(map[string]any)
	for _, name := range []string{"lifecycle", "mode"} {
		delete(index, name)
	}
	delete(t.Template.Mappings, "_data_stream_timestamp")
	return index, t.Template.Mappings, nil
}

// clone copies JSON.
func clone(m map[string]any) map[string]any {
	var out map[string]any
	text, _ := json.Marshal(m)     // it was JSON
	_ = json.Unmarshal(text, &out) // and still is
	return out
}

func (b *bench) variant(ctx context.Context, v variant, docs string, settings, mapping map[string]any) (cpu, rate, disk float64, err error) {
	const index = "bench-variant"
	settings, mapping = clone(settings), clone(mapping)
	settings["number_of_replicas"] = 0
	for k, s := range v.settings {
		settings[k] = s
	}
	if v.drop {
		delete(settings, "final_pipeline")
		delete(settings, "default_pipeline")
	}
	if props, ok := mapping["properties"].(map[string]any); ok && v.mapping != nil {
		v.mapping(props)
	}
	if err := b.real.clear(ctx, index); err != nil {
		return 0, 0, 0, err
	}
	body, err := json.Marshal(map[string]any{"settings": map[string]any{"index": settings}, "mappings": mapping})
	if err != nil {
		return 0, 0, 0, err
	}
	if err := b.real.must(ctx, "PUT", "/"+index, string(body), nil); err != nil {
		return 0, 0, 0, err
	}
	before, err := b.real.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	start := time.Now()
	if err := b.bulks(ctx, docs, index, v.autoID); err != nil {
		return 0, 0, 0, err
	}
	r := result{Docs: int64(b.n)}
	rate = float64(b.n) / time.Since(start).Seconds()
	if err := b.real.settle(ctx, index, before, &r); err != nil {
		return 0, 0, 0, err
	}
	if r.Trouble != "" {
		return 0, 0, 0, fmt.Errorf("%s", r.Trouble)
	}
	return r.ServerPerM, rate, r.DiskPerDoc, nil
}

// bulks sends the documents, two requests at a time, unpacked.
func (b *bench) bulks(ctx context.Context, docs, index string, autoID bool) error {
	f, err := os.Open(docs)
	if err != nil {
		return err
	}
	defer f.Close()
	bodies := make(chan []byte, 2)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			for body := range bodies {
				results <- send(ctx, b.real.node.URL()+"/"+index+"/_bulk?filter_path=errors,items.*.error.reason", body)
			}
		}()
	}
	defer close(bodies)
	running := 0
	give := func(body []byte) error {
		if running == 2 {
			running--
			if err := <-results; err != nil {
				return err
			}
		}
		running++
		bodies <- body
		return nil
	}
	var body []byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Bytes()
		action := "{\"create\":{}}\n"
		if !autoID {
			_, rest, _ := bytes.Cut(line, []byte(`"event":{"id":"`))
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			action = fmt.Sprintf("{\"create\":{\"_id\":%q}}\n", id)
		}
		body = append(append(append(body, action...), line...), '\n')
		if len(body) >= 2<<20 {
			if err := give(body); err != nil {
				return err
			}
			body = nil
		}
	}
	if err := sc.Err(); err != nil {
		return err
	}
	if len(body) > 0 {
		if err := give(body); err != nil {
			return err
		}
	}
	for range running {
		if err := <-results; err != nil {
			return err
		}
	}
	return nil
}

func send(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var answer struct {
		Errors bool
		Items  json.RawMessage
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read answer (status %d): %w", res.StatusCode, err)
	}
	if answer.Errors || res.StatusCode != http.StatusOK {
		return fmt.Errorf("bulk: status %d: %.400s", res.StatusCode, answer.Items)
	}
	return nil
}
