package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/agent/pipeline"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/parsers"
)

// Canaries are secrets that are each made once and stand in one line. After the real binary has read the lines with every parser,
// none may be found in anything that it wrote.

// canaries makes secrets and knows where each was put.
type canaries struct{ places []string }

// canaryWord is what all of them look like; also in base64 with "bob:" before it.
var canaryWord = regexp.MustCompile(`(?i)Cnry\d{5}xZ|` + base64.StdEncoding.EncodeToString([]byte("bob:Cnry"))[:10])

// into puts a new secret at each %%, so that none is found by another's place, and one in base64 at each $$.
func (c *canaries) into(parser, form string) string {
	out := form
	for strings.Contains(out, "%%") || strings.Contains(out, "$$") {
		secret := fmt.Sprintf("Cnry%05dxZ", len(c.places))
		c.places = append(c.places, parser+": "+form)
		if strings.Contains(out, "%%") {
			out = strings.Replace(out, "%%", secret, 1)
		} else {
			out = strings.Replace(out, "$$", base64.StdEncoding.EncodeToString([]byte("bob:"+secret)), 1)
		}
	}
	return out
}

// expectNone fails for each place whose secret is in the text.
func (c *canaries) expectNone(t *testing.T, where, text string) {
	t.Helper()
	told := map[string]bool{}
	for _, at := range canaryWord.FindAllStringIndex(text, -1) {
		found := text[at[0]:at[1]]
		if told[found] {
			continue
		}
		told[found] = true
		place := "?"
		if n, err := strconv.Atoi(strings.Trim(found, "CcNnRrYyXxZz")); err == nil && n < len(c.places) {
			place = c.places[n]
		}
		t.Errorf("%s: %s of %s: %q", where, found, place, text[max(0, at[0]-80):min(len(text), at[1]+20)])
	}
}

// canaryMark stands in every line and is no secret: where it is found, a secret would be, too.
const canaryMark = "openmark"

// canaryTexts are secrets in the text of a message.
var canaryTexts = []string{
	`login user=bob password=%% from=203.0.113.9`, `api_key: %%`, `New Password: %%`, `Authorization: Bearer %%`, `Authorization: Basic $$`,
	`Authorization: Digest username="bob", response="%%"`, `Cookie: session=%%; lang=en`, `Set-Cookie: sid=%%; HttpOnly`, `https://bob:%%@example.com/x`,
	`GET /cb#access_token=%%&x=1`, `GET /x?next=%2Fa%3Ftoken%3D%%%26x`, `GET /x?q=%7B%22password%22%3A%22%%%22%7D`, `GET /x?n=%252Fa%253Fpassword%253D%%%2526x`,
	`{"password":"%%"}`, `{"outer":"{\"New Password\":\"%%\"}"}`, `{"o":"{\"n\":\"{\\\"token\\\":\\\"%%\\\"}\"}"}`, `{"field":"password","old":"%%","new":"%%2"}`,
	`{"password":{"_old":"%%","_new":"%%2"}}`, `{"password__added":"%%"}`, `{"user":"bob","client_secret":"%%`, `<wsse:Password Type="t">%%</wsse:Password>`,
	`<password><![CDATA[%%]]></password>`, `-----BEGIN PRIVATE KEY-----\nMII%%\n-----END PRIVATE KEY-----`, `PGPASSWORD=%% psql`, `mysql -p%% db`, `curl -u bob:%% https://x`,
	`tool --password=%%`, `tool --token %%`, `otp=%%`, `JSESSIONID=%%`, `'password' => '%%'`, "\xff\xfepassword=%%\xc3", `&quot;password&quot;:&quot;%%&quot;`, `p%61ssword=%%`,
}

