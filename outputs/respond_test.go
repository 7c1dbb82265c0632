package outputs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// actor is the receiver of a respond webhook.
type actor struct {
	server *httptest.Server
	mu     sync.Mutex
	got    []asked
	status int
}

type asked struct {
	ID, Phase, Action, Rule, Alert string
	Target                         respondTarget
	TTL                            int64
	By                             string `json:"approved_by"`
}

func newActor(t *testing.T) *actor {
	a := &actor{}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var g asked
		if err == nil {
			err = json.Unmarshal(body, &g)
		}
		if err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		sig := r.Header.Get(SignatureHeader)
		at := time.Time{}
		var unix int64
		if _, err := fmt.Sscanf(sig, "t=%d,", &unix); err == nil {
			at = time.Unix(unix, 0)
		}
		if sig != sign([]byte("0123456789abcdef"), body, at) {
			t.Errorf("signature %q", sig)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, g)
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
	}))
	t.Cleanup(a.server.Close)
	return a
}

// phases is what was asked, in order.
func (a *actor) phases() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, g := range a.got {
		out = append(out, g.Phase+" "+g.Target.String())
	}
	return strings.Join(out, ", ")
}

// responding is a Responder with a clock and an ear.
type responding struct {
	*Responder
	t     *testing.T
	now   time.Time
	told  []string
	evs   []event.Event
	alert int
}

func (a *actor) responder(t *testing.T, dataDir, extra string) *responding {
	t.Helper()
	return newResponding(t, dataDir, `respond "disable_user" {
  url = "`+a.server.URL+`"
  allow = ["127.0.0.1"]
  target = "user"
  secret = env("S")
`+extra+"\n}")
}

