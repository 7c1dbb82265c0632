// Command gen writes the sample logs: two weeks of an invented small company, on documentation networks, with the attacks in
// them that a gate keeper wants to see. The same program gives the same files. It runs in the folder configs.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

var (
	random = rand.New(rand.NewPCG(20261122, 7))
	first  = time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC) // a Monday
)

type line struct {
	at   time.Time
	text string
}

type person struct{ name, ip, home string }

// Everyone works from Berlin and has an address at home.
var people = []person{
	{"alice", "192.0.2.14", "192.0.2.140"}, {"bob", "192.0.2.15", "192.0.2.141"}, {"carol", "192.0.2.16", "192.0.2.150"},
	{"dmitri", "192.0.2.17", "192.0.2.161"}, {"maria", "192.0.2.18", "2001:db8::18"}, {"ops", "192.0.2.20", "192.0.2.170"},
}

var hosts = []string{"web01", "web02", "db01", "bastion"}

func main() {
	write("samples/auth.log", auth())
	write("samples/payment_portal.csv", portal())
}

func write(name string, lines []line) {
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b strings.Builder
	if strings.HasSuffix(name, ".csv") {
		b.WriteString("time,user,entry,status,ip,company,session,user_agent,logout_time,details\n")
	}
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pick[T any](list ...T) T { return list[random.IntN(len(list))] }

func port() int { return 32768 + random.IntN(28000) }

func auth() (out []line) {
	pid := 900
	say := func(at time.Time, host, program, format string, args ...any) {
		tag := program
		if program != "sudo" {
			tag = fmt.Sprintf("%s[%d]", program, pid)
		}
		out = append(out, line{at, fmt.Sprintf("%s %s %s: %s", at.Format(time.Stamp), host, tag, fmt.Sprintf(format, args...))})
	}
	session := func(at time.Time, host string, p person, ip string) {
		pid += 1 + random.IntN(40)
		if random.IntN(6) == 0 {
			say(at.Add(-4*time.Second), host, "sshd", "Failed password for %s from %s port %d ssh2", p.name, ip, port())
		}
		say(at, host, "sshd", "Accepted %s for %s from %s port %d ssh2%s", "publickey", p.name, ip, port(), ": ED25519 SHA256:"+strings.Repeat(p.name[:1], 43))
		say(at, host, "sshd", "pam_unix(sshd:session): session opened for user %s(uid=%d) by (uid=0)", p.name, 1000+len(p.name))
		say(at.Add(time.Second), host, "systemd-logind", "New session %d of user %s.", pid, p.name)
		if random.IntN(3) == 0 {
			say(at.Add(3*time.Minute), host, "sudo", "%8s : TTY=pts/%d ; PWD=/home/%s ; USER=root ; COMMAND=%s", p.name, random.IntN(4), p.name,
				pick("/usr/bin/systemctl restart nginx", "/usr/bin/apt-get update", "/usr/bin/tail -n 200 /var/log/nginx/error.log", "/usr/bin/journalctl -u app --since today"))
		}
		end := at.Add(time.Duration(5+random.IntN(180)) * time.Minute)
		say(end, host, "sshd", "Received disconnect from %s port %d:11: disconnected by user", ip, port())
		say(end, host, "sshd", "pam_unix(sshd:session): session closed for user %s", p.name)
	}
	for day := range 14 {
		date := first.AddDate(0, 0, day)
		for hour := range 24 {
			pid++
			say(date.Add(time.Duration(hour)*time.Hour+17*time.Minute), "db01", "CRON", "(root) CMD (/usr/local/bin/backup --hourly)")
		}
		if date.Weekday() != time.Saturday && date.Weekday() != time.Sunday {
			for _, p := range people {
				at := date.Add(8*time.Hour + time.Duration(random.IntN(9*3600))*time.Second)
				session(at, pick(hosts...), p, pick(p.ip, p.ip, p.ip, p.home))
			}
		}
		// The background of the internet.
		for range 6 + random.IntN(8) {
			pid++
			at := date.Add(time.Duration(random.IntN(86400)) * time.Second)
			ip, user := fmt.Sprintf("203.0.113.%d", 1+random.IntN(254)), pick("admin", "test", "oracle", "postgres", "guest", "pi", "ubnt")
			say(at, "bastion", "sshd", "Invalid user %s from %s port %d", user, ip, port())
			say(at.Add(2*time.Second), "bastion", "sshd", "Failed password for invalid user %s from %s port %d ssh2", user, ip, port())
			say(at.Add(3*time.Second), "bastion", "sshd", "Connection closed by invalid user %s %s port %d [preauth]", user, ip, port())
		}
	}
	// A brute force against one account that ends in success, and what the intruder did.
	at := first.AddDate(0, 0, 9).Add(2*time.Hour + 41*time.Minute)
	for i := range 48 {
		say(at.Add(time.Duration(i*7)*time.Second), "web02", "sshd", "Failed password for ops from 203.0.113.66 port %d ssh2", port())
	}
	say(at.Add(6*time.Minute), "web02", "sshd", "message repeated 3 times: [ Failed password for ops from 203.0.113.66 port 52110 ssh2]")
	at = at.Add(7 * time.Minute)
	pid = 31337
	say(at, "web02", "sshd", "Accepted password for ops from 203.0.113.66 port 52114 ssh2")
	say(at, "web02", "sshd", "pam_unix(sshd:session): session opened for user ops(uid=1003) by (uid=0)")
	say(at.Add(40*time.Second), "web02", "sudo", "     ops : TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/usr/sbin/useradd -m -G sudo support2")
	say(at.Add(41*time.Second), "web02", "useradd", "new user: name=support2, UID=1042, GID=1042, home=/home/support2, shell=/bin/bash, from=/dev/pts/2")
	say(at.Add(41*time.Second), "web02", "useradd", "add 'support2' to group 'sudo'")
	say(at.Add(55*time.Second), "web02", "passwd", "pam_unix(passwd:chauthtok): password changed for support2")
	say(at.Add(9*time.Minute), "web02", "sshd", "pam_unix(sshd:session): session closed for user ops")
	// Password spraying from one address over all accounts.
	at = first.AddDate(0, 0, 11).Add(23 * time.Hour)
	for i, p := range people {
		say(at.Add(time.Duration(i)*20*time.Second), "bastion", "sshd", "Failed password for %s from 198.51.100.77 port %d ssh2", p.name, port())
	}
	return out
}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
}

