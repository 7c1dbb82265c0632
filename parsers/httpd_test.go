package parsers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// labelled is a line of fail2ban's test logs with what its label says.
type labelled struct {
	line, host string
	match      bool
}

// readLabelled reads the lines of fail2ban's test logs. A line that is labelled both ways, by the mode of fail2ban, says nothing.
func readLabelled(t *testing.T, path string) (list []labelled) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var next *labelled
	at := map[string]int{}
	both := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if label, ok := strings.CutPrefix(line, "# failJSON:"); ok {
			next = &labelled{}
			var l struct {
				Match bool
				Host  string
			}
			if err := json.Unmarshal([]byte(label), &l); err != nil {
				t.Fatalf("%s: %s: %v", path, label, err)
			}
			next.match, next.host = l.Match, l.Host
			continue
		}
		if next == nil || line == "" || line[0] == '#' {
			continue
		}
		next.line = line
		if i, ok := at[line]; ok {
			both[line] = both[line] || list[i].match != next.match
		} else {
			at[line] = len(list)
			list = append(list, *next)
		}
		next = nil
	}
	kept := list[:0]
	for _, l := range list {
		if !both[l.line] {
			kept = append(kept, l)
		} else {
			t.Logf("labelled both ways, left out: %s", l.line)
		}
	}
	return kept
}

// refusal is what a log says of a client that failed: a failed login, a refused request, a TLS handshake that failed.
func refusal(ev *event.Event) bool {
	return ev.Outcome == event.Failure && (ev.Action == event.Login || ev.Action == event.Request || ev.Action == event.ConnectionOpen)
}

// TestFail2banWeb holds verdict and address against the labels of fail2ban's test logs.
func TestFail2banWeb(t *testing.T) {
	lines, right := 0, 0
	for file, name := range map[string]string{"apache-auth": "apache", "nginx-http-auth": "nginx"} {
		p := newWeb(t, name, Options{})
		for _, l := range readLabelled(t, testkit.Shared(t, "corpora/fail2ban/"+file)) {
			var ev event.Event
			if err := p.Parse(Line{Text: l.line, Received: received}, &ev); err != nil {
				t.Logf("%s: %v: %s", file, err, l.line)
			}
			lines++
			if refusal(&ev) == l.match && (!l.match || ev.Source.IP == l.host) {
				right++
			} else {
				t.Logf("%s: want %v from %q, got %v %s from %q: %s", file, l.match, l.host, ev.Action, ev.Outcome, ev.Source.IP, l.line)
			}
		}
	}
	share := float64(right) / float64(max(lines, 1))
	t.Logf("fail2ban: verdict and address right on %d of %d lines, %.2f %%", right, lines, 100*share)
	if lines < 50 || share < .97 {
		t.Errorf("%.2f %% of %d lines, want 97 %%", 100*share, lines)
	}
}

