package parsers

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/gatebook/gatebook/event"
)

// auditLines are JSON audit lines of some 400 bytes, as applications write them.
func auditLines(n int) []string {
	r := rand.New(rand.NewSource(7))
	pick := func(list ...string) string { return list[r.Intn(len(list))] }
	lines := make([]string, n)
	for i := range lines {
		u := r.Intn(5000)
		lines[i] = fmt.Sprintf(`{"timestamp":"2026-11-22T%02d:%02d:%02d.%03dZ","id":"evt_%016x","action":%q,"actor":{"id":%d,"email":"user%d@example.com","type":%q},`+
			`"ip":"198.51.100.%d","user_agent":%q,"entity":{"type":%q,"id":"ent_%08x"},"changes":{"old":{"role":%q,"active":true},"new":{"role":%q,"active":%v}},"status":%q}`,
			r.Intn(24), r.Intn(60), r.Intn(60), r.Intn(1000), r.Uint64(), pick("user.login", "user.logout", "document.update", "role.grant"), u, u,
			pick("user", "service", "admin"), r.Intn(256), pick("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "curl/8.5.0"),
			pick("document", "user", "role"), r.Uint32(), pick("viewer", "editor"), pick("editor", "admin"), r.Intn(10) > 0, pick("success", "failure"))
	}
	return lines
}

const auditConfig = `parser "json" "audit" {
  dataset = "app.audit"
  time    = { field = "timestamp", layouts = ["rfc3339"] }
  fields  = {
    "event.action"         = "action"
    "user.id"              = "actor.id"
    "user.email"           = "actor.email"
    "gatebook.actor.type"  = "actor.type"
    "source.ip"            = "ip"
    "user_agent.original"  = "user_agent"
    "gatebook.target.type" = "entity.type"
    "gatebook.target.id"   = "entity.id"
    "event.outcome"        = "status"
    "labels.id"            = "id"
  }
  codes  = { "event.action" = {
    "user.login"      = { action = "login" }
    "user.logout"     = { action = "logout" }
    "document.update" = { action = "update" }
    "role.grant"      = { action = "role-grant" }
  } }
  labels = "none"
}
`

func benchmarkParser(b *testing.B, config, name string, lines []string) {
	set, ds := build(b, config)
	if len(ds) > 0 {
		b.Fatal(ds)
	}
	p, err := set.Get(name)
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	var ev event.Event
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		ev.Reset()
		if err := p.Parse(Line{Text: lines[i%len(lines)], Received: received, Source: "/var/log/a.log", Offset: int64(i % len(lines))}, &ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) { benchmarkParser(b, auditConfig, "audit", auditLines(1000)) }

func BenchmarkJSONAllLabels(b *testing.B) { benchmarkParser(b, "", "json", auditLines(1000)) }

func BenchmarkJSONAuto(b *testing.B) { benchmarkParser(b, auditConfig, "auto", auditLines(1000)) }

func portalLines() []string {
	lines := []string{"time,user,entry,status,ip,company,session,user_agent,logout_time"}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("2026-01-10 10:%02d:%02d,user%d,%d,%d,203.0.113.%d,Acme,s-%d,\"Mozilla/5.0 (X11; Linux, x86_64)\",2026-01-10 11:00:00",
			i/60%60, i%60, i, i%8+1, []int{1, 2, 5, 21, 22}[i%5], i%256, i))
	}
	return lines
}

func BenchmarkPaymentPortalCSV(b *testing.B) {
	benchmarkParser(b, "", "payment_portal", portalLines())
}

func BenchmarkPaymentPortalAuto(b *testing.B) { benchmarkParser(b, "", "auto", portalLines()) }

func BenchmarkPaymentPortalJSON(b *testing.B) {
	benchmarkParser(b, "", "payment_portal", []string{`{"time":"2026-01-10T10:00:00Z","user":"bob","entry":1,"status":5,"ip":"203.0.113.9","company":"Acme"}`})
}

func BenchmarkLogfmt(b *testing.B) {
	benchmarkParser(b, `parser "logfmt" "app" {
  time   = { field = "time" }
  fields = { "user.name" = "user", "source.ip" = "ip", "event.action" = "action", "log.level" = "level" }
  labels = "none"
}`, "app", []string{`time=2026-01-10T10:00:00.123Z level=info user=bob ip=203.0.113.9 action=login msg="user came in" took=3ms`})
}

func BenchmarkCSV(b *testing.B) {
	benchmarkParser(b, `parser "csv" "app" {
  columns = ["time", "user", "ip", "action", "note"]
  time    = { field = "time" }
  fields  = { "user.name" = "user", "source.ip" = "ip", "event.action" = "action" }
  labels  = "none"
}`, "app", []string{`2026-01-10 10:00:00,bob,203.0.113.9,login,"came, saw"`})
}

func BenchmarkRegex(b *testing.B) {
	benchmarkParser(b, `parser "regex" "app" {
  pattern = "^(?P<time>\\S+) (?P<user>\\w+) (?P<ip>\\S+) (?P<action>\\w+)$"
  time    = { field = "time" }
  fields  = { "user.name" = "user", "source.ip" = "ip", "event.action" = "action" }
}`, "app", []string{`2026-01-10T10:00:00Z bob 203.0.113.9 login`})
}

// The message is the one allocation of a line in the usual formats.
func TestAllocations(t *testing.T) {
	f := func(config, name string, lines []string, most float64) {
		t.Helper()
		set, ds := build(t, config)
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		p, err := set.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		var ev event.Event
		i := 0
		got := testing.AllocsPerRun(500, func() {
			ev.Reset()
			if err := p.Parse(Line{Text: lines[i%len(lines)], Received: received, Source: "/a", Offset: int64(i)}, &ev); err != nil {
				t.Fatal(err)
			}
			i++
		})
		if got > most {
			t.Errorf("%s: %v allocations a line, at most %v wanted", name, got, most)
		}
	}
	f(auditConfig, "audit", auditLines(100), 1)
	f("", "json", auditLines(100), 0)
	f("", "payment_portal", portalLines()[1:], 1)
	f("", "raw", []string{"x"}, 0)
}
