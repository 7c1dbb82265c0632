package outputs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/fsx"
	"github.com/gatebook/gatebook/internal/testkit"
)

// pager is a receiver of webhooks.
type pager struct {
	server *httptest.Server
	mu     sync.Mutex
	got    []page
	answer func(n int, p *page, w http.ResponseWriter) // n counts from 1; nil is 204
}

type page struct {
	Notification
	header http.Header
	body   []byte
	path   string
}

func newPager(t *testing.T) *pager {
	p := &pager{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		g := page{header: r.Header, body: body, path: r.URL.RequestURI()}
		if err := json.Unmarshal(body, &g.Notification); err != nil {
			t.Errorf("body %s: %v", body, err)
		}
		p.mu.Lock()
		p.got = append(p.got, g)
		n, answer := len(p.got), p.answer
		p.mu.Unlock()
		if answer == nil {
			w.WriteHeader(204)
			return
		}
		answer(n, &g, w)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *pager) pages() []page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]page(nil), p.got...)
}

// titles are those of the pages, with the answers' order.
func (p *pager) states() string {
	var out []string
	for _, g := range p.pages() {
		out = append(out, g.State+" "+g.Alerts[0].Key)
	}
	return strings.Join(out, ", ")
}

func (p *pager) output(t *testing.T, extra string, env Env) (*webhookOutput, Params) {
	t.Helper()
	out, params := makeOutput(t, "webhook", "url = \""+p.server.URL+"/secret-path\"\nallow = [\"127.0.0.0/8\", \"::1\"]\nrate = \"0\"\n"+extra, env)
	w := out.(*webhookOutput)
	w.gather.wait = 20 * time.Millisecond
	return w, params
}

func TestWebhookTellsWhatIsToBeTold(t *testing.T) {
	p := newPager(t)
	out, params := p.output(t, `secret = env("S")
headers = { Authorization = "Bearer x", X-Team = "soc" }`, Env{Version: "9"})
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.add(0, "an event ", "linux.auth", 3)
	tag := func(e *event.Event) { e.Tag(backfillTag) }
	shadow := func(e *event.Event) { e.Alert.Mode = "shadow" }
	l.addAlerts(
		alert("1", "e1", "bob"), alert("2", "e1", "203.0.113.9"), // one event, two groupings
		alert("3", "e2", "eve", level(severityMedium)), alert("4", "e3", "old", tag), alert("5", "e4", "shadow", shadow),
		alert("6", "e5", "again", state("update")), alert("1", "e1", "bob", state("close")))
	once(t, l.reader("w"), out, fastOptions(params))
	got := p.pages()
	if len(got) != 2 || got[0].State != "open" || got[1].State != "close" {
		t.Fatalf("told %s", p.states())
	}
	n := got[0]
	if k := strings.Join(n.Keys(), "; "); k != "source.ip = bob; source.ip = 203.0.113.9" {
		t.Errorf("keys %s", k)
	}
	if n.Title != "5 failed logins for bob" || n.Rule.Name != "Many failed logins for an address" || n.URL != "https://kibana.example.com/app/discover#/?_a=(index:gatebook-events)" || n.Rule.ID != "auth.bruteforce" || n.Severity != (NotifiedLevel{"high", 73}) || n.User != "bob" || n.Event != "e1" || n.Source != "203.0.113.9" {
		t.Errorf("notification %s", n.body)
	}
	h := n.header
	if h.Get("Authorization") != "Bearer x" || h.Get("X-Team") != "soc" || h.Get("Content-Type") != "application/json" || h.Get("User-Agent") != "gatebook/9" || h.Get(deliveryHeader) != n.ID {
		t.Errorf("headers %v", h)
	}
	at, _, _ := strings.Cut(strings.TrimPrefix(h.Get(SignatureHeader), "t="), ",")
	unix := json.Number(at)
	sec, err := unix.Int64()
	if err != nil || sign([]byte("0123456789abcdef"), n.body, time.Unix(sec, 0)) != h.Get(SignatureHeader) {
		t.Errorf("signature %q", h.Get(SignatureHeader))
	}
	l.wantAccounts("w", 3, 7, 0)
}