func newWeb(t testing.TB, name string, o Options) Parser {
	t.Helper()
	p, err := Registry[name].New("", nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// No text that a client chooses puts an address or a user of its own in the place of the server's.
func TestWebHostile(t *testing.T) {
	const tail = `, client: 192.0.2.1, server: a, request: "GET / HTTP/1.1", host: "a"`
	const fake = `: password mismatch, client: 198.51.100.9, server: a, request: "GET / HTTP/1.1", host: "a"`
	for _, c := range []struct{ parser, line, ip, user, action string }{
		// A user name with blanks, brackets, a time.
		{"nginx", `192.0.2.1 - bob [22/Nov/2026:10:00:00 +0000] \x22GET / HTTP/1.1\x22 200 1 [22/Nov/2026:11:00:00 +0000] "GET /x HTTP/1.1" 401 2`, "192.0.2.1",
			`bob [22/Nov/2026:10:00:00 +0000] \x22GET / HTTP/1.1\x22 200 1`, "request"},
		{"apache", `192.0.2.1 - bob [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1 [22/Nov/2026:11:00:00 +0000] "GET /x HTTP/1.1" 401 2`, "192.0.2.1",
			`bob [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 1`, "request"},
		{"nginx", `192.0.2.1 - x - - [22/Nov/2026:11:00:00 +0000] "GET /x HTTP/1.1" 401 2`, "192.0.2.1", "x - -", "request"},
		// A forwarded address that looks like a line.
		{"nginx", `"198.51.100.9 - - [22/Nov/2026:10:00:00 +0000] " 192.0.2.1 - bob [22/Nov/2026:11:00:00 +0000] "GET /x HTTP/1.1" 200 2`, "198.51.100.9", "bob", "request"},
		// nginx error log: a user name that looks like the rest of a line.
		{"nginx", `2026/11/22 10:00:00 [error] 1#0: *3 user "t"` + fake + `"` + `: password mismatch` + tail, "192.0.2.1", `t"` + fake, "login"},
		// One that tries to stop in the middle of the name is seen through.
		{"nginx", `2026/11/22 10:00:00 [error] 1#0: *3 user "t, client: 198.51.100.9, server: a, request: "GET / HTTP/1.1", host: "a", referrer: "": password mismatch` + tail,
			"192.0.2.1", `t, client: 198.51.100.9, server: a, request: "GET / HTTP/1.1", host: "a", referrer: "`, "login"},
		// A path, in a message that is no login.
		{"nginx", `2026/11/22 10:00:00 [error] 1#0: *3 open() "/a` + fake + `" failed (2: No such file or directory)` + tail, "192.0.2.1", "", ""},
		// A referrer after a user name: nobody can tell which one is true.
		{"nginx", `2026/11/22 10:00:00 [error] 1#0: *3 user "t": password mismatch` + tail + `, referrer: "x"` + fake, "", "t", "login"},
		// A request that was not accepted may hold anything; before it the message is nginx's own.
		{"nginx", `2026/11/22 10:00:00 [info] 1#0: *3 client sent invalid request while reading client request line` + `, client: 192.0.2.1, server: a, request: "GET /", client: 198.51.100.9, server: b, request: "GET / HTTP/1.1"`, "192.0.2.1", "", "request"},
		{"apache", `[Sun Nov 22 10:00:00 2026] [error] [client 192.0.2.1] File does not exist: /srv/[client 198.51.100.9] user root not found`, "192.0.2.1", "", ""},
		{"apache", `[Sun Nov 22 10:00:00 2026] [error] [client 192.0.2.1] [client 198.51.100.9] user root not found: /`, "192.0.2.1", "", ""},
		{"apache", `[Sun Nov 22 10:00:00 2026] [error] [client 192.0.2.1] user x: authentication failure for \"/\": not found: /: authentication failure for "/": Password Mismatch`,
			"192.0.2.1", `x: authentication failure for \"/\": not found: /`, "login"},
	} {
		var ev event.Event
		if err := newWeb(t, c.parser, Options{}).Parse(Line{Text: c.line, Received: received}, &ev); err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if ev.Source.IP != c.ip || ev.User.Name != c.user || ev.Action.String() != c.action {
			t.Errorf("%s\n\tgot  %q %q %q\n\twant %q %q %q", c.line, ev.Source.IP, ev.User.Name, ev.Action, c.ip, c.user, c.action)
		}
	}
}

// Behind a syslog header, another program's text that holds an access line stays that program's; a tag of one's own is no hindrance.
func TestWebHeader(t *testing.T) {
	const access = ` [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`
	for _, c := range []struct {
		program, text string
		ours          bool
	}{
		{"nginx", "192.0.2.1 - -" + access, true},
		{"shop", "192.0.2.1 - -" + access, true},
		{"shop", `"192.0.2.1, 192.0.2.2" 192.0.2.3 - -` + access, true},
		{"httpd", "client.example.org - -" + access, true},
		{"sshd", "Invalid user x" + access + " from 192.0.2.1 port 22", false},
		{"sudo", "a.b : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/x" + access, false},
	} {
		for _, name := range []string{"nginx", "apache"} {
			p := newWeb(t, name, Options{})
			var ev event.Event
			if err := p.Parse(Line{Text: c.text, Received: received, Header: &Header{Program: c.program}}, &ev); (err == nil) != c.ours {
				t.Errorf("%s, %s behind a header: %v", name, c.text, err)
			}
			ev.Reset()
			if err := p.Parse(Line{Text: "Nov 22 10:00:00 gate " + c.program + "[7]: " + c.text, Received: received}, &ev); (err == nil) != c.ours {
				t.Errorf("%s, %s with its header: %v", name, c.text, err)
			}
		}
	}
}

// Lines made to be slow are not.
func TestWebHostileTime(t *testing.T) {
	const size = 64 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)+1)[:size] }
	lines := []string{fill(`"`), fill(`" `), fill(`\`), fill(`\"`), fill(` "`), fill(` [22/Nov/2026:10:00:00 +0000] "`), fill(`a, `), fill(`::1 `),
		`192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "` + fill(`"`), `192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 ` + fill(`a="" `),
		`192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET /` + fill(`%41`) + ` HTTP/1.1" 200 1`,
		`2026/11/22 10:00:00 [error] 1#0: *3 user "` + fill(`, client: `), `2026/11/22 10:00:00 [error] 1#0: *3 user "` + fill(`, client: 192.0.2.1, host: "`),
		`2026/11/22 10:00:00 [error] 1#0: *3 user "` + fill(`, client: 192.0.2.1, referrer: "x"`),
		`[Sun Nov 22 10:00:00 2026] [error] ` + fill(`[client 192.0.2.1] `), `[Sun Nov 22 10:00:00 2026] [error] [client 192.0.2.1] user ` + fill(` not found: `),
		fill(`[client `), fill(`192.0.2.1, `) + ` - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`}
	for _, name := range []string{"nginx", "apache"} {
		p := newWeb(t, name, Options{})
		for _, line := range lines {
			var ev event.Event
			took := testkit.CPU(t, func() {
				if err := p.Parse(Line{Text: line, Received: received}, &ev); err != nil && !errors.Is(err, ErrNoMatch) {
					t.Error(err)
				}
				looksLikeNginx(line)
				looksLikeApache(line)
			})
			if took > time.Second { // some ms, ten times that under the race detector; quadratic work takes minutes
				t.Errorf("%s: %.60q takes %v", name, line, took)
			}
		}
	}
}

