// Package gen makes the bench's log lines: the same ones on every machine and in every run, as real as is needed to compare
// shippers. Addresses, names and keys are invented.
package gen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Start is the time of the first line; all lines of a file spread over the ten hours after it.
var Start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

const span = 10 * time.Hour

// Octets are the first octets that addresses have.
var Octets = []int{45, 61, 103, 141, 185, 193, 203, 198, 91, 218}

var (
	hosts    = []string{"web01", "web02", "db01", "bastion", "app-prod-3", "mail"}
	users    = []string{"alice", "bob", "carol", "deploy", "ubuntu", "jenkins", "svc-backup", "maria", "dmitri", "root"}
	bad      = []string{"admin", "test", "oracle", "postgres", "guest", "ftpuser", "user1", "pi", "minecraft", "git", "nagios", "hadoop", "www", "ubnt", "support"}
	guessed  = []string{"root", "root", "ubuntu", "deploy"}
	existing = []string{"root", "ubuntu"}
	commands = []string{
		"/usr/bin/systemctl restart nginx", "/usr/bin/apt-get update", "/bin/cat /var/log/syslog", "/usr/bin/docker ps -a",
		"/usr/sbin/service postgresql status", "/bin/bash", "/usr/bin/tail -n 200 /var/log/nginx/error.log", "/usr/bin/journalctl -u app --since today",
	}
	actions = []string{
		"user.login", "user.logout", "user.password_change", "document.update", "document.share", "role.grant",
		"role.revoke", "apikey.create", "apikey.delete", "export.run", "settings.update",
	}
	agents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/605.1.15", "curl/8.5.0", "okta-sdk-go/2.20.0 golang/go1.22",
	}
)

const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

type generator struct {
	r    *rand.Rand
	ips  []string
	keys []string
	w    *bufio.Writer
}

func newGenerator(w io.Writer) *generator {
	g := &generator{r: rand.New(rand.NewPCG(20261122, 0)), w: bufio.NewWriterSize(w, 1<<20)}
	for range 4000 {
		g.ips = append(g.ips, fmt.Sprintf("%d.%d.%d.%d", Octets[g.r.IntN(len(Octets))], g.r.IntN(256), g.r.IntN(256), 1+g.r.IntN(254)))
	}
	for range 40 {
		var k strings.Builder
		for range 43 {
			k.WriteByte(base64[g.r.IntN(64)])
		}
		g.keys = append(g.keys, "SHA256:"+k.String())
	}
	return g
}

func (g *generator) pick(list []string) string { return list[g.r.IntN(len(list))] }

// Auth writes n lines of sshd, PAM, sudo and cron in the form of /var/log/auth.log (about 109 bytes each); with seq each ends
// in its number, " seq=0" on.
func Auth(w io.Writer, n int, seq bool) error {
	g := newGenerator(w)
	step := span / time.Duration(n)
	last, stamp := int64(-1), ""
	for i := range n {
		if t := Start.Add(time.Duration(i) * step); t.Unix() != last {
			last, stamp = t.Unix(), t.Format(time.Stamp)
		}
		prog, msg := g.authMessage()
		if prog != "sudo" {
			prog = fmt.Sprintf("%s[%d]", prog, 300+g.r.IntN(99699))
		}
		if seq {
			msg = fmt.Sprintf("%s seq=%d", msg, i)
		}
		fmt.Fprintf(g.w, "%s %s %s: %s\n", stamp, g.pick(hosts), prog, msg)
	}
	return g.w.Flush()
}

func (g *generator) authMessage() (prog, msg string) {
	x, ip, port := g.r.Float64(), g.pick(g.ips), 1024+g.r.IntN(64511)
	sshd := func(format string, args ...any) (string, string) { return "sshd", fmt.Sprintf(format, args...) }
	switch {
	case x < .22:
		return sshd("Failed password for invalid user %s from %s port %d ssh2", g.pick(bad), ip, port)
	case x < .36:
		return sshd("Failed password for %s from %s port %d ssh2", g.pick(guessed), ip, port)
	case x < .50:
		return sshd("Invalid user %s from %s port %d", g.pick(bad), ip, port)
	case x < .60:
		return sshd("Disconnected from invalid user %s %s port %d [preauth]", g.pick(bad), ip, port)
	case x < .66:
		return sshd("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", ip, g.pick(existing))
	case x < .72:
		return sshd("Accepted publickey for %s from %s port %d ssh2: RSA %s", g.pick(users), ip, port, g.pick(g.keys))
	case x < .75:
		return sshd("Accepted password for %s from %s port %d ssh2", g.pick(users), ip, port)
	case x < .81:
		return sshd("pam_unix(sshd:session): session opened for user %s(uid=%d) by (uid=0)", g.pick(users), 1000+g.r.IntN(10))
	case x < .86:
		return sshd("pam_unix(sshd:session): session closed for user %s", g.pick(users))
	case x < .90:
		return sshd("Connection closed by authenticating user %s %s port %d [preauth]", g.pick(existing), ip, port)
	case x < .94:
		return sshd("Received disconnect from %s port %d:11: disconnected by user", ip, port)
	case x < .97:
		u := g.pick(users)
		return "sudo", fmt.Sprintf("%8s : TTY=pts/%d ; PWD=/home/%s ; USER=root ; COMMAND=%s", u, g.r.IntN(9), u, g.pick(commands))
	case x < .985:
		return "sudo", fmt.Sprintf("pam_unix(sudo:session): session opened for user root(uid=0) by %s(uid=1000)", g.pick(users))
	default:
		return "CRON", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
	}
}

// Audit writes n lines of an application's JSON audit log (about 397 bytes each).
func Audit(w io.Writer, n int) error {
	g := newGenerator(w)
	step := span / time.Duration(n)
	for i := range n {
		t := Start.Add(time.Duration(i) * step)
		u := 1 + g.r.IntN(4999)
		fmt.Fprintf(g.w, `{"timestamp":"%s","id":"evt_%016x","action":"%s","actor":{"id":%d,"email":"user%d@example.com","type":"%s"},"ip":"%s","user_agent":"%s",`+
			`"entity":{"type":"%s","id":"ent_%08x"},"changes":{"old":{"role":"%s","active":true},"new":{"role":"%s","active":%t}},"status":"%s"}`+"\n",
			t.Format("2006-01-02T15:04:05.000Z"), g.r.Uint64(), g.pick(actions), u, u, g.pick([]string{"user", "user", "user", "service", "admin"}),
			g.pick(g.ips), g.pick(agents), g.pick([]string{"document", "user", "role", "apikey"}), g.r.Uint32(),
			g.pick([]string{"viewer", "editor"}), g.pick([]string{"editor", "admin"}), g.r.Float64() < .9, g.pick([]string{"success", "success", "success", "failure"}))
	}
	return g.w.Flush()
}

// Syslog turns a line of [Auth] into an RFC 5424 message of facility authpriv, severity info.
func Syslog(line string) string {
	if len(line) < 16 {
		return ""
	}
	t, err := time.Parse(time.Stamp, line[:15])
	if err != nil {
		return ""
	}
	host, rest, _ := strings.Cut(line[16:], " ")
	tag, msg, _ := strings.Cut(rest, ": ")
	prog, pid, found := strings.Cut(strings.TrimSuffix(tag, "]"), "[")
	if !found {
		pid = "-"
	}
	return fmt.Sprintf("<86>1 %s %s %s %s - - %s", t.AddDate(Start.Year(), 0, 0).Format("2006-01-02T15:04:05.000000Z"), host, prog, pid, msg)
}