// canaryRows are what the sources themselves write.
var canaryRows = []string{
	`{"log_name":"default","description":"updated","event":"updated","subject_type":"App\\Models\\User","subject_id":5,"causer_type":"App\\Models\\Admin","causer_id":1,` +
		`"properties":{"attributes":{"name":"bob","password":"%%","remember_token":"%%"},"old":{"name":"al","password":"%%"}},"created_at":"2026-11-22T10:00:00Z"}`,
	`{"action":"update User","target":"bob@example.com","actor":"al@example.com","oldEntity":{"password":"%%"},"newEntity":{"password":"%%"},` +
		`"diff":{"password":{"_old":"%%","_new":"%%"},"apiKey__added":"%%","secret__deleted":"%%"},"timestamp":"2026-11-22T10:00:00Z"}`,
	`{"Action":"update Client","Target":"portal","Actor":"al","Old Entity":"{\"Client Secret\":\"%%\"}","New Entity":"{\"Client Secret\":\"%%\"}","Timestamp":"2026-11-22T10:00:00Z"}`,
	`{"notificationId":"n1","recipient":"bob@example.com","status":"sent","category":"mfa","subject":"Your code","body":"Your temporary password is %%, valid for a day.","createdAt":"2026-11-22T10:00:00Z"}`,
	`{"sessionId":"s1","protocol":"oidc","status":"active","claims":{"sub":"bob","access_token":"%%"},"createdAt":"2026-11-22T10:00:00Z"}`,
	`{"type":"LOGIN_ERROR","realmId":"master","clientId":"portal","userId":"u1","ipAddress":"203.0.113.9","error":"invalid_user_credentials","details":{"auth_method":"openid-connect","code_id":"c","refresh_token":"%%"},"time":1795341600000}`,
	`{"operationType":"UPDATE","resourceType":"USER","realmId":"master","resourcePath":"users/1","time":1795341600000,"representation":"{\"credentials\":[{\"type\":\"password\",\"value\":\"%%\"}]}"}`,
	`{"date":"2026-11-22T10:00:00.000Z","type":"sapi","description":"Update","ip":"203.0.113.9","details":{"request":{"method":"patch","path":"/api/v2/users/1","body":{"password":"%%","connection":"x"},"auth":{"credentials":{"jti":"j","token":"%%"}}}},"log_id":"1"}`,
	`{"eventType":"user.authentication.auth_via_mfa","published":"2026-11-22T10:00:00.000Z","uuid":"u","outcome":{"result":"FAILURE"},"actor":{"alternateId":"bob@example.com"},"debugContext":{"debugData":{"requestUri":"/x?token=%%","url":"/x?sessionToken=%%"}}}`,
	`{"time":"2026-11-22T10:00:00Z","user":"bob","entry":1,"status":5,"ip":"203.0.113.9","details":"password=%%"}`,
	`2026-11-22 10:00:00,bob,1,5,203.0.113.9,acme,s1,Mozilla,,password=%%`,
	`time=2026-11-22T10:00:00Z event=password_reset user=bob reset_token=%% ip=203.0.113.9`,
	`203.0.113.9 - bob [22/Nov/2026:10:00:00 +0000] "GET /login?user=bob&password=%%&q=%7B%22token%22%3A%22%%%22%7D HTTP/1.1" 200 12 "https://example.com/?code=1&access_token=%%" "agent password=%%"`,
	`203.0.113.9 - bob [22/Nov/2026:10:00:00 +0000] "GET /password/reset/8f14e%%5fcea167a HTTP/1.1" 200 12 "-" "-"`,
	`2026/11/22 10:00:00 [error] 7#7: *1 open() "/x" failed, client: 203.0.113.9, server: s, request: "GET /x?api_key=%% HTTP/1.1", host: "example.com", referrer: "https://bob:%%@example.com/"`,
	`[Sun Nov 22 10:00:00.000000 2026] [auth_basic:error] [pid 7] [client 203.0.113.9:40] AH01617: user bob: authentication failure for "/x?token=%%": Password Mismatch`,
	`{"@timestamp":"2026-11-22T10:00:00Z","message":"password=%%","event":{"original":"token=%%","action":"x"},"user":{"name":"bob"},"labels":{"password":"%%"},"agent":{"name":"secret=%%"},"http":{"request":{"body":{"content":"password=%%"}}}}`,
	`<86>1 2026-11-22T10:00:00Z web1 app 7 - [x@1 password="%%" user="bob"] login`,
	`Nov 22 10:00:00 web1 sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/mysql -u root -p%% db`,
	`Nov 22 10:00:00 web1 sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/curl -H 'Authorization: Bearer %%' https://x`,
	`no parser knows this, PASSWORD=%%`,
}

