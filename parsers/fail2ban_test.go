package parsers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// fail2banLine is one labelled line of a fail2ban sample.
type fail2banLine struct {
	file   string
	number int // of the line in the file
	text   string
	label  fail2banLabel
	probes bool   // from here on the file shows a mode that looks for probes: connections without an attempt to log in
	prefix string // what a journal's entry lacks: its time, and where the file says so, host and program
}

// fail2banLabel is the comment above a line; it may go on in the next lines.
type fail2banLabel struct {
	Time  string `json:"time"`
	Match bool   `json:"match"`
	Host  string `json:"host"`
	User  string `json:"user"`
}

// fail2banOption is one element of a filterOptions comment.
type fail2banOption struct {
	Mode    string `json:"mode"`
	LogType string `json:"logtype"`
	Prefix  string `json:"test.prefix-line"`
}

// fail2banFiles are the samples of logs that linux_auth and daemons read.
var fail2banFiles = []string{"asterisk", "courier-auth", "cyrus-imap", "dovecot", "dropbear", "exim", "mongodb-auth", "mysqld-auth", "named-refused",
	"openvpn", "pam-generic", "postfix", "proftpd", "recidive", "selinux-ssh", "squid", "vsftpd", "webmin-auth", "xinetd-fail"}

// fail2banWrong are the expectations that are not taken over, by file and line.
var fail2banWrong = map[string]string{
	"exim:122":        wrongResolve,
	"exim:124":        wrongResolve,
	"exim:126":        wrongResolve,
	"postfix:158":     wrongResolve,
	"postfix:82":      "the mode shown there looks for other errors only; the same text is labelled a failure above",
	"postfix:147":     "the mode shown there leaves it out; the same line is labelled a failure below, and nobody got in",
	"pam-generic:12":  "a failed login in the spelling of old PAM, which the filter no longer knows and we do",
	"recidive:8":      "a ban like the others; the filter leaves out those of its own jail",
	"mongodb-auth:2":  wrongAttempt,
	"mongodb-auth:7":  wrongAttempt,
	"mongodb-auth:12": wrongAttempt,
	"mongodb-auth:17": wrongAttempt,
	"mongodb-auth:4":  wrongEnded,
	"mongodb-auth:9":  wrongEnded,
	"mongodb-auth:14": wrongEnded,
	"mongodb-auth:19": wrongEnded,
	"selinux-ssh:2":   wrongTwice,
	"selinux-ssh:5":   wrongTwice,
	"selinux-ssh:11":  wrongTwice,
	"selinux-ssh:14":  wrongTwice,
	"selinux-ssh:20":  wrongTwice,
	"selinux-ssh:29":  wrongTwice,
}

const (
	wrongResolve = "a name that does not resolve says nothing about what the client did; only the aggressive mode calls it a failure, as a sign"
	wrongAttempt = "the line says that a login failed; the filter waits for the line that names the client"
	wrongEnded   = "the line says that a connection ended; the failed login is the line before it"
	wrongTwice   = "a failed login; the filter counts its companion USER_AUTH in its place, which is login-detail here"
)

func readFail2ban(t *testing.T, name string) []fail2banLine {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testkit.Shared(t, "corpora/fail2ban"), name))
	if err != nil {
		t.Fatal(err)
	}
	var lines []fail2banLine
	var label fail2banLabel
	prefix, labelled, probes := "", false, false
	for i, text := range strings.Split(string(b), "\n") {
		comment, isComment := strings.CutPrefix(text, "#")
		comment = strings.TrimSpace(comment)
		switch {
		case isComment && strings.HasPrefix(comment, "failJSON:"):
			label, labelled = fail2banLabel{}, true
			if err := json.Unmarshal([]byte(comment[len("failJSON:"):]), &label); err != nil {
				t.Fatalf("%s:%d: %v", name, i+1, err)
			}
		case isComment && strings.HasPrefix(comment, "filterOptions:"):
			probes, prefix = fail2banMode(t, comment[len("filterOptions:"):])
		case !isComment && text != "" && labelled:
			lines = append(lines, fail2banLine{name, i + 1, text, label, probes, prefix})
			labelled = false
		}
	}
	return lines
}