// A straggler of an event that was told already, and what is sent again after a crash.
func TestWebhookTellsOfAnEventOnce(t *testing.T) {
	p := newPager(t)
	dir := t.TempDir()
	out, params := p.output(t, "", Env{})
	l := openLog(t, dir, epochA)
	l.addAlerts(alert("1", "e1", "bob"))
	r := l.reader("w")
	once(t, r, out, fastOptions(params))
	l.addAlerts(alert("2", "e1", "203.0.113.9"))
	once(t, r, out, fastOptions(params))
	if got := p.pages(); len(got) != 1 {
		t.Errorf("told %s", p.states())
	}
	if f, _ := Notify(out); f.Sent != 1 || f.Folded != 1 {
		t.Errorf("figures %+v", f)
	}
	// What was sent and not committed is sent again, with the same id.
	again, _ := p.output(t, "", Env{})
	once(t, l.reader("other"), again, fastOptions(params))
	if got := p.pages(); len(got) != 2 || got[0].ID != got[1].ID || got[0].header.Get(deliveryHeader) != got[1].header.Get(deliveryHeader) {
		t.Errorf("told %s", p.states())
	}
	l.Close()
}

func TestWebhookAnswers(t *testing.T) {
	f := func(name string, answer func(n int, p *page, w http.ResponseWriter), want string, delivered, dead int) {
		t.Helper()
		p := newPager(t)
		p.answer = answer
		out, params := p.output(t, "", Env{})
		dir := t.TempDir()
		l := openLog(t, dir, epochA)
		defer l.Close()
		l.addAlerts(alert("1", "e1", "a"), alert("2", "e2", "b"), alert("3", "e3", "c"))
		letters, err := OpenDeadLetters(DeadLetterOptions{DataDir: dir, Label: "x"})
		if err != nil {
			t.Fatal(err)
		}
		defer letters.Close()
		o := fastOptions(params)
		o.DeadLetters = letters
		once(t, l.reader("w"), out, o)
		got := strings.Split(p.states(), ", ")
		slices.Sort(got) // what is sent again comes in an order of chance
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: told %s", name, got)
		}
		if dead > 0 {
			if s := readFile(t, filepath.Join(dir, "deadletter", "x.ndjson")); !strings.Contains(s, `"type":"notification_refused"`) || !strings.Contains(s, "no such field") || strings.Contains(s, "secret-path") {
				t.Errorf("%s: dead letter %s", name, s)
			}
		}
		l.wantAccounts("w", delivered, 0, dead)
	}
	is := func(p *page, key string) bool { return p.Alerts[0].Key == key }
	f("refused", func(_ int, p *page, w http.ResponseWriter) {
		if is(p, "b") {
			w.WriteHeader(400)
			io.WriteString(w, "no such field\n")
		}
	}, "open a, open b, open c", 2, 1)
	f("one fails twice, the others pass it by", func(n int, p *page, w http.ResponseWriter) {
		if is(p, "a") && n < 5 {
			w.WriteHeader(500)
		}
	}, "open a, open a, open a, open b, open c", 3, 0)
	f("busy", func(n int, p *page, w http.ResponseWriter) {
		if n < 3 {
			w.WriteHeader(429)
		}
	}, "open a, open a, open a, open b, open c", 3, 0)
	f("cut", func(n int, p *page, w http.ResponseWriter) {
		if n == 2 {
			panic(http.ErrAbortHandler)
		}
	}, "open a, open b, open b, open c", 3, 0)
	f("wrong token, mended", func(n int, p *page, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(401)
		}
	}, "open a, open a, open b, open c", 3, 0)
}