func portal() (out []line) {
	session := 5000
	row := func(at time.Time, user string, entry, status int, ip, company, id, agent string, logout time.Time, details string) {
		end := ""
		if !logout.IsZero() {
			end = logout.Format(time.RFC3339)
		}
		out = append(out, line{at, fmt.Sprintf("%s,%s,%d,%d,%s,%s,%s,%q,%s,%s", at.Format(time.RFC3339), user, entry, status, ip, company, id, agent, end, details)})
	}
	clerks := []struct{ user, company, ip, agent string }{
		{"jlopez", "Harbour Books", "198.51.100.10", agents[0]}, {"mchan", "Harbour Books", "198.51.100.11", agents[1]},
		{"rsingh", "Alpine Bikes", "192.0.2.200", agents[0]}, {"tokafor", "Savanna Tours", "198.51.100.70", agents[2]},
		{"kmori", "Osaka Tea", "198.51.100.150", agents[1]}, {"batch", "Alpine Bikes", "192.0.2.201", "gateway-sdk/4.2"},
	}
	for day := range 14 {
		date := first.AddDate(0, 0, day)
		for _, c := range clerks {
			at := date.Add(7*time.Hour + time.Duration(random.IntN(8*3600))*time.Second)
			session++
			id := fmt.Sprintf("S%d", session)
			if c.user == "batch" {
				row(at, c.user, 3, 2, c.ip, c.company, id, c.agent, at.Add(3*time.Minute), "orders.csv")
				row(at.Add(time.Hour), c.user, 4, 2, c.ip, c.company, id, c.agent, time.Time{}, "")
				continue
			}
			entry := pick(1, 1, 1, 7)
			if random.IntN(5) == 0 {
				row(at.Add(-time.Minute), c.user, entry, 5, c.ip, c.company, "", c.agent, time.Time{}, "")
			}
			row(at.Add(-20*time.Second), c.user, entry, 25, c.ip, c.company, "", c.agent, time.Time{}, "")
			row(at, c.user, entry, 21, c.ip, c.company, id, c.agent, time.Time{}, "")
			if random.IntN(3) == 0 {
				row(at.Add(10*time.Minute), c.user, 2, 2, c.ip, c.company, id, c.agent, time.Time{}, "settlement-report")
			}
			end := at.Add(time.Duration(20+random.IntN(200)) * time.Minute)
			row(at, c.user, entry, pick(2, 2, 2, 6), c.ip, c.company, id, c.agent, end, "")
		}
	}
	// Stuffing from one address; one account gives in, its second factor is switched off.
	at := first.AddDate(0, 0, 10).Add(3 * time.Hour)
	for i := range 40 {
		row(at.Add(time.Duration(i*9)*time.Second), fmt.Sprintf("user%02d", i), 1, pick(5, 5, 13), "203.0.113.201", "Harbour Books", "", "python-requests/2.32", time.Time{}, "")
	}
	at = at.Add(7 * time.Minute)
	row(at, "mchan", 8, 15, "203.0.113.201", "Harbour Books", "", "python-requests/2.32", time.Time{}, "")
	row(at.Add(time.Minute), "mchan", 1, 21, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "")
	row(at.Add(2*time.Minute), "mchan", 1, 16, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "")
	row(at.Add(3*time.Minute), "mchan", 2, 2, "203.0.113.201", "Harbour Books", "S9001", "python-requests/2.32", time.Time{}, "card-report")
	for i := range 6 {
		row(at.Add(time.Duration(60+i*2)*time.Minute), "rsingh", 1, pick(22, 23, 24), "198.51.100.90", "Alpine Bikes", "", agents[0], time.Time{}, "")
	}
	row(at.Add(80*time.Minute), "rsingh", 1, 20, "198.51.100.90", "Alpine Bikes", "", agents[0], time.Time{}, "")
	row(at.Add(26*time.Hour), "tokafor", 1, 7, "198.51.100.70", "Savanna Tours", "S9002", agents[2], at.Add(27*time.Hour), "")
	row(at.Add(26*time.Hour), "tokafor", 1, 8, "203.0.113.20", "Savanna Tours", "S9003", agents[0], time.Time{}, "")
	for i, status := range []int{3, 9, 10, 11, 12, 14, 17, 18, 19, 26} {
		row(at.Add(time.Duration(30+i)*time.Hour), pick("kmori", "jlopez"), 1, status, "198.51.100.150", "Osaka Tea", "", agents[1], time.Time{}, "")
	}
	return out
}
