package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// demoFeed appends a line to one of the demo's logs every second or two.
type demoFeed struct {
	logs string
	next time.Time
	n    int
}

func newDemoFeed(d *demo) *demoFeed { return &demoFeed{logs: d.logs} }

func (f *demoFeed) write(now time.Time) error {
	if now.Before(f.next) {
		return nil
	}
	f.next = now.Add(time.Duration(800+rand.IntN(1200)) * time.Millisecond)
	f.n++
	now = now.UTC()
	name := "auth.log"
	var line string
	pick := func(list ...string) string { return list[rand.IntN(len(list))] }
	ssh := func(format string, args ...any) string {
		return fmt.Sprintf("%s %s sshd[%d]: %s\n", now.Format("2006-01-02T15:04:05.000000Z07:00"), pick("web01", "web02", "bastion"), 2000+f.n, fmt.Sprintf(format, args...))
	}
	switch f.n % 7 {
	case 0:
		line = ssh("Accepted publickey for %s from 192.0.2.%d port %d ssh2: ED25519 SHA256:demo", pick("alice", "bob", "carol"), 14+rand.IntN(3), 40000+f.n)
	case 1:
		name = "payment_portal.csv"
		line = fmt.Sprintf("%s,%s,1,%s,198.51.100.%d,Harbour Books,,%q,,\n", now.Format(time.RFC3339), pick("jlopez", "mchan"), pick("5", "21", "25"), 10+rand.IntN(2), "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	case 2:
		name = "user_activity.log"
		line = fmt.Sprintf("timestamp=%s event=%s user=%s role=user tenant=example ip=192.0.2.%d session_id=us-live-%d\n", now.Format(time.RFC3339), pick("login.success", "login.failed", "mfa.verified"), pick("fnovak", "gsilva"), 70+rand.IntN(3), f.n)
	case 3:
		name = "auth_service.json"
		line = fmt.Sprintf(`{"eventType":%q,"clientName":"Portal","providerName":"Google","createdOn":%q,"email":%q,"ipAddress":"192.0.2.%d","tenant":"example"}`+"\n",
			pick("login", "login_failed", "logout"), now.Format(time.RFC3339), pick("kate@example.com", "mona@example.com"), 82+rand.IntN(2))
	default:
		line = ssh("Failed password for invalid user %s from 203.0.113.%d port %d ssh2", pick("admin", "test", "oracle", "pi"), 1+rand.IntN(250), 40000+f.n)
	}
	file, err := os.OpenFile(filepath.Join(f.logs, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(line)
	return err
}
