package parsers

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"
)

// Whatever name a client chooses, source and user are those that the server saw.
func TestLinuxAuthNamesMoveNoField(t *testing.T) {
	forms := []struct{ text, code string }{
		{"Failed password for invalid user {} from 198.51.100.66 port 4001 ssh2", "sshd.failed"},
		{"Failed none for invalid user {} from 198.51.100.66 port 4001 ssh2", "sshd.failed"},
		{"Failed publickey for invalid user {} from 198.51.100.66 port 4001 ssh2: RSA SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ", "sshd.failed"},
		{"Invalid user {} from 198.51.100.66 port 4001", "sshd.invalid_user"},
		{"Disconnected from invalid user {} 198.51.100.66 port 4001 [preauth]", "sshd.disconnected"},
		{"Connection closed by invalid user {} 198.51.100.66 port 4001 [preauth]", "sshd.connection_closed"},
		{"Connection reset by authenticating user {} 198.51.100.66 port 4001 [preauth]", "sshd.connection_reset"},
		{"error: maximum authentication attempts exceeded for invalid user {} from 198.51.100.66 port 4001 ssh2 [preauth]", "sshd.max_attempts"},
		{"Postponed keyboard-interactive for invalid user {} from 198.51.100.66 port 4001 ssh2 [preauth]", "sshd.postponed"},
	}
	pieces := []string{"root", "a", "from", "from 203.0.113.1", "port", "port 22", "203.0.113.1", "ssh2", "ssh2:", "for", "user", "invalid user",
		"[preauth]", "user=", "rhost=203.0.113.1", "not allowed because", ":", "RSA-CERT", "CA", "ID", "SHA256:x", "é", "'", "\"", "]", "::1"}
	p := newAuth(t, Options{})
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.SampledFrom(forms).Draw(r, "form")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 6).Draw(r, "name"), " ")
		text := strings.Replace(f.text, "{}", name, 1)
		var ev event.Event
		if err := p.Parse(Line{Text: "Nov 22 11:00:00 web01 sshd[7]: " + text, Received: authReceived}, &ev); err != nil {
			r.Fatal(err)
		}
		if ev.Source.IP != "198.51.100.66" || ev.Source.Port.N != 4001 || ev.Code != f.code || ev.User.Name != name || ev.Outcome == event.Success {
			r.Fatalf("%s\nsource %q port %d code %q user %q", text, ev.Source.IP, ev.Source.Port.N, ev.Code, ev.User.Name)
		}
	})
}

func TestLinuxAuthPAMNamesMoveNoAddress(t *testing.T) {
	pieces := []string{"x", "rhost=203.0.113.1", "user=y", "ruser=z", "tty=ftp", ";", "authentication failure;"}
	p := newAuth(t, Options{})
	rapid.Check(t, func(r *rapid.T) {
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 5).Draw(r, "name"), " ")
		text := "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=" + name + " rhost=198.51.100.66"
		if rapid.Bool().Draw(r, "known") {
			text += " user=" + name
		}
		var ev event.Event
		if err := p.Parse(Line{Text: "Nov 22 11:00:00 web01 vsftpd[7]: " + text, Received: authReceived}, &ev); err != nil {
			r.Fatal(err)
		}
		if ev.Source.IP != "198.51.100.66" || ev.User.Name != name {
			r.Fatalf("%s\nsource %q user %q", text, ev.Source.IP, ev.User.Name)
		}
	})
}

// Lines as long as an input lets through are read in time that grows with their length only.
func TestLinuxAuthTimeIsBounded(t *testing.T) {
	p := newAuth(t, Options{})
	for _, piece := range []string{" from ", " port 1 ", " rhost=", " ; USER=", "message repeated 2 times: [ ", "(uid=", " -CERT CA ssh2: from ",
		": Change of username or service not allowed: (", " not allowed because ", "[x=\"", "PAM ", " by ", "'", "::"} {
		for _, head := range []string{"sshd[1]: Failed password for ", "sshd[1]: Disconnecting invalid user ", "sudo: a : ",
			"sshd: pam_unix(sshd:auth): authentication failure; ruser=", "", "sshd[1]: User ", "CRON[1]: (a) CMD (", "useradd: new user: ",
			"sshd[1]: Accepted publickey for ", "login[1]: FAILED LOGIN ", "sshd[1]: Starting session: ", "sshd: PAM 2 more authentication failures; "} {
			text := "Nov 22 11:00:00 host " + head + strings.Repeat(piece, (1<<20)/len(piece))
			var ev event.Event
			var err error
			took := testkit.CPU(t, func() { err = p.Parse(Line{Text: text, Received: authReceived}, &ev) })
			if err != nil {
				t.Fatal(err)
			}
			if took > 500*time.Millisecond {
				t.Errorf("%q with %q: %s for 1 MiB", head, piece, took)
			}
		}
	}
}

