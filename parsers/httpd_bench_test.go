package parsers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

// accessLines makes n lines of a busy site in the combined format, with a fixed seed.
func accessLines(n int) []string {
	r := rand.New(rand.NewPCG(20261122, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	t := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`%d.%d.%d.%d - %s [%s] "%s %s HTTP/%s" %s %d "%s" "%s"`, 45+r.IntN(150), r.IntN(256), r.IntN(256), 1+r.IntN(254),
			pick("-", "-", "-", "alice"), t.Add(time.Duration(i)*7*time.Millisecond).Format("02/Jan/2006:15:04:05 -0700"),
			pick("GET", "GET", "GET", "POST", "HEAD"), pick("/", "/index.html", "/api/v1/members?page=2&sort=name", "/assets/app.3f9c.js", "/login"),
			pick("1.1", "1.1", "2.0"), pick("200", "200", "200", "304", "302", "401", "404", "500"), r.IntN(90000),
			pick("-", "https://www.example.com/shop/items?id=7"),
			pick("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", "curl/8.5.0", "-"))
	}
	return lines
}

func webErrorLines(apache bool) []string {
	if apache {
		return []string{
			`[Sun Nov 22 10:00:00.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.1:54321] AH01618: user mallory not found: /admin`,
			`[Sun Nov 22 10:00:00.123456 2026] [authz_core:error] [pid 1:tid 2] [client 192.0.2.1:54321] AH01630: client denied by server configuration: /srv/www/.git, referer: https://www.example.com/`,
			`[Sun Nov 22 10:00:00.123456 2026] [core:error] [pid 1:tid 2] [client 192.0.2.1:54321] AH00128: File does not exist: /srv/www/favicon.ico`,
		}
	}
	return []string{
		`2026/11/22 10:00:00 [error] 123#0: *5 user "bob": password mismatch, client: 192.0.2.1, server: www.example.com, request: "GET /admin HTTP/1.1", host: "www.example.com"`,
		`2026/11/22 10:00:00 [error] 123#0: *6 open() "/srv/www/favicon.ico" failed (2: No such file or directory), client: 192.0.2.1, server: www.example.com, request: "GET /favicon.ico HTTP/1.1", host: "www.example.com", referrer: "https://www.example.com/"`,
		`2026/11/22 10:00:00 [error] 123#0: *7 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: www.example.com, request: "GET /api HTTP/1.1", upstream: "http://127.0.0.1:3000/api", host: "www.example.com"`,
	}
}

func webCases() map[string][]string {
	return map[string][]string{
		"nginx/access": accessLines(4096), "nginx/error": webErrorLines(false), "apache/access": accessLines(4096), "apache/error": webErrorLines(true),
	}
}

func BenchmarkWeb(b *testing.B) {
	for _, name := range []string{"nginx/access", "nginx/error", "apache/access", "apache/error"} {
		b.Run(name, func(b *testing.B) {
			lines := webCases()[name]
			bytes := 0
			for _, l := range lines {
				bytes += len(l) + 1
			}
			server, _, _ := strings.Cut(name, "/")
			p := newWeb(b, server, Options{})
			var ev event.Event
			b.SetBytes(int64(bytes / len(lines)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ev.Reset()
				if err := p.Parse(Line{Text: lines[i%len(lines)], Received: received}, &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A line takes no memory: its fields are substrings, and the event is reused.
func TestWebDoesNotAllocate(t *testing.T) {
	for name, lines := range webCases() {
		server, _, _ := strings.Cut(name, "/")
		p := newWeb(t, server, Options{})
		var ev event.Event
		i := 0
		n := testing.AllocsPerRun(2048, func() {
			ev.Reset()
			if err := p.Parse(Line{Text: lines[i%len(lines)], Received: received}, &ev); err != nil {
				t.Fatal(err)
			}
			i++
		})
		if n != 0 {
			t.Errorf("%s: %v allocations a line, want 0", name, n)
		}
	}
}
