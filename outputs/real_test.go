package outputs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// fast are options with short waits, for tests against real servers.
func fast(label string) Options {
	return Options{Label: label, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), RetryFirst: 20 * time.Millisecond, RetryMost: 200 * time.Millisecond, CommitEvery: 50 * time.Millisecond,
		Params: Params{Workers: 2}}
}

// realOutput makes an output that installs the templates at its start.
func realOutput(t *testing.T, c elastic.Config, setup bool) *elasticOutput {
	t.Helper()
	client, err := elastic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	o := newElastic("test", client, c.Gzip, setup, Env{Logger: quiet()})
	t.Cleanup(func() { o.Close() })
	return o
}

// stored counts what is in a stream by message.
func stored(n *testkit.Node, stream string) map[string]int {
	have := map[string]int{}
	n.Each(stream, []string{"message"}, func(h testkit.Hit) { have[message(h.Source)]++ })
	return have
}

// realServer runs what every server must pass: setup twice, create, 409 after a cut, 413, faults of all kinds, mapping
// conflicts, rollover with unknown outcome.
func realServer(t *testing.T, n *testkit.Node) {
	t.Run("setup", func(t *testing.T) { realSetup(t, n) })
	t.Run("faults", func(t *testing.T) { realFaults(t, n) })
	t.Run("dead letters", func(t *testing.T) { realDeadLetters(t, n) })
	t.Run("rollover", func(t *testing.T) { realRollover(t, n) })
	t.Run("back ends", func(t *testing.T) { realBackEnds(t, n) })
}

func TestElasticsearch(t *testing.T) { realServer(t, testkit.SharedElasticsearch(t, testkit.Full())) }

func TestOpenSearch(t *testing.T) { realServer(t, testkit.SharedOpenSearch(t)) }

