package outputs

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// hostile is what an attacker can get into a user name, and hence into titles and keys.
const hostile = "x\r\nBcc: evil@example.net\r\n\r\n<script>alert(1)</script> \"quoted\" \\ {{.Runbook}} ${key} %{x} <!channel> <https://evil.example|ok> *b* `c` [l](http://evil.example) \u202egnp.exe \x00\xff\u2028 & </b>"

// alert makes an alert; change may make another one of it.
func alert(id, trigger, key string, change ...func(*event.Event)) func(*event.Event) {
	return func(e *event.Event) {
		e.Kind, e.Dataset = event.KindAlert, event.DatasetPrefix+"alert"
		e.Time = event.TimeOf(time.Unix(1_700_000_000, 0))
		e.Start, e.End = e.Time, e.Time
		e.ID = "alert-" + id + "-1"
		e.DocID = e.ID
		e.Message = "5 failed logins for " + key
		e.Link = "https://kibana.example.com/app/discover#/?_a=(index:gatebook-events)"
		e.Severity, e.Risk = event.LongOf(severityHigh), event.Float{F: 73, Valid: true}
		e.User.Name, e.UserKey, e.Source.IP, e.Host.Name = "bob", "example/bob", "203.0.113.9", "host1"
		r := e.NeedRule()
		r.ID, r.Name, r.Description = "auth.bruteforce", "Many failed logins for an address", "many failed logins"
		a := e.NeedAlert()
		a.ID, a.State, a.Key, a.By, a.Event, a.Summary, a.Mode = id, "open", key, "source.ip", trigger, "5 failed logins; source.ip = "+key, "alert"
		a.Revision, a.Count, a.Events = event.LongOf(1), event.LongOf(5), []string{trigger}
		for _, f := range change {
			f(e)
		}
	}
}

func state(s string) func(*event.Event) {
	return func(e *event.Event) { e.Alert.State = s; e.ID += s; e.DocID = e.ID }
}

func level(n int64) func(*event.Event) {
	return func(e *event.Event) { e.Severity = event.LongOf(n) }
}

// addAlerts appends alerts, each a block of its own, as the agent does.
func (l *testLog) addAlerts(fills ...func(*event.Event)) {
	l.t.Helper()
	for _, fill := range fills {
		b := buffer.NewBlock()
		b.First, b.Count = l.Reserve(1), 1
		b.Typed = event.AppendTypedHeader(b.Typed)
		var e event.Event
		fill(&e)
		e.Finish()
		b.Docs, b.Typed = l.enc.AppendItem(b.Docs, b.Typed, &e, b.First)
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
		b.RawSize = len(b.Docs)
		ticket, err := l.Append(context.Background(), b)
		if err == nil {
			err = ticket.Wait(context.Background())
		}
		if err != nil {
			l.t.Fatal(err)
		}
		l.total++
	}
}

// makeOutput makes an output of a block of the config, which must be right.
func makeOutput(t *testing.T, kind, src string, env Env) (Output, Params) {
	t.Helper()
	file, ds := conf.Parse("g.hcl", []byte("output \""+kind+"\" \"x\" {\n"+src+"\n}\n"), conf.WithEnv(func(string) (string, bool) { return "0123456789abcdef", true }))
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	if env.Logger == nil {
		env.Logger = quiet()
	}
	env.Compile = func(*conf.Body, hcl.Expression) func(*event.Event) bool {
		return func(*event.Event) bool { return true }
	}
	out, p := New(kind, "x", file.Body().Blocks("output", 2)[0].Body, env)
	if err := file.Diagnostics().Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return out, p
}

func fastOptions(p Params) Options {
	return Options{Label: "x", Params: p, RetryFirst: 5 * time.Millisecond, RetryMost: 20 * time.Millisecond, CommitEvery: time.Millisecond, Logger: quiet()}
}