func TestWebhookHonoursRetryAfter(t *testing.T) {
	p := newPager(t)
	var second time.Time
	first := time.Time{}
	p.answer = func(n int, _ *page, w http.ResponseWriter) {
		if n == 1 {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
			return
		}
		second = time.Now()
	}
	out, params := p.output(t, "", Env{})
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(alert("1", "e1", "a"))
	once(t, l.reader("w"), out, fastOptions(params))
	if len(p.pages()) != 2 || second.Sub(first) < 990*time.Millisecond {
		t.Errorf("%d requests, %v apart", len(p.pages()), second.Sub(first))
	}
}

// hold runs an output until it is held, and returns what it says of that.
func hold(t *testing.T, out Output, params Params) *Problem {
	t.Helper()
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(alert("1", "e1", "a"))
	o := fastOptions(params)
	o.Stats = &Stats{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, l.reader("w"), out, o) }()
	testkit.Eventually(t, 20*time.Second, func() bool { return o.Stats.Figures().Problem != nil })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return o.Stats.Figures().LastProblem
}

// A name that leads to this machine is not dialled, nor is a redirect followed.
func TestWebhookAddressGuard(t *testing.T) {
	p := newPager(t)
	url := strings.Replace(p.server.URL, "127.0.0.1", "localhost", 1)
	out, params := makeOutput(t, "webhook", "url = \""+url+"/secret-path\"\nallow = [\"192.0.2.0/24\"]", Env{})
	out.(*webhookOutput).gather.wait = time.Millisecond
	problem := hold(t, out, params)
	if !problem.Hold || !strings.Contains(problem.Text, "an address of this machine") || strings.Contains(problem.Text, "secret-path") || !strings.Contains(problem.Remedy, "allow = ") {
		t.Errorf("problem %+v", problem)
	}
	if len(p.pages()) != 0 {
		t.Error("dialled")
	}

	secrets := newPager(t)
	p.answer = func(_ int, _ *page, w http.ResponseWriter) {
		w.Header().Set("Location", secrets.server.URL+"/latest/meta-data")
		w.WriteHeader(307)
	}
	out, params = p.output(t, "", Env{})
	problem = hold(t, out, params)
	if !problem.Hold || problem.Status != 307 || !strings.Contains(problem.Remedy, "redirects") {
		t.Errorf("problem %+v", problem)
	}
	if len(secrets.pages()) != 0 {
		t.Error("redirect followed")
	}
}

// A server that takes nothing is asked with one notification at a time, and it is the output that is in trouble, not a stream.
func TestWebhookBusy(t *testing.T) {
	p := newPager(t)
	p.answer = func(_ int, _ *page, w http.ResponseWriter) { w.WriteHeader(429) }
	out, params := p.output(t, "", Env{})
	if problem := hold(t, out, params); problem.Stream != "" || problem.Hold || problem.Status != 429 {
		t.Errorf("problem %+v", problem)
	}
	out, params = p.output(t, "", Env{})
	p.server.Close()
	if problem := hold(t, out, params); problem.Stream != "" || problem.Hold || strings.Contains(problem.Text, "secret-path") {
		t.Errorf("problem %+v", problem)
	}
}

// `when` narrows what an output takes by itself.
func TestBoth(t *testing.T) {
	is := func(s string) func(*event.Event) bool { return func(e *event.Event) bool { return e.Message == s } }
	e := &event.Event{Message: "a"}
	if both(nil, nil) != nil || !both(is("a"), nil)(e) || both(nil, is("b"))(e) || both(is("a"), is("b"))(e) || both(is("b"), is("a"))(e) || !both(is("a"), is("a"))(e) {
		t.Error("not both")
	}
	file, _ := conf.Parse("g.hcl", []byte("output \"webhook\" \"x\" {\nurl = \"https://h.example/\"\nwhen = true\n}"))
	_, p := New("webhook", "x", file.Body().Blocks("output", 2)[0].Body, Env{Compile: func(*conf.Body, hcl.Expression) func(*event.Event) bool {
		return func(*event.Event) bool { return true }
	}})
	if p.Match(e) {
		t.Error("when widens what a webhook takes")
	}
}