func newResponding(t *testing.T, dataDir, src string) *responding {
	t.Helper()
	x := &responding{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	file, ds := conf.Parse("g.hcl", []byte(src), conf.WithEnv(func(string) (string, bool) { return "0123456789abcdef", true }))
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	var mu sync.Mutex
	x.Responder, _ = RespondFromConfig(file.Body().Blocks("respond", 1), Env{DataDir: dataDir, Logger: quiet(), Tell: func(_ context.Context, fill func(*event.Event)) error {
		var e event.Event
		fill(&e)
		mu.Lock()
		defer mu.Unlock()
		x.told, x.evs = append(x.told, e.Code), append(x.evs, e)
		return nil
	}})
	file.Body().Close()
	if err := file.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	x.Responder.now = func() time.Time { return x.now }
	if err := x.load(); err != nil {
		t.Fatal(err)
	}
	return x
}

// ask lets an alert about a user ask for something.
func (x *responding) ask(user, ask string, change ...func(*event.Event)) {
	x.t.Helper()
	x.alert++
	x.now = x.now.Add(time.Millisecond)
	var e event.Event
	alert(fmt.Sprint("alert", x.alert), "e", "k", append(change, func(e *event.Event) { e.User.Name, e.UserKey, e.Alert.Mode = user, "", "respond" })...)(&e)
	if err := x.asked(context.Background(), &e, ask); err != nil {
		x.t.Fatal(err)
	}
}

func (x *responding) after(d time.Duration) {
	x.now = x.now.Add(d)
	x.step(context.Background())
}

func (x *responding) waits() []Pending {
	x.t.Helper()
	p, err := Approvals(x.dir)
	if err != nil {
		x.t.Fatal(err)
	}
	return p
}

func (x *responding) want(a *actor, phases, told string) {
	x.t.Helper()
	if got := a.phases(); got != phases {
		x.t.Errorf("asked %q, want %q", got, phases)
	}
	if got := strings.Join(x.told, ", "); got != told {
		x.t.Errorf("told %q, want %q", got, told)
	}
}

const ready = "dry_run = false"

func TestRespondApproved(t *testing.T) {
	a := newActor(t)
	dir := t.TempDir()
	x := a.responder(t, dir, ready)
	x.ask("bob", "disable_user ttl=1h0m0s approve=auto") // the config says manual
	x.after(time.Minute)
	p := x.waits()
	if len(p) != 1 || p[0].Action != "disable_user" || p[0].Target != "bob" || p[0].Rule != "auth.bruteforce" || p[0].TTL != time.Hour || p[0].Expires != p[0].Created.Add(24*time.Hour) {
		t.Fatalf("pending %+v", p)
	}
	info, err := os.Stat(filepath.Join(dir, "respond", "pending", p[0].ID+".json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v: %v", info.Mode(), err)
	}
	x.want(a, "", "pending")
	if err := Approve(x.dir, p[0].ID, "alice\r\nroot"); err != nil {
		t.Fatal(err)
	}
	if len(x.waits()) != 0 {
		t.Error("waits still")
	}
	if err := Deny(x.dir, p[0].ID, "mallory"); !errors.Is(err, ErrDecided) {
		t.Errorf("decided twice: %v", err)
	}
	x.after(time.Second)
	x.want(a, "do bob", "pending, approved, done")
	x.after(59 * time.Minute)
	x.want(a, "do bob", "pending, approved, done")
	x.after(2 * time.Minute)
	x.after(time.Hour)
	x.want(a, "do bob, undo bob", "pending, approved, done, undone")
	g := a.got[1]
	if g.ID != p[0].ID || g.Action != "disable_user" || g.TTL != 3600 || g.By != "alice  root" || g.Alert != "alert1" || g.Rule != "auth.bruteforce" || g.Target.Type != "user" {
		t.Errorf("asked %+v", g)
	}
	e := x.evs[2]
	if e.Dataset != "gatebook.respond" || e.User.Name != "alice  root" || e.UserTarget.Name != "bob" || e.Rule.ID != "auth.bruteforce" || e.Outcome != event.Success {
		t.Errorf("told %+v", e)
	}
}

func TestRespondDenied(t *testing.T) {
	a := newActor(t)
	x := a.responder(t, t.TempDir(), ready)
	x.ask("bob", "disable_user")
	if err := Deny(x.dir, x.waits()[0].ID, "alice"); err != nil {
		t.Fatal(err)
	}
	x.after(time.Second)
	x.ask("eve", "disable_user")
	x.after(25 * time.Hour)
	x.want(a, "", "pending, denied, pending, expired")
	for _, id := range []string{"", "..", "../../etc/passwd", strings.Repeat("0", 32), strings.Repeat("g", 32), x.evs[0].Labels[1].Value} {
		if err := Approve(x.dir, id, "alice"); !errors.Is(err, ErrNoRequest) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestRespondAutomatic(t *testing.T) {
	a := newActor(t)
	x := a.responder(t, t.TempDir(), ready+"\napprove = \"auto\"\nrate = \"2/h\"\nttl_max = \"30m\"\nnever = [\"Root\", \"192.0.2.0/24\"]")
	x.ask("bob", "disable_user ttl=8h approve=auto")
	x.ask("eve", "disable_user ttl=10m approve=auto")
	x.ask("mallory", "disable_user approve=auto") // over the rate
	x.ask("carol", "disable_user approve=manual") // the rule wants a person
	x.ask("ROOT", "disable_user approve=auto")
	x.ask("", "disable_user approve=auto")
	x.ask("bob", "shoot_user approve=auto")
	x.ask("bob\r\nX: y", "disable_user approve=auto")
	x.after(time.Second)
	x.want(a, "do bob, do eve", "automatic, automatic, pending, pending, refused, refused, refused, refused, done, done")
	if p := x.waits(); len(p) != 2 || p[0].Target != "mallory" && p[1].Target != "mallory" {
		t.Errorf("pending %+v", p)
	}
	if a.got[0].TTL != 1800 || a.got[1].TTL != 600 {
		t.Errorf("ttl %+v", a.got)
	}
	x.after(11 * time.Minute)
	x.after(20 * time.Minute)
	if got := a.phases(); got != "do bob, do eve, undo eve, undo bob" {
		t.Errorf("asked %s", got)
	}
}

// The list counts when it is carried out, not when it was asked for; dry_run too.
func TestRespondAsTheConfigIsNow(t *testing.T) {
	a := newActor(t)
	dir := t.TempDir()
	x := a.responder(t, dir, ready)
	x.ask("bob", "disable_user")
	x.ask("eve", "disable_user")
	for _, p := range x.waits() {
		if err := Approve(x.dir, p.ID, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	x = a.responder(t, dir, ready+"\nnever = [\"bob\"]")
	x.after(time.Second)
	slices.Sort(x.told)
	x.want(a, "do eve", "approved, approved, done, refused")

	x = a.responder(t, dir, ready)
	x.ask("carol", "disable_user")
	if err := Approve(x.dir, x.waits()[0].ID, "alice"); err != nil {
		t.Fatal(err)
	}
	x = a.responder(t, dir, "")
	x.after(time.Second)
	x.want(a, "do eve", "approved, dry-run")

	x = a.responder(t, t.TempDir(), "")
	x.ask("bob", "disable_user approve=auto")
	x.ask("bob", "disable_user approve=auto")
	x.after(time.Second)
	x.want(a, "do eve", "dry-run, dry-run")
}

// An alert that comes again, a restart at every step, an answer that fails: each action is asked for, and undone.
func TestRespondSurvivesRestarts(t *testing.T) {
	a := newActor(t)
	dir := t.TempDir()
	var told []string
	restart := func(x *responding) *responding {
		if x != nil {
			told = append(told, x.told...)
		}
		y := a.responder(t, dir, ready+"\napprove = \"auto\"")
		if x != nil {
			y.now = x.now
		}
		y.alert = 0
		y.ask("bob", "disable_user ttl=1h approve=auto")
		return y
	}
	x := restart(nil)
	x = restart(x)
	a.status = 503
	x.after(time.Second)
	x = restart(x)
	a.status = 0
	x.after(time.Minute)
	x = restart(x)
	x.after(2 * time.Hour)
	x = restart(x)
	x.after(time.Hour)
	restart(x)
	if got := a.phases(); got != "do bob, do bob, undo bob" {
		t.Errorf("asked %s", got)
	}
	if got := strings.Join(told, ", "); got != "automatic, retry, done, undone" {
		t.Errorf("told %s", got)
	}
}

func TestRespondFails(t *testing.T) {
	a := newActor(t)
	x := a.responder(t, t.TempDir(), ready+"\napprove = \"auto\"")
	a.status = 422
	x.ask("bob", "disable_user approve=auto")
	x.after(time.Second)
	x.want(a, "do bob", "automatic, failed")
	a.status = 500
	x.ask("eve", "disable_user approve=auto")
	x.after(time.Second)
	x.after(2 * time.Hour) // too late to be of use
	x.want(a, "do bob, do eve", "automatic, failed, automatic, retry, failed")
	a.status = 0
	x.ask("dave", "disable_user approve=auto ttl=1h")
	x.after(time.Second)
	a.status = 422
	x.after(61 * time.Minute) // undoing is not given up
	x.after(time.Hour)
	a.status = 0
	x.after(time.Hour)
	x.want(a, "do bob, do eve, do dave, undo dave, undo dave, undo dave", "automatic, failed, automatic, retry, failed, automatic, done, retry, undone")
}

// A crash between two steps leaves a request in two states: the later one counts.
func TestRespondCrashBetweenStates(t *testing.T) {
	a := newActor(t)
	dir := t.TempDir()
	x := a.responder(t, dir, ready+"\napprove = \"auto\"")
	x.ask("bob", "disable_user ttl=1h approve=auto")
	id := x.all(false)[0].ID
	due, err := os.ReadFile(x.path(stateDue, id))
	if err != nil {
		t.Fatal(err)
	}
	x.after(time.Second)
	for name, data := range map[string][]byte{x.path(stateDue, id): due, filepath.Join(x.dir, stateDue, ".new-1234"): []byte("{"), filepath.Join(x.dir, stateDue, "note.json"): []byte("{"),
		x.path(stateDue, strings.Repeat("0", 32)): []byte("{")} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	y := a.responder(t, dir, ready)
	y.now = x.now
	y.after(time.Second)
	if got := a.phases(); got != "do bob" {
		t.Errorf("asked %s", got)
	}
	if _, err := os.Stat(x.path(stateDue, id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("old state is there: %v", err)
	}
}

func TestRespondAddresses(t *testing.T) {
	a := newActor(t)
	x := newResponding(t, t.TempDir(), `respond "block" {
  url = "`+a.server.URL+`"
  allow = ["127.0.0.1"]
  target = "address"
  secret = env("S")
  dry_run = false
  approve = "auto"
  never = ["192.0.2.0/24", "2001:db8::/32"]
}`)
	for _, ip := range []string{"203.0.113.9", "192.0.2.7", "::ffff:192.0.2.8", "2001:db8::1", "127.0.0.1", "0.0.0.0", "not an address", ""} {
		x.ask("bob", "block approve=auto", func(e *event.Event) { e.Source.IP = ip })
	}
	x.after(time.Second)
	if got := a.phases(); got != "do 203.0.113.9" || a.got[0].Target.Name != "" {
		t.Errorf("asked %s", got)
	}
}

// As the agent runs it: over the driver, with its own goroutine.
func TestRespondRuns(t *testing.T) {
	a := newActor(t)
	x := a.responder(t, t.TempDir(), ready+"\napprove = \"auto\"")
	x.Responder.now = time.Now
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	ask := func(e *event.Event) {
		e.Alert.Mode = "respond"
		e.Alert.Respond = []string{"disable_user ttl=1s approve=auto", "unknown", ""}
	}
	l.addAlerts(alert("1", "e1", "k", ask), alert("2", "e2", "k"), alert("3", "e3", "k", ask, state("close")))
	_, p := RespondFromConfig(nil, Env{})
	once(t, l.reader("r"), x.Responder, fastOptions(p))
	l.wantAccounts("r", 1, 2, 0)
	testkit.Eventually(t, 20*time.Second, func() bool { return a.phases() == "do bob, undo bob" })
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRespondConfig(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		file, ds := conf.Parse("g.hcl", []byte(src), conf.WithEnv(func(string) (string, bool) { return "secret-of-env", true }))
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		r, _ := RespondFromConfig(file.Body().Blocks("respond", 1), Env{DataDir: t.TempDir()})
		if r == nil && want == "" {
			t.Errorf("%s: not made", src)
		}
		if got := file.Diagnostics().Error(); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", src, got, want)
		}
	}
	f(`respond "a" {
url = "https://h.example/x"
target = "user"
}`, "")
	f(`respond "a" {
url = "https://h.example/x"
}`, `g.hcl:1:1: respond "a": attribute "target" is missing; write target = "user"`)
	f(`respond "a" {
url = "https://h.example/x"
target = "user"
dry_run = false
}`, `g.hcl:1:1: secret: a webhook that acts has to know who asks: secret = env("NAME")`)
	f(`respond "../a" {
url = "https://h.example/x"
target = "user"
}`, `g.hcl:1:9: respond: wants letters, digits and _`)
	f(`respond "a" {
url = "https://h.example/x"
target = "user"
allowed = 1
}`, `g.hcl:4:1: unknown attribute "allowed" in respond "a"; did you mean "allow"?`)
}