// fail2ban's own samples, read where they lie: a line that it calls a failure is a failure here, from the same client.
func TestLinuxAuthFindsFail2banFailures(t *testing.T) {
	dir := testkit.Shared(t, "corpora/fail2ban")
	p := newAuth(t, Options{})
	for name, want := range map[string]int{"pam-generic": 100, "vsftpd": 100, "xinetd-fail": 100, "dropbear": 100} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		labelled, right := 0, 0
		var label struct {
			Match bool   `json:"match"`
			Host  string `json:"host"`
		}
		for _, line := range strings.Split(string(b), "\n") {
			if text, ok := strings.CutPrefix(line, "# failJSON: "); ok {
				label.Match = false
				if err := json.Unmarshal([]byte(text), &label); err != nil {
					t.Fatalf("%s: %v in %s", name, err, text)
				}
				continue
			}
			if line == "" || line[0] == '#' || !label.Match || !looksLikeLinuxAuth(line) {
				continue // files of the program's own format have no syslog header
			}
			labelled++
			ev := parseAuth(t, p, line, authReceived)
			if ev.Outcome == event.Failure && (ev.Source.IP == label.Host || ev.Source.Domain == label.Host) {
				right++
			} else {
				t.Logf("%s: %v %v %q %q: %s", name, ev.Action, ev.Outcome, ev.Source.IP, ev.Source.Domain, line)
			}
		}
		t.Logf("%s: %d of %d", name, right, labelled)
		if labelled == 0 || right*100 < labelled*want {
			t.Errorf("%s: %d of %d lines are failures from the right client, want %d %%", name, right, labelled, want)
		}
	}
}

// Every document is valid against ECS.
func TestLinuxAuthDocumentsAreECS(t *testing.T) {
	schema := testkit.ECS(t)
	p := newAuth(t, Options{})
	w := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true,
		Agent: event.AgentInfo{ID: "agent", Name: "host", Version: "test"}})
	check := func(text string) {
		t.Helper()
		var ev event.Event
		if p.Parse(Line{Text: text, Received: authReceived}, &ev) != nil {
			return
		}
		ev.Finish()
		if err := schema.Validate(w.AppendDocument(nil, &ev)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	for _, text := range goldenInputs(t) {
		check(text)
	}
	for _, name := range []string{"OpenSSH", "Linux"} {
		for _, text := range corpusLines(t, "corpora/loghub/"+name+"/"+name+"_2k.log") {
			check(text)
		}
	}
}

func goldenInputs(t testing.TB) (lines []string) {
	t.Helper()
	paths, err := filepath.Glob("testdata/linux_auth/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, path := range paths {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(testkit.File(ar, "input"))), "\n")...)
	}
	return lines
}

// FuzzLinuxAuth: no line panics, every line with a header gives one event, and every text of it is part of the line, so that
// nothing was allocated or made up.
func FuzzLinuxAuth(f *testing.F) {
	for _, line := range goldenInputs(f) {
		f.Add(line)
	}
	p := newAuth(f, Options{})
	w := event.NewEncoder(event.EncoderOptions{Plain: true})
	f.Fuzz(func(t *testing.T, text string) {
		var ev event.Event
		err := p.Parse(Line{Text: text, Received: authReceived}, &ev)
		if err != nil {
			if !errors.Is(err, ErrNoMatch) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if ev.Dataset != linuxAuthDataset {
			t.Fatalf("dataset %q", ev.Dataset)
		}
		for _, s := range textsOf(&ev) {
			if !within(text, s) {
				t.Errorf("%q is no part of the line", s)
			}
		}
		if ip := ev.Source.IP; ip != "" && !event.ValidIP(ip) {
			t.Errorf("%q is no address", ip)
		}
		ev.Finish()
		if doc := w.AppendDocument(nil, &ev); !json.Valid(doc) {
			t.Errorf("not JSON: %s", doc)
		}
	})
}

// textsOf lists the texts that come from the line (codes, reasons and names of modules that are constants are left out).
func textsOf(ev *event.Event) []string {
	list := []string{ev.Message, ev.Host.Name, ev.Source.IP, ev.Source.Domain, ev.Process.CommandLine, ev.Process.Executable,
		ev.Process.WorkingDirectory, ev.User.ID, ev.Session.ID}
	if ev.User.Name != "root" && ev.User.Name != "anonymous" {
		list = append(list, ev.User.Name)
	}
	for _, u := range []*event.User{ev.UserTarget, ev.UserEffective, ev.UserChanges} {
		if u != nil {
			list = append(list, u.Name, u.ID)
		}
	}
	if g := ev.Group; g != nil {
		list = append(list, g.Name, g.ID)
	}
	for _, l := range ev.Labels {
		switch l.Key {
		case "pam_module", "pam_service", "changed", "auth_method":
		default:
			list = append(list, l.Value)
		}
	}
	return list
}
