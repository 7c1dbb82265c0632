package parsers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

// authLines makes n lines as a busy host with several gates writes them, with a fixed seed.
func authLines(n int) []string {
	r := rand.New(rand.NewPCG(20261122, 1))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	user := func() string { return pick("alice", "bob", "deploy", "svc-backup", "root") }
	bad := func() string { return pick("admin", "test", "oracle", "postgres", "user1", "minecraft") }
	fingerprint := "SHA256:" + strings.Repeat("aZ09", 10) + "abc"
	t := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	lines := make([]string, n)
	for i := range lines {
		addr := fmt.Sprintf("%d.%d.%d.%d", 45+r.IntN(150), r.IntN(256), r.IntN(256), 1+r.IntN(254))
		port, pid := 1024+r.IntN(60000), 300+r.IntN(90000)
		tag := fmt.Sprintf("sshd[%d]", pid)
		var text string
		switch x := r.Float64(); {
		case x < .22:
			text = fmt.Sprintf("Failed password for invalid user %s from %s port %d ssh2", bad(), addr, port)
		case x < .36:
			text = fmt.Sprintf("Failed password for %s from %s port %d ssh2", user(), addr, port)
		case x < .50:
			text = fmt.Sprintf("Invalid user %s from %s port %d", bad(), addr, port)
		case x < .60:
			text = fmt.Sprintf("Disconnected from invalid user %s %s port %d [preauth]", bad(), addr, port)
		case x < .66:
			text = fmt.Sprintf("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", addr, user())
		case x < .72:
			text = fmt.Sprintf("Accepted publickey for %s from %s port %d ssh2: RSA %s", user(), addr, port, fingerprint)
		case x < .75:
			text = fmt.Sprintf("Accepted password for %s from %s port %d ssh2", user(), addr, port)
		case x < .81:
			text = fmt.Sprintf("pam_unix(sshd:session): session opened for user %s(uid=%d) by (uid=0)", user(), 1000+r.IntN(9))
		case x < .86:
			text = "pam_unix(sshd:session): session closed for user " + user()
		case x < .90:
			text = fmt.Sprintf("Connection closed by authenticating user %s %s port %d [preauth]", user(), addr, port)
		case x < .94:
			text = fmt.Sprintf("Received disconnect from %s port %d:11: disconnected by user", addr, port)
		case x < .97:
			u := user()
			tag, text = "sudo", fmt.Sprintf("%8s : TTY=pts/%d ; PWD=/home/%s ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx", u, r.IntN(9), u)
		case x < .985:
			tag, text = "sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)"
		default:
			tag, text = fmt.Sprintf("CRON[%d]", pid), "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
		}
		stamp := t.Add(time.Duration(i) * 36 * time.Millisecond).Format(time.Stamp)
		lines[i] = stamp + " " + pick("web01", "db01", "bastion", "app-prod-3") + " " + tag + ": " + text
	}
	return lines
}

func BenchmarkLinuxAuth(b *testing.B) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	lines := authLines(4096)
	bytes := 0
	for _, l := range lines {
		bytes += len(l) + 1
	}
	for _, zone := range []*time.Location{time.UTC, berlin} {
		b.Run(zone.String(), func(b *testing.B) {
			p := newAuth(b, Options{Location: zone})
			var ev event.Event
			b.SetBytes(int64(bytes / len(lines)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ev.Reset()
				if err := p.Parse(Line{Text: lines[i&4095], Received: authReceived}, &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A line takes no memory: its fields are substrings, and the event is reused.
func TestLinuxAuthDoesNotAllocate(t *testing.T) {
	p := newAuth(t, Options{})
	lines := authLines(512)
	var ev event.Event
	i := 0
	n := testing.AllocsPerRun(2048, func() {
		ev.Reset()
		if err := p.Parse(Line{Text: lines[i&511], Received: authReceived}, &ev); err != nil {
			t.Fatal(err)
		}
		i++
	})
	if n != 0 {
		t.Errorf("%v allocations a line, want 0", n)
	}
}