func realSetup(t *testing.T, n *testkit.Node) {
	c, err := elastic.New(elastic.Config{Hosts: []string{n.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first, err := c.Setup(context.Background(), elastic.SetupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Setup(context.Background(), elastic.SetupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%q then %q", first, again)
	if slices.ContainsFunc(again, func(s elastic.Step) bool { return strings.Contains(s.Did, "installed") }) {
		t.Errorf("installed twice: %q", again)
	}
	n.Must("PUT", "/_index_template/gatebook", `{"index_patterns":["foreign-*"],"priority":1}`, nil)
	if _, err := c.Setup(context.Background(), elastic.SetupOptions{}); err == nil || !strings.Contains(err.Error(), "did not make") {
		t.Errorf("took over what is not ours: %v", err)
	}
	n.Must("DELETE", "/_index_template/gatebook", "", nil)
}

func realFaults(t *testing.T, n *testkit.Node) {
	for _, gzip := range []bool{true, false} {
		dataset := fmt.Sprintf("faults.gzip_%v", gzip)
		p := testkit.FaultProxy(t, n.URL())
		p.Random(42, testkit.Mixed()...)
		p.Next(testkit.FaultCutAfter(), testkit.FaultCutAfter(), testkit.FaultHalf(), testkit.FaultItemCount(1), testkit.FaultItemCount(-1))
		l := openLog(t, t.TempDir(), fmt.Sprintf("%032x", rand.Uint64()))
		for i := range 40 {
			l.add(buffer.Codec(i%3), fmt.Sprintf("%d.", i), dataset, 50)
		}
		o := fast("es")
		o.BatchBytes = 50_000
		once(t, l.reader("es"), realOutput(t, elastic.Config{Hosts: []string{p.URL()}, Gzip: gzip}, true), o)
		wantAll(t, stored(n, "logs-gatebook."+dataset+"-default"), l.total)
		t.Logf("faults met: %v", p.Counts())
		l.wantAccounts("es", l.total, 0, 0)
		l.Close()
	}
	// What the template promises.
	r := n.Search("logs-gatebook.faults.gzip_true-default", `{"size":1}`)
	if !strings.HasPrefix(r.Hits[0].Index, ".ds-") {
		t.Errorf("index %s is not of a data stream", r.Hits[0].Index)
	}
	t.Logf("%s", r.Hits[0].Source)
}

func realDeadLetters(t *testing.T, n *testkit.Node) {
	stream := "logs-gatebook.conflict-default"
	// A stream whose mapping does not fit: message must be a number.
	n.Must("PUT", "/_index_template/conflict", `{"index_patterns":["`+stream+`"],"data_stream":{},"priority":900,"template":{"mappings":{"properties":{"message":{"type":"long"}}}}}`, nil)
	dir := t.TempDir()
	l := openLog(t, t.TempDir(), fmt.Sprintf("%032x", rand.Uint64()))
	defer l.Close()
	l.add(buffer.Raw, "not a number ", "conflict", 3)
	l.add(buffer.Gzip, "7", "conflict", 2)
	var told []event.Event
	dl, err := OpenDeadLetters(DeadLetterOptions{DataDir: dir, Label: "es", Tell: func(_ context.Context, fill func(*event.Event)) error {
		var e event.Event
		fill(&e)
		told = append(told, e)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer dl.Close()
	o := fast("es")
	o.DeadLetters = dl
	once(t, l.reader("es"), realOutput(t, elastic.Config{Hosts: []string{n.URL()}, Gzip: true}, true), o)
	l.wantAccounts("es", 2, 0, 3)
	b, err := os.ReadFile(filepath.Join(dir, "deadletter", "es.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 3 || len(told) != 3 {
		t.Fatalf("%d letters, %d told", len(lines), len(told))
	}
	var letter Letter
	if err := json.Unmarshal([]byte(lines[0]), &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Status != 400 || letter.Stream != stream || message(letter.Document) != "not a number 0" || !strings.Contains(letter.Reason, "message") {
		t.Errorf("letter %+v", letter)
	}
	if told[0].Dataset != deadLetterDataset || told[0].DeadLetter.Reason != letter.Reason {
		t.Errorf("told %+v", told[0].DeadLetter)
	}
}

// A request is carried out, its answer lost, the stream rolled over, and the request sent again.
func realRollover(t *testing.T, n *testkit.Node) {
	dataset := "rollover"
	stream := "logs-gatebook." + dataset + "-default"
	dir := t.TempDir()
	p := testkit.FaultProxy(t, n.URL())
	l := openLog(t, dir, fmt.Sprintf("%032x", rand.Uint64()))
	l.add(buffer.Gzip, "first ", dataset, 10)
	out := realOutput(t, elastic.Config{Hosts: []string{p.URL()}, Gzip: true}, true)
	once(t, l.reader("es"), out, fast("es"))
	l.Close()
	l = openLog(t, dir, fmt.Sprintf("%032x", rand.Uint64()))
	defer l.Close()
	l.add(buffer.Gzip, "second ", dataset, 20)
	p.Next(testkit.FaultCutAfter())
	out = realOutput(t, elastic.Config{Hosts: []string{p.URL()}, Gzip: true}, false)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	o := fast("es")
	o.RetryFirst, o.RetryMost = 5*time.Second, 5*time.Second
	r := l.reader("es")
	go func() { done <- Run(ctx, r, out, o) }()
	testkit.Eventually(t, time.Minute, func() bool { return p.Count("cut-after") == 1 })
	n.Must("POST", "/"+stream+"/_rollover", "", nil)
	testkit.Eventually(t, time.Minute, func() bool { f, _ := Elastic(out); return f.Lookups >= 20 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantAll(t, stored(n, stream), 30)
	l.wantAccounts("es", 20, 0, 0)
}

// Users, keys and certificates: what works, and what a person is told when it does not.
func TestElasticsearchSecurity(t *testing.T) {
	n := testkit.SharedElasticsearch(t, testkit.Full(), testkit.Security())
	admin := elastic.Config{Hosts: []string{n.URL()}, Username: n.Username(), Password: n.Password(), CA: n.CAFile(), Gzip: true}
	send := func(c elastic.Config, dataset string, setup bool) (*elasticOutput, Figures) {
		t.Helper()
		l := openLog(t, t.TempDir(), fmt.Sprintf("%032x", rand.Uint64()))
		defer l.Close()
		l.add(buffer.Gzip, "x", dataset, 10)
		out := realOutput(t, c, setup)
		o, st := fast("es"), &Stats{}
		o.Stats, o.Logger = st, quiet()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		r := l.reader("es")
		go func() { done <- Run(ctx, r, out, o) }()
		testkit.Eventually(t, time.Minute, func() bool { f := st.Figures(); return f.Delivered == 10 || f.Problem != nil })
		f := st.Figures()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return out, f
	}
	if _, f := send(admin, "basic", true); f.Delivered != 10 {
		t.Errorf("user and password: %+v", f.Problem)
	}
	cert, key := n.ClientCertFiles()
	withCert := admin
	withCert.Cert, withCert.Key = cert, key
	if _, f := send(withCert, "cert", false); f.Delivered != 10 {
		t.Errorf("client certificate: %+v", f.Problem)
	}
	apiKey := func(privileges string) string {
		var key struct{ Encoded string }
		n.Must("POST", "/_security/api_key", `{"name":"agent","role_descriptors":{"r":{"cluster":["monitor"],"index":[{"names":["logs-gatebook.*"],"privileges":[`+privileges+`]}]}}}`, &key)
		return key.Encoded
	}
	writer := elastic.Config{Hosts: []string{n.URL()}, CA: n.CAFile(), Gzip: true, APIKey: apiKey(`"auto_configure","create_doc"`)}
	if _, f := send(writer, "apikey", false); f.Delivered != 10 {
		t.Errorf("API key: %+v", f.Problem)
	}

	told := func(c elastic.Config, dataset string, setup bool, status int, remedy string) {
		t.Helper()
		_, f := send(c, dataset, setup)
		if f.Problem == nil || f.State != StateHeld || f.Problem.Status != status || !strings.Contains(f.Problem.Remedy, remedy) {
			t.Errorf("got %+v, want status %d and remedy %q", f.Problem, status, remedy)
			return
		}
		if strings.Contains(f.Problem.Text, "wrong-password") || c.APIKey != "" && strings.Contains(f.Problem.Text, c.APIKey) {
			t.Errorf("a secret is told: %s", f.Problem.Text)
		}
		t.Logf("%s | %s", f.Problem.Text, f.Problem.Remedy)
	}
	wrong := admin
	wrong.Password = "wrong-password"
	told(wrong, "wrong", false, 401, "check api_key")
	noCA := admin
	noCA.CA = ""
	told(noCA, "noca", false, 0, "set ca to")
	reader := writer
	reader.APIKey = apiKey(`"read"`)
	told(reader, "readonly", false, 403, "create_doc")
	told(writer, "setup", true, 403, "manage_index_templates")

	t.Run("rollover without read", func(t *testing.T) {
		stream := "logs-gatebook.noread-default"
		p := testkit.FaultProxy(t, n.URL(), testkit.BackendTLS(n.TLS()))
		l := openLog(t, t.TempDir(), fmt.Sprintf("%032x", rand.Uint64()))
		defer l.Close()
		c := writer
		c.Hosts = []string{p.URL()}
		out := realOutput(t, c, false)
		l.add(buffer.Gzip, "first ", "noread", 5)
		o := fast("es")
		o.RetryFirst, o.RetryMost, o.Logger = 5*time.Second, 5*time.Second, quiet()
		o.Stats = &Stats{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		r := l.reader("es")
		go func() { done <- Run(ctx, r, out, o) }()
		testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Delivered == 5 })
		p.Next(testkit.FaultCutAfter())
		l.add(buffer.Gzip, "second ", "noread", 20)
		testkit.Eventually(t, time.Minute, func() bool { return p.Count("cut-after") == 1 })
		n.Must("POST", "/"+stream+"/_rollover", "", nil)
		testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Delivered == 25 })
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if f, _ := Elastic(out); f.PossibleDuplicates != 20 {
			t.Errorf("%d possible duplicates counted, want 20", f.PossibleDuplicates)
		}
		if got := n.Count(stream); got != 45 { // at least once: the 20 are there twice
			t.Errorf("%d documents", got)
		}
	})
}