// canaryBlocks are configs of parsers that need one, and a line in which only the config tells that it holds a secret.
var canaryBlocks = map[string]struct{ block, line string }{
	"csv":   {"columns = [\"at\", \"user\", \"password\", \"note\"]\n  fields = { \"user.name\" = \"user\" }", `1,bob,%%,openmark`},
	"regex": {"pattern = \"^(?P<user>\\\\S+) knows (?P<password>\\\\S+) (?P<note>.*)$\"\n  fields = { \"user.name\" = \"user\" }", `bob knows %% openmark`},
}

const canaryLongest = 4 << 10 // max_line

// linesFor are the lines that one parser gets, all kinds for each: also those of other sources.
func (c *canaries) linesFor(parser string) []string {
	var lines []string
	add := func(form string) { lines = append(lines, c.into(parser, form)) }
	for _, text := range canaryTexts {
		text = canaryMark + " " + text
		quoted, _ := json.Marshal(map[string]string{"user": "bob", "message": strings.ToValidUTF8(text, "?")})
		add(text)
		add("Nov 22 10:00:00 web1 app[7]: " + text)
		add("<86>1 2026-11-22T10:00:00Z web1 app 7 - - " + text)
		add(string(quoted))
	}
	for _, row := range canaryRows {
		add(row)
		add("Nov 22 10:00:00 web1 app[7]: " + row)
		add(row[:len(row)-3]) // cut
		add("\xff\xfe" + row + "\xc3\x28")
	}
	pad := strings.Repeat("x", 2*canaryLongest)
	add(canaryMark + ` password=%% ` + pad)
	add(`{"a":"` + canaryMark + `","password":"%%","pad":"` + pad + `"}`)
	for cut := range 60 { // the limit falls into the key, into the secret, after it
		add(canaryMark + pad[:canaryLongest-40-len(canaryMark)+cut-30] + ` {"user":"bob","password":"%%","x":1} ` + pad)
	}
	if b, ok := canaryBlocks[parser]; ok {
		add(b.line)
	}
	return lines
}

// canaryConfig is the blocks for one parser, the same for the agent and for the test.
func canaryConfig(name string) (parser, block string) {
	if b, ok := canaryBlocks[name]; ok {
		return "canary_" + name, fmt.Sprintf("parser %q %q {\n  %s\n}\n", name, "canary_"+name, b.block)
	}
	return name, ""
}

func parserNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for name, spec := range parsers.Registry {
		if _, ok := canaryBlocks[name]; spec.NeedsBlock && !ok {
			t.Errorf("parser %s: it needs a block; write one in canaryBlocks", name)
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// refusingSink answers _bulk as Elasticsearch does, keeps what it is sent, and refuses every seventh item for good.
type refusingSink struct {
	mu      sync.Mutex
	bodies  bytes.Buffer
	items   int
	refused int
}

func (s *refusingSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasSuffix(r.URL.Path, "_bulk") {
		fmt.Fprint(w, `{"version":{"number":"8.17.0"},"acknowledged":true,"docs":[]}`)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.bodies, r.URL, r.Header)
	s.bodies.Write(text)
	answer, failed := []string(nil), false
	for n := range bytes.Count(text, []byte("\n")) / 2 {
		s.items++
		if n%7 == 3 && !bytes.Contains(text, []byte("deadletter")) {
			s.refused++
			failed = true
			answer = append(answer, `{"create":{"_index":".ds-x-000001","_id":"1","status":400,"error":{"type":"document_parsing_exception","reason":"no"}}}`)
			continue
		}
		answer = append(answer, `{"create":{"_index":".ds-x-000001","_id":"1","status":201,"result":"created"}}`)
	}
	fmt.Fprintf(w, `{"took":1,"errors":%v,"items":[%s]}`, failed, strings.Join(answer, ","))
}

func (s *refusingSink) state() (items, refused int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items, s.refused, s.bodies.String()
}

// No secret in any output, log line, metric, dead letter, buffer file, database or crash text.
func TestNoSecretGetsOut(t *testing.T) {
	if testing.Short() {
		t.Skip("drives the real binary; run without -short")
	}
	dir := t.TempDir()
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "data", "copy.ndjson")
	sink := &refusingSink{}
	server := httptest.NewServer(sink)
	defer server.Close()
	metrics := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	var c canaries
	config := fmt.Sprintf("data_dir = %q\ntimezone = \"UTC\"\nmetrics {\n  listen = %q\n}\noutput \"file\" \"copy\" { path = %q }\noutput \"store\" \"local\" {}\n"+
		"output \"elasticsearch\" \"siem\" {\n  hosts = [%q]\n}\n", data, metrics, out, server.URL)
	total := 0
	for _, name := range parserNames(t) {
		lines := c.linesFor(name)
		total += len(lines)
		path := filepath.Join(dir, name+".log")
		must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
		parser, block := canaryConfig(name)
		config += block + fmt.Sprintf("input \"file\" %q {\n  paths = [%q]\n  parser = %q\n  max_line = \"4KiB\"\n  poll = \"20ms\"\n}\n", name, path, parser)
	}
	must(t, os.WriteFile(filepath.Join(dir, "gatebook.hcl"), []byte(config), 0o640))
	binary := testkit.Gatebook(t)
	p := testkit.Start(t, binary, "run", "--config", filepath.Join(dir, "gatebook.hcl"))
	testkit.Eventually(t, 120*time.Second, func() error {
		select {
		case <-p.Done():
			t.Fatal("the agent ended")
		default:
		}
		if items, refused, _ := sink.state(); items < total || refused == 0 || lineCount(out) < total {
			return fmt.Errorf("%d of %d lines have come, %d refused; %d in the file", items, total, refused, lineCount(out))
		}
		return nil
	})
	for _, path := range []string{"/metrics", "/healthz"} {
		text := get(t, "http://"+metrics+path)
		if path == "/metrics" && !strings.Contains(text, "gatebook_") {
			t.Errorf("no metrics: %.200s", text)
		}
		c.expectNone(t, path, text)
	}
	var query *testkit.Process
	testkit.Eventually(t, 60*time.Second, func() error {
		query = testkit.Start(t, binary, "query", "--config", filepath.Join(dir, "gatebook.hcl"), "--output", "json", "--limit", "100000", "")
		query.Wait(60 * time.Second)
		if n := strings.Count(query.Stdout(), "\n"); n < total {
			return fmt.Errorf("the store has %d of %d events: %s", n, total, query.Stderr())
		}
		return nil
	})
	c.expectNone(t, "the store", query.Stdout())

	p.Signal(syscall.SIGQUIT) // what a fatal error of the runtime writes: the stacks of all goroutines
	<-p.Done()
	if !strings.Contains(p.Stderr(), "goroutine ") {
		t.Errorf("no stacks: %.300s", p.Stderr())
	}
	c.expectNone(t, "standard error with the crash text", p.Stderr())
	c.expectNone(t, "standard output", p.Stdout())
	_, _, bodies := sink.state()
	c.expectNone(t, "what Elasticsearch was sent", bodies)
	seen := map[string]bool{"elasticsearch": strings.Contains(bodies, canaryMark), "store": strings.Contains(query.Stdout(), canaryMark)}
	must(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(data, path)
		all := string(text) + unpacked(text)
		c.expectNone(t, rel, all)
		if strings.Contains(all, canaryMark) {
			seen[strings.SplitN(rel, string(filepath.Separator), 2)[0]] = true
		}
		return nil
	}))
	for _, where := range []string{"elasticsearch", "store", "copy.ndjson", "buffer", "deadletter"} {
		if !seen[where] {
			t.Errorf("%s: the mark is not found there, so no secret would be; looked at: %v", where, seen)
		}
	}
	t.Logf("%d lines with %d secrets, %d parsers", total, len(c.places), len(parserNames(t)))
}