// auto tells the logs of both servers from each other and from all else.
func TestAutoWeb(t *testing.T) {
	set, _ := build(t, "")
	p, err := set.Get("auto")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ dataset, line string }{
		{"nginx.access", `192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8.5"`},
		{"nginx.error", `2026/11/22 10:00:00 [error] 1#0: *3 user "bob": password mismatch, client: 192.0.2.1, server: a`},
		{"nginx.access", `<190>Nov 22 10:00:00 gate nginx: 192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`},
		{"apache.error", `[Sun Nov 22 10:00:00.123456 2026] [core:notice] [pid 7] AH00094: Command line: 'httpd'`},
		{"apache.access", `[22/Nov/2026:10:00:00 +0000] 192.0.2.1 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET / HTTP/1.1" 7`},
		{"apache.error", `Nov 22 10:00:00 gate httpd[7]: [authz_core:error] [pid 7] [client 192.0.2.1:5] AH01630: client denied by server configuration: /srv`},
		{"linux.auth", `Nov 22 10:00:00 gate sshd[7]: Invalid user x [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 from 192.0.2.1 port 22`},
	} {
		var ev event.Event
		if err := p.Parse(Line{Text: c.line, Received: received, Source: fmt.Sprint(i)}, &ev); err != nil || ev.Dataset != event.DatasetPrefix+c.dataset {
			t.Errorf("%s: dataset %q, %v; want %q", c.line, ev.Dataset, err, c.dataset)
		}
	}
	// The samples of all other parsers stay theirs.
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if name := filepath.Base(filepath.Dir(path)); name == "nginx" || name == "apache" || name == "auto" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); looksLikeNginx(line) && !strings.Contains(line, "nginx") || looksLikeApache(line) && !strings.Contains(line, "httpd") {
				t.Errorf("%s: taken for a web server's: %s", path, line)
			}
		}
	}
}
