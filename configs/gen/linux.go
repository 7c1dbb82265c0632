package main

import (
	"fmt"
	"strings"
	"time"
)

// auth is auth.log of a few hosts.
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