// unpacked is what stands in the gzip members of a file, wherever they begin.
func unpacked(file []byte) string {
	var out bytes.Buffer
	for at := 0; ; at++ {
		n := bytes.Index(file[at:], []byte{0x1f, 0x8b, 0x08})
		if n < 0 {
			return out.String()
		}
		at += n
		z, err := gzip.NewReader(bytes.NewReader(file[at:]))
		if err != nil {
			continue
		}
		z.Multistream(false)
		_, _ = io.Copy(&out, io.LimitReader(z, 64<<20)) // cut members have a beginning as well
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// normalizeAll gives the documents of the lines of a parser.
func normalizeAll(t *testing.T, set *parsers.Set, envelope, parser string, enrichers []enrich.Enricher, lines []string) string {
	t.Helper()
	p, err := set.Open(envelope, parser)
	if err != nil {
		t.Fatal(err)
	}
	n := pipeline.Normalizer{Enrichers: enrichers}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	var out []byte
	for i, l := range lines {
		n.Line(p, &inputs.Source{Input: "x", Key: "k", Parser: parser}, inputs.Line{Text: l, Offset: int64(1 + i)}, event.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		out = append(enc.AppendDocument(out, &n.Event), '\n')
	}
	return string(out)
}

func canarySet(t *testing.T) *parsers.Set {
	t.Helper()
	src := ""
	for name := range canaryBlocks {
		_, block := canaryConfig(name)
		src += block
	}
	f, _ := conf.Parse("c.hcl", []byte(src))
	set, err := parsers.Build(f.Body().Blocks("parser", 2), parsers.Options{})
	if err = errors.Join(err, f.Diagnostics().Err()); err != nil {
		t.Fatal(err)
	}
	return set
}

// The canaries would be found: without redaction nearly every line's comes out, of each parser.
func TestCanariesComeOutWithoutRedaction(t *testing.T) {
	set := canarySet(t)
	for _, name := range parserNames(t) {
		var c canaries
		lines := c.linesFor(name)
		parser, _ := canaryConfig(name)
		text := normalizeAll(t, set, "", parser, nil, lines)
		found := map[string]bool{}
		for _, w := range canaryWord.FindAllString(text, -1) {
			found[w] = true
		}
		if len(found) < len(lines)-45 { // some of those at the limit stand beyond it here as there
			t.Errorf("%s: %d of %d canaries come out", name, len(found), len(lines))
		}
		var with canaries
		with.places = c.places
		with.expectNone(t, "parser "+name, normalizeAll(t, set, "", parser, enrich.FromConfig(enrich.Blocks{}, "", nil).Enrichers(), lines))
	}
}

// What the lines are wrapped in by the inputs syslog, journald and bulk holds secrets of its own.
func TestNoSecretGetsOutOfEnvelopes(t *testing.T) {
	set := canarySet(t)
	for envelope := range parsers.Envelopes {
		var c canaries
		var lines []string
		for _, text := range append(slices.Clone(canaryTexts), canaryRows...) {
			quoted, _ := json.Marshal(strings.ToValidUTF8(text, "?"))
			for _, form := range []string{
				`<86>1 2026-11-22T10:00:00Z web1 app 7 - [x@1 password="%%" q="token=%%"] ` + text,
				`{"MESSAGE":` + string(quoted) + `,"_CMDLINE":"tool --password=%%","_EXE":"/bin/tool","MY_TOKEN":"%%","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"app","REP":["password=%%","b"]}`,
				`{"@timestamp":"2026-11-22T10:00:00Z","message":` + string(quoted) + `,"agent":{"id":"secret=%%"},"process":{"command_line":"mysql -p%%"},"fields":{"api_key":"%%"}}`,
			} {
				lines = append(lines, c.into(envelope, form))
			}
		}
		for _, parser := range []string{"auto", "linux_auth", "json", "raw"} {
			if text := normalizeAll(t, set, envelope, parser, nil, lines); len(canaryWord.FindAllString(text, -1)) < len(lines) {
				t.Errorf("%s, %s: the canaries do not come out without redaction", envelope, parser)
			}
			c.expectNone(t, envelope+", "+parser, normalizeAll(t, set, envelope, parser, enrich.FromConfig(enrich.Blocks{}, "", nil).Enrichers(), lines))
		}
	}
}

// panicking is a parser that crashes, with a secret in what it says.
type panicking struct{}

func (panicking) Dataset() string { return event.DatasetPrefix + "raw" }

func (panicking) Parse(line parsers.Line, ev *event.Event) error {
	ev.Message, ev.Reason = line.Text, line.Text
	panic("index out of range in " + line.Text)
}

func TestParserPanicKeepsNoSecret(t *testing.T) {
	n := pipeline.Normalizer{Enrichers: enrich.FromConfig(enrich.Blocks{}, "", nil).Enrichers()}
	n.Line(panicking{}, &inputs.Source{}, inputs.Line{Text: "open password=Cnry00001xZ"}, 1)
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	doc := string(enc.AppendDocument(nil, &n.Event))
	if canaryWord.MatchString(doc) || !strings.Contains(doc, "open password=[redacted]") || !slices.Contains(n.Event.Tags, pipeline.TagParserPanic) {
		t.Error(doc)
	}
}