func fail2banMode(t *testing.T, text string) (probes bool, prefix string) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	var options []fail2banOption
	if err := json.Unmarshal([]byte(text), &options); err != nil {
		t.Fatalf("filterOptions %s: %v", text, err)
	}
	probes, journal := true, true
	for _, o := range options {
		probes = probes && slices.Contains([]string{"aggressive", "ddos", "more"}, o.Mode)
		journal = journal && o.LogType == "journal"
	}
	if journal { // fail2ban's tests give these without their time
		prefix = "Jan  1 00:00:00 " + options[0].Prefix
	}
	return probes, prefix
}

// isFailure says whether the event is a refused login or access. A connection that ended without an attempt is a failed connection-close here, and a
// failure for fail2ban in its modes that look for probes only.
func isFailure(ev *event.Event, probes bool) bool {
	if ev.Outcome != event.Failure {
		return false
	}
	switch ev.Action {
	case event.Login, event.LoginDetail, event.Request, event.ConnectionOpen:
		return true
	case event.ConnectionClose:
		return probes
	}
	return false
}

// TestFail2ban reads the labelled lines of fail2ban's own samples the way a user would, by auto, each file from the beginning: what fail2ban takes for
// a failure is one here, of the same client, and nothing else is.
func TestFail2ban(t *testing.T) {
	all, right, probes := 0, 0, 0
	used := map[string]bool{}
	for _, name := range fail2banFiles {
		lines := readFail2ban(t, name)
		verdicts, hosts, times, timed, skipped := 0, 0, 0, 0, 0
		for _, l := range lines {
			ev := parseFail2ban(t, l)
			verdict := isFailure(ev, l.probes) == l.label.Match
			host := !l.label.Match || l.label.Host == ev.Source.IP || l.label.Host == ev.Source.Domain
			if at, ok := labelTime(l.label.Time); ok && l.prefix == "" {
				timed++
				if at.Equal(ev.Time.Std().Truncate(time.Second)) {
					times++
				}
			}
			key := fmt.Sprintf("%s:%d", name, l.number)
			if reason, listed := fail2banWrong[key]; listed {
				used[key] = true
				skipped++
				if verdict && host {
					t.Errorf("%s is as expected, and listed: %s", key, reason)
				}
				continue
			}
			if verdict {
				verdicts++
			}
			if host {
				hosts++
			}
			if verdict && host {
				right++
				if l.label.Match && ev.Action == event.ConnectionClose {
					probes++
				}
				continue
			}
			t.Logf("%s: want match %v host %q; is %v %v ip %q domain %q code %q: %.160s", key, l.label.Match, l.label.Host, ev.Action.Info().Name, ev.Outcome,
				ev.Source.IP, ev.Source.Domain, ev.Code, l.text)
		}
		n := len(lines) - skipped
		all += n
		t.Logf("%-14s %3d lines, verdict equal %3d, host equal %3d (%.1f %%); %d listed as wrong; %d of %d times", name, len(lines), verdicts, hosts,
			100*float64(min(verdicts, hosts))/float64(max(n, 1)), skipped, times, timed)
	}
	for key := range fail2banWrong {
		if !used[key] {
			t.Errorf("%s is listed and no labelled line", key)
		}
	}
	t.Logf("all: %d of %d (%.1f %%), %d of them connections without an attempt, in modes that look for those; %d expectations listed as wrong", right, all,
		100*float64(right)/float64(all), probes, len(fail2banWrong))
	if right*100 < all*97 {
		t.Errorf("%d of %d lines equal, want 97 %%", right, all)
	}
}

// parseFail2ban reads one line; the year of times without one is the label's. What no parser knows is an empty event.
func parseFail2ban(t *testing.T, l fail2banLine) *event.Event {
	t.Helper()
	year := 2005
	if at, ok := labelTime(l.label.Time); ok {
		year = at.Year()
	}
	set, err := Build(nil, Options{Year: year, Location: fail2banZone})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("auto")
	if err != nil {
		t.Fatal(err)
	}
	ev := new(event.Event)
	if err := p.Parse(Line{Text: l.prefix + l.text, Received: authReceived, Source: l.file}, ev); err != nil {
		return new(event.Event)
	}
	return ev
}

// fail2banZone is the zone that the labels' times are in.
var fail2banZone = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		return time.UTC
	}
	return zone
}()

func labelTime(s string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-2T15:04:05", "2006-01-02T15:04:05.000"} {
		if at, err := time.ParseInLocation(layout, s, fail2banZone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