// The environment names no proxy for notifications.
func TestWebhookProxyIsOfTheConfigOnly(t *testing.T) {
	proxy := newPager(t)
	t.Setenv("HTTP_PROXY", proxy.server.URL)
	t.Setenv("http_proxy", proxy.server.URL)
	p := newPager(t)
	out, _ := p.output(t, "", Env{})
	if out.hook.transport.Proxy != nil {
		t.Error("proxy from the environment")
	}
	out, params := p.output(t, "proxy = \""+proxy.server.URL+"\"", Env{})
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(alert("1", "e1", "a"))
	once(t, l.reader("w"), out, fastOptions(params))
	if len(proxy.pages()) != 1 || len(p.pages()) != 0 {
		t.Errorf("proxy got %d, server %d", len(proxy.pages()), len(p.pages()))
	}
}

// An answer without end is cut off, its text is bounded and clean.
func TestWebhookBoundsAnswers(t *testing.T) {
	p := newPager(t)
	p.answer = func(n int, _ *page, w http.ResponseWriter) {
		w.WriteHeader(400)
		junk := bytes.Repeat([]byte("\x1b[31m\r\nevil "), 1000)
		for range 100_000 {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
		t.Error("all of a huge answer was read")
	}
	out, _ := p.output(t, "", Env{})
	a := out.hook.post(context.Background(), "0", []byte("{}"))
	if !a.refused || len(a.reason) > 400 || strings.ContainsAny(a.reason, "\r\n\x1b") {
		t.Errorf("answer %+v", a)
	}
}

func TestWebhookTemplates(t *testing.T) {
	p := newPager(t)
	var log bytes.Buffer
	// What is written between quotes by hand breaks with the first quote; the alert is told all the same.
	out, params := p.output(t, `body = "{\"state\": {{json .State}}, \"title\": \"{{slice .Title 0 2}}\", \"alerts\": {{json .Alerts}} }"`, Env{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	l.addAlerts(alert("1", "e1", "a"), alert("2", "e2", "b", func(e *event.Event) { e.Message = `"""""""` }), alert("3", "e3", "c", func(e *event.Event) { e.Message = "x" }))
	once(t, l.reader("w"), out, fastOptions(params))
	got := p.pages()
	if len(got) != 3 || got[0].Version != 0 || got[0].Title != "5 " || got[1].Version != 1 || got[1].Title != `"""""""` || got[2].Version != 1 {
		t.Errorf("got %s", p.states())
	}
	if f, _ := Notify(out); f.Fallbacks != 2 {
		t.Errorf("figures %+v", f)
	}
	if n := strings.Count(log.String(), "template of a notification fails"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// A template reads nothing but the notification.
func TestTemplateReadsNothing(t *testing.T) {
	for _, src := range []string{`{{env "HOME"}}`, `{{file "/etc/passwd"}}`, `{{readFile "/etc/passwd"}}`, `{{template "slack"}}`, `{{.Secret}}`, `{{.items}}`, `{{range 100000000}}xxxxxxxxxxxxxxxxxxxxxxxx{{end}}`} {
		tm, err := parseTemplate(src)
		if err == nil {
			_, err = tm.render(sampleNotification(), false)
		}
		if err == nil {
			t.Errorf("%s works", src)
		}
	}
}

func TestNotifyConfig(t *testing.T) {
	f := func(kind, src, want string) {
		t.Helper()
		file, ds := conf.Parse("g.hcl", []byte("output \""+kind+"\" \"x\" {\n"+src+"\n}\n"), conf.WithEnv(func(string) (string, bool) { return "secret-of-env", true }))
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		New(kind, "x", file.Body().Blocks("output", 2)[0].Body, Env{DataDir: t.TempDir(), Compile: func(*conf.Body, hcl.Expression) func(*event.Event) bool { return nil }})
		if got := file.Diagnostics().Error(); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", src, got, want)
		}
	}
	const u = "url = \"https://h.example/x\"\n"
	f("webhook", u, "")
	f("webhook", `url = env("U")`, `g.hcl:2:7: url: wants http:// or https:// and a host name, such as https://hooks.example.com/T/B/X`)
	f("webhook", `url = "https://u:p@h.example/"`, `g.hcl:2:7: url: names and passwords do not belong in an address; write headers = { Authorization = env("HOOK_AUTH") }`)
	f("webhook", u+`headers = { "X-A" = "a\r\nX-B: b" }`, `g.hcl:3:21: headers: the value of X-A has a line break or another control character`)
	f("webhook", u+`headers = { Host = "h" }`, `g.hcl:3:20: headers: Host is set by Gatebook`)
	f("webhook", u+`allow = ["localhost"]`, `g.hcl:3:9: allow: wants addresses or networks such as "127.0.0.0/8"`)
	f("webhook", u+`states = ["opened"]`, `g.hcl:3:10: states: wants some of "open", "update", "close"`)
	f("webhook", u+`template = "slak"`, `g.hcl:3:12: template: wants "default", "slack", "teams" or the path of a file, such as "./pager.tmpl"`)
	f("webhook", u+`body = "{\"t\": {{.Title}}}"`, `g.hcl:3:8: body: what the template makes is no valid JSON`)
	f("webhook", u+`body = "{{json .Titel}}"`, `g.hcl:3:8: body: template: notification:1:7: executing "notification" at <.Titel>: can't evaluate field Titel in type *outputs.Notification`)
	f("webhook", u+`rate = "fast"`, `g.hcl:3:8: rate: wants a number and a unit, such as "60/m" or "10/h", or "0" for no bound`)
	f("webhook", u+`secret = "literal"`, `g.hcl:3:10: warning: secret: a secret in the config is read by all who may read the config; better env("NAME") or file("PATH")`)
	const m = "server = \"mail.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n"
	f("email", m, "")
	f("email", ``, `g.hcl:1:1: output "email" "x": attribute "server" is missing; write server = "smtp.example.org:587"
g.hcl:1:1: output "email" "x": attribute "from" is missing; write from = "Gatebook <gatebook@example.org>"
g.hcl:1:1: output "email" "x": attribute "to" is missing; write to = ["soc@example.org"]`)
	f("email", m+"tls = \"none\"\nusername = \"u\"\npassword = env(\"P\")", `g.hcl:5:7: tls: a password is not sent without TLS`)
	f("email", strings.Replace(m, "b@example.org", "b@example.org\\r\\nBcc: c@example.org", 1), `g.hcl:4:6: to: wants addresses such as "soc@example.org"`)
}

// However often the power goes, every alert is told, and what is told again has the same id.
func TestWebhookThroughCrashes(t *testing.T) {
	p := newPager(t)
	rng := rand.New(rand.NewPCG(7, 7))
	mem, total := fsx.NewMem(), 0
	for round := range 6 {
		out, params := p.output(t, "", Env{})
		out.gather.wait = time.Millisecond
		l := openLogFS(t, mem, "/log", fmt.Sprintf("%032d", round))
		for i := range 10 {
			n := fmt.Sprint(round, ".", i)
			l.addAlerts(alert(n, "event "+n, "a "+n), alert(n+"b", "event "+n, "b "+n))
			total++
		}
		if round == 5 {
			once(t, l.reader("w"), out, fastOptions(params))
			l.Close()
			break
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		r := l.reader("w")
		go func() { done <- Run(ctx, r, out, fastOptions(params)) }()
		want := len(p.pages()) + rng.IntN(8)
		testkit.Eventually(t, 20*time.Second, func() bool { return len(p.pages()) >= want })
		mem = mem.Cut(rng)
		cancel()
		<-done
		l.Close()
	}
	ids := map[string]string{}
	for _, g := range p.pages() {
		if was, ok := ids[g.ID]; ok && was != g.Event {
			t.Errorf("id %s for %s and %s", g.ID, was, g.Event)
		}
		ids[g.ID] = g.Event
	}
	if len(ids) != total {
		t.Errorf("%d events told, want %d", len(ids), total)
	}
}