func TestCleanText(t *testing.T) {
	f := func(s string, most int, want string) {
		t.Helper()
		if got := cleanText(s, most); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	f("plain", 100, "plain")
	f("a\r\nb\tc\x00d", 100, "a  b c d")
	f("a\u202eb\u2066c\u200bd\ufeff", 100, "abcd")
	f("a\u2028b\u0085c", 100, "a b c")
	f("a\xffb", 100, "a\uFFFDb")
	f("äöü", 6, "ä…")
	f(strings.Repeat("x", 20), 10, "xxxxxxx…")
	if s := cleanText(hostile, 2000); strings.ContainsFunc(s, unicode.IsControl) {
		t.Errorf("control characters left: %q", s)
	}
}

func TestNotificationsAreOnePerTriggeringEvent(t *testing.T) {
	make := func(fills ...func(*event.Event)) []*Notification {
		alerts := []batchAlert{}
		for i, fill := range fills {
			a := batchAlert{index: i, seq: uint64(i)}
			fill(&a.event)
			alerts = append(alerts, a)
		}
		return groupAlerts(alerts)
	}
	other := func(e *event.Event) { e.Rule.ID = "other" }
	got := make(alert("1", "e1", "bob"), alert("2", "e1", "203.0.113.9"), alert("3", "e2", "bob"), alert("4", "e1", "x", other), alert("5", "e1", "y", state("close")),
		alert("6", "", "z"), alert("7", "", "z"))
	if len(got) != 6 {
		t.Fatalf("%d notifications", len(got))
	}
	if k := strings.Join(got[0].Keys(), "; "); k != "source.ip = bob; source.ip = 203.0.113.9" {
		t.Errorf("keys %s", k)
	}
	ids := map[string]bool{}
	for _, n := range got {
		ids[n.ID] = true
	}
	if len(ids) != 6 {
		t.Errorf("ids %v", ids)
	}
	if again := make(alert("2", "e1", "203.0.113.9")); again[0].ID != got[0].ID {
		t.Error("another id when it is sent again")
	}
	many := []func(*event.Event){}
	for range 30 {
		many = append(many, alert("1", "e1", "k"))
	}
	if n := make(many...)[0]; len(n.Alerts) != mostAlerts || n.More != 10 || len(n.items) != 30 {
		t.Errorf("%d alerts, %d more", len(n.Alerts), n.More)
	}
}

func TestDialledAddress(t *testing.T) {
	f := func(addr string, want bool, allow ...string) {
		t.Helper()
		g := dialGuard{}
		for _, s := range allow {
			p, err := parsePrefix(s)
			if err != nil {
				t.Fatal(err)
			}
			g.allow = append(g.allow, p)
		}
		if err := g.control("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), 443).String(), nil); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "100.100.100.200",
		"::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
	} {
		f(a, false)
	}
	for _, a := range []string{"192.0.2.1", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fd00::1", "64:ff9b::c000:201", "::ffff:192.0.2.1"} {
		f(a, true)
	}
	f("127.0.0.1", true, "127.0.0.0/8")
	f("::ffff:127.0.0.1", true, "127.0.0.1")
	f("127.0.0.1", true, "::ffff:127.0.0.0/104")
	f("169.254.169.254", false, "127.0.0.0/8")
	f("::1", true, "::1")
	if (&dialGuard{}).control("udp", "192.0.2.1:53", nil) == nil {
		t.Error("UDP allowed")
	}
}

// The vector is in docs/alerts.md: it never changes.
func TestSignature(t *testing.T) {
	got := sign([]byte("an example secret"), []byte(`{"version":1}`), time.Unix(1767225600, 0))
	const want = "t=1767225600,v1=b4a6b08a1e6917955b2b066175bdd3a1cf2082a896305437a4f354231fb925d5"
	if got != want {
		t.Errorf("got %s", got)
	}
	if doc := readFile(t, "../docs/alerts.md"); !strings.Contains(doc, want) {
		t.Error("docs/alerts.md has another vector")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(s string, want time.Duration) {
		t.Helper()
		if got := retryAfter(s, now); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	f("", 0)
	f("30", 30*time.Second)
	f("-5", 0)
	f("99999999999999", time.Hour)
	f("3599", 3599*time.Second)
	f("Thu, 01 Jan 2026 00:01:00 GMT", time.Minute)
	f("soon", 0)
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(rate{60, time.Minute}, time.Now)
		begin := time.Now()
		for range 80 { // a burst of 20, then one a second
			if err := l.wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(begin); d < 59*time.Second || d > 62*time.Second {
			t.Errorf("80 in %v", d)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if l.wait(ctx) == nil {
			t.Error("waits for ever")
		}
	})
	for _, s := range []string{"", "x", "10", "10/y", "0/m", "-1/m", "1/m/h"} {
		if _, ok := parseRate(s); ok {
			t.Errorf("%q is no rate", s)
		}
	}
}

// Whatever is in an alert, each template makes JSON of it, and nothing that Slack or Teams take for markup.
func TestTemplatesWithHostileTexts(t *testing.T) {
	var e event.Event
	alert("1", "e1", hostile, func(e *event.Event) {
		e.User.Name, e.Host.Name, e.Rule.ID = hostile, hostile, hostile
		e.Alert.Summary, e.Alert.Runbook, e.Alert.By, e.Rule.Description = strings.Repeat(hostile, 50), strings.Repeat("<&>", 3000), hostile, hostile
	})(&e)
	n := newNotification(notificationID(&e), &e)
	n.add(&e)
	for _, name := range []string{"default", "slack", "teams"} {
		file, _ := conf.Parse("g.hcl", []byte(`template = "`+name+`"`))
		tm := readTemplate(file.Body(), true)
		if tm == nil {
			t.Fatal(file.Diagnostics())
		}
		body, err := tm.render(n, true)
		if err != nil || !json.Valid(body) {
			t.Fatalf("%s: %v\n%s", name, err, body)
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		eachText(v, func(s string) {
			if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
				t.Errorf("%s: control character in %q", name, s)
			}
			if name == "slack" && (strings.ContainsAny(s, "<>") || len(s) > 3000) {
				t.Errorf("slack: markup, or too long: %q", s)
			}
		})
		if name == "teams" && strings.Contains(string(body), "TextBlock") && !strings.Contains(string(body), "RichTextBlock") {
			t.Error("teams: a block that reads Markdown")
		}
	}
}

func eachText(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, x := range v {
			eachText(x, f)
		}
	case map[string]any:
		for _, x := range v {
			eachText(x, f)
		}
	}
}
