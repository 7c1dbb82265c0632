package parsers

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

var authReceived = event.TimeOf(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))

func newAuth(t testing.TB, o Options) *linuxAuth {
	t.Helper()
	p, err := newLinuxAuth("linux_auth", nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*linuxAuth)
}

// parseAuth parses one line that must have a syslog header.
func parseAuth(t testing.TB, p Parser, text string, received event.Time) *event.Event {
	t.Helper()
	ev := new(event.Event)
	if err := p.Parse(Line{Text: text, Received: received}, ev); err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return ev
}

func hasTag(ev *event.Event, tag string) bool {
	for _, x := range ev.Tags {
		if x == tag {
			return true
		}
	}
	return false
}

func labelOf(ev *event.Event, key string) string {
	for _, l := range ev.Labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// Golden cases: one JSON document a line of input; a line that is not of this parser's kind gives its error.
func TestLinuxAuthGolden(t *testing.T) {
	testkit.Golden(t, "testdata/linux_auth", func(t *testing.T, input []byte) []byte {
		p := newAuth(t, Options{})
		w := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true,
			Agent: event.AgentInfo{ID: "agent", Name: "host", Version: "test"}})
		var out []byte
		var ev event.Event
		for _, line := range strings.Split(strings.TrimSuffix(string(input), "\n"), "\n") {
			ev.Reset()
			if err := p.Parse(Line{Text: line, Received: authReceived}, &ev); err != nil {
				out = append(append(out, err.Error()...), '\n')
				continue
			}
			ev.Finish()
			out = append(w.AppendDocument(out, &ev), '\n')
		}
		return out
	})
}

// corpusLines reads a log of the shared corpora; every line ends in a newline.
func corpusLines(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile(testkit.Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func corpusRows(t testing.TB, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(testkit.Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, key := range records[0] {
			row[key] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// Each line of two real logs is one event whose time, process, pid and text are those of the published table, and no text of
// a program that the parser covers is unknown.
func TestLinuxAuthReadsLoghub(t *testing.T) {
	for _, name := range []string{"OpenSSH", "Linux"} {
		t.Run(name, func(t *testing.T) {
			base := "corpora/loghub/" + name + "/" + name + "_2k.log"
			lines, rows := corpusLines(t, base), corpusRows(t, base+"_structured.csv")
			if len(lines) != 2000 || len(rows) != len(lines) {
				t.Fatalf("%d lines, %d rows; want 2000 each", len(lines), len(rows))
			}
			p := newAuth(t, Options{Year: 2005})
			for i, line := range lines {
				ev := parseAuth(t, p, line, authReceived)
				if hasTag(ev, "unrecognized-message") {
					t.Errorf("line %d not recognized: %s", i+1, line)
				}
				if hasTag(ev, "parse-failure") || ev.Dataset != linuxAuthDataset {
					t.Errorf("line %d: %v %s", i+1, ev.Tags, ev.Dataset)
				}
				compareRow(t, i+1, ev, rows[i], name)
			}
		})
	}
}

func compareRow(t *testing.T, number int, ev *event.Event, row map[string]string, corpus string) {
	t.Helper()
	month, day, component := row["Month"], row["Date"], row["Component"]
	if corpus == "OpenSSH" { // the table's columns are shifted there
		month, day, component = row["Date"], row["Day"], "sshd"
	}
	stamp := month + " " + day + " " + row["Time"]
	want, err := time.Parse("2006 Jan 2 15:04:05", "2005 "+stamp)
	if err != nil {
		t.Fatal(err)
	}
	if !ev.Time.Std().Equal(want) {
		t.Errorf("line %d: time %s, want %s", number, ev.Time, want)
	}
	component, module, _ := strings.Cut(strings.TrimSpace(component), "(")
	component, _, _ = strings.Cut(component, " 1.4.1") // syslogd 1.4.1: the version is not the program's name
	if component == "-- root" {
		component = "login"
	}
	if ev.Process.Name != component {
		t.Errorf("line %d: process %q, want %q", number, ev.Process.Name, component)
	}
	if module != "" && labelOf(ev, "pam_module")+")" != module {
		t.Errorf("line %d: module %q, want %q", number, labelOf(ev, "pam_module"), module)
	}
	pid := ""
	if ev.Process.PID.Valid {
		pid = strconv.FormatInt(ev.Process.PID.N, 10)
	}
	wantPID := row["Pid"] + strings.TrimSuffix(row["PID"], ".0")
	if pid != wantPID {
		t.Errorf("line %d: pid %q, want %q", number, pid, wantPID)
	}
	if got, want := ev.Message, strings.TrimSpace(row["Content"]); got != want {
		t.Errorf("line %d: message %q, want %q", number, got, want)
	}
}

// OpenSSH_2k holds 524 lines that say Failed, which stand for 532 attempts.
func TestLinuxAuthCountsFailedLogins(t *testing.T) {
	p := newAuth(t, Options{})
	lines, attempts := 0, int64(0)
	for _, line := range corpusLines(t, "corpora/loghub/OpenSSH/OpenSSH_2k.log") {
		ev := parseAuth(t, p, line, authReceived)
		if ev.Action == event.Login && ev.Outcome == event.Failure {
			lines++
			attempts += max(ev.Count.N, 1)
			if ev.Source.IP == "" || !ev.Source.Port.Valid {
				t.Errorf("no source: %s", line)
			}
		}
	}
	if lines != 524 || attempts != 532 {
		t.Errorf("%d lines and %d attempts, want 524 and 532", lines, attempts)
	}
}

// within says whether s is part of text's memory.
func within(text, s string) bool {
	if s == "" {
		return true
	}
	a, b := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(s)))
	return b >= a && b+uintptr(len(s)) <= a+uintptr(len(text))
}

// Every code that the parser gives stands in its page.
func TestLinuxAuthCodesAreDocumented(t *testing.T) {
	root := testkit.RepoRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs/parsers/linux_auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("linux_auth*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`"((?:sshd|sftp|pam|sudo|doas|su|pkexec|polkit|account|login|ftpd|vsftpd|klogind|xinetd|telnetd|dropbear|gdm|` +
		`logind|systemd|cron|anacron|atd|run_parts|syslog|dovecot|postfix|postscreen|cyrus|courier|exim|proftpd|pureftpd|mysqld|mongod|asterisk|` +
		`openvpn|named|webmin|fail2ban|auditd)\.[a-z_]+)"`)
	found := 0
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllSubmatch(b, -1) {
			found++
			if !bytes.Contains(page, append(append([]byte("`"), m[1]...), '`')) {
				t.Errorf("%s: code %s is not in docs/parsers/linux_auth.md", name, m[1])
			}
		}
	}
	if found < 150 {
		t.Errorf("only %d codes found in the sources", found)
	}
}
