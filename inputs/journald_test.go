package inputs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// TestFakeJournalctl is no test: it is what the fake journalctl runs, as this binary. Its journal is a file of entries.
func TestFakeJournalctl(t *testing.T) {
	dir := os.Getenv("GATEBOOK_FAKE_JOURNAL")
	if dir == "" {
		t.Skip("is run by the fake journalctl of the tests beside it")
	}
	args := os.Args[slices.Index(os.Args, "--")+1:]
	note := func(name, text string) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			fmt.Fprintln(f, text)
			f.Close()
		}
	}
	note("args", strings.Join(args, " "))
	note("pids", strconv.Itoa(os.Getpid()))
	if said, err := os.ReadFile(filepath.Join(dir, "fail")); err == nil {
		os.Stderr.Write(said)
		os.Exit(1)
	}
	if said, err := os.ReadFile(filepath.Join(dir, "hint")); err == nil {
		os.Stderr.Write(said)
	}
	entries := func() []string {
		text, _ := os.ReadFile(filepath.Join(dir, "journal"))
		return strings.SplitAfter(string(text), "\n")
	}
	at, follow := 0, false
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "--cursor", "--after-cursor":
			if value == "garbage" {
				fmt.Fprintln(os.Stderr, "Failed to seek to cursor: Invalid argument")
				os.Exit(1)
			}
			for i, e := range entries() {
				if gjson.Get(e, "__CURSOR").String() == value {
					at = i
					if name == "--after-cursor" {
						at++
					}
				}
			}
		case "--lines":
			at = max(0, len(entries())-2)
		case "--follow":
			follow = true
		}
	}
	if follow {
		if _, err := os.Stat(filepath.Join(dir, "child")); err == nil { // a process of its own that keeps the pipes open
			c := exec.Command("sleep", "1000")
			c.Stdout, c.Stderr = os.Stdout, os.Stderr
			if c.Start() == nil {
				note("pids", strconv.Itoa(c.Process.Pid))
			}
		}
	}
	for n := 0; ; {
		all := entries()
		for ; at < len(all) && strings.HasSuffix(all[at], "\n"); at++ {
			fmt.Print(all[at])
			if n++; follow && n == 3 {
				if _, err := os.Stat(filepath.Join(dir, "crash")); err == nil {
					fmt.Print(`{"MESSAGE":"half an en`)
					os.Exit(3)
				}
			}
		}
		if !follow {
			os.Exit(0)
		}
		time.Sleep(2 * time.Millisecond) // it is not the test that waits: the fake polls its file
	}
}

// fakeJournal is a folder with a journal and a journalctl that reads it.
type fakeJournal struct {
	t   *testing.T
	dir string
	log bytes.Buffer
	mu  sync.Mutex
}

func (f *fakeJournal) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(p)
}

func (f *fakeJournal) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.String()
}

func newFakeJournal(t *testing.T) *fakeJournal {
	f := &fakeJournal{t: t, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nGATEBOOK_FAKE_JOURNAL='%s' exec '%s' -test.run='^TestFakeJournalctl$' -- \"$@\"\n", f.dir, self)
	if err := os.WriteFile(filepath.Join(f.dir, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return f
}

func journalLine(n int) string {
	return fmt.Sprintf(`{"MESSAGE":"m%d","__CURSOR":"s=1;i=%x","_PID":"7"}`, n, n)
}

func (f *fakeJournal) add(from, to int) {
	for n := from; n <= to; n++ {
		append1(f.t, filepath.Join(f.dir, "journal"), journalLine(n)+"\n")
	}
}

func (f *fakeJournal) set(name, text string) {
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeJournal) lines(name string) []string {
	text, _ := os.ReadFile(filepath.Join(f.dir, name))
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(text)), " ", "\x00"))
}

// input makes the input on this journal; it goes on from what the sink has.
func (f *fakeJournal) input(sink *memorySink, more string, once bool) Input {
	f.t.Helper()
	src := fmt.Sprintf("input \"journald\" \"j\" {\n  command = %q\n  parser = \"raw\"\n%s\n}\n", filepath.Join(f.dir, "journalctl"), more)
	file, _ := conf.Parse("test.hcl", []byte(src))
	c := Registry["journald"].Decode("j", file.Body().Blocks("input", 2)[0].Body)
	if err := file.Diagnostics().Err(); err != nil {
		f.t.Fatal(err)
	}
	c.(*journaldConfig).retry = time.Millisecond
	own := map[string][]byte{}
	for k, v := range sink.positions {
		own[strings.TrimPrefix(k, PositionPrefix("journald", "j"))] = v
	}
	in, err := c.New(Env{Once: once, Positions: own, Dir: f.dir, Host: "gate", Logger: slog.New(slog.NewTextHandler(f, nil))})
	if err != nil {
		f.t.Fatal(err)
	}
	return in
}

func (f *fakeJournal) once(sink *memorySink, more string) {
	f.t.Helper()
	if err := f.input(sink, more, true).Run(context.Background(), sink); err != nil {
		f.t.Fatal(err)
	}
}

// follow runs the input until the sink has what it should have, and holds that nothing is left behind.
func (f *fakeJournal) follow(sink *memorySink, more string, meanwhile func(), until func() bool) {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	in := f.input(sink, more, false)
	go func() { done <- in.Run(ctx, sink) }()
	meanwhile()
	testkit.Eventually(f.t, time.Minute, until)
	stop()
	if err := <-done; err != nil {
		f.t.Error(err)
	}
	for _, pid := range f.lines("pids") {
		n, _ := strconv.Atoi(pid)
		testkit.Eventually(f.t, time.Minute, func() error { // an orphan is reaped by another
			if err := syscall.Kill(n, 0); !errors.Is(err, syscall.ESRCH) && !zombie(n) {
				return fmt.Errorf("process %d is left behind: %s", n, fmt.Sprint(err))
			}
			return nil
		})
	}
}

// following waits until a journalctl follows the journal.
func (f *fakeJournal) following() {
	f.t.Helper()
	testkit.Eventually(f.t, time.Minute, func() bool {
		runs := f.lines("args")
		return len(runs) > 0 && strings.Contains(runs[len(runs)-1], "--follow")
	})
}

func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func (s *memorySink) messages() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.lines {
		out = append(out, gjson.Get(l, "MESSAGE").String())
	}
	return strings.Join(out, " ")
}

func numbered(from, to int) string {
	var out []string
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprintf("m%d", n))
	}
	return strings.Join(out, " ")
}

func newMemorySink() *memorySink { return &memorySink{positions: map[string][]byte{}} }

func TestJournaldGoesOnAtItsCursor(t *testing.T) {
	f, sink := newFakeJournal(t), newMemorySink()
	f.add(1, 700)
	f.once(sink, "")
	f.once(sink, "")
	f.add(701, 703)
	f.once(sink, "")
	if got := sink.messages(); got != numbered(1, 703) {
		t.Errorf("got %.200s ...", got)
	}
	if got := string(sink.positions["journald/j/cursor"]); got != "s=1;i=2bf" {
		t.Errorf("cursor %q", got)
	}
	if f.logged() != "" {
		t.Errorf("logged: %s", f.logged())
	}
}

// A journalctl that dies in the middle of an entry is started again and goes on behind the last whole one. Stopped, nothing is left: no
// goroutine, no process, not even one that journalctl had started.
func TestJournaldFollows(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	f, sink := newFakeJournal(t), newMemorySink()
	f.set("child", "")
	f.set("crash", "")
	f.add(1, 5)
	f.follow(sink, "", func() { f.following(); f.add(6, 20) }, func() bool { return sink.messages() == numbered(1, 20) })
	sink2 := newMemorySink()
	sink2.positions = sink.positions
	os.Remove(filepath.Join(f.dir, "args"))
	f.follow(sink2, "", func() { f.following(); f.add(21, 25) }, func() bool { return sink2.messages() == numbered(21, 25) })
	goleak.VerifyNone(t, ignore)
	if n := len(f.lines("pids")); n < 6 {
		t.Errorf("journalctl was started %d times", n)
	}
}

func TestJournaldStopsWhileTheLogIsFull(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	f := newFakeJournal(t)
	f.add(1, 2000)
	sink := fullSink{reached: make(chan struct{}, 1000)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	in := f.input(newMemorySink(), "", false)
	go func() { done <- in.Run(ctx, sink) }()
	<-sink.reached
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, ignore)
}

type fullSink struct{ reached chan struct{} }

func (s fullSink) Submit(ctx context.Context, _ *Batch) (Ticket, error) {
	s.reached <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestJournaldUnknownCursor(t *testing.T) {
	for cursor, says := range map[string]string{"s=9;i=9": "no longer has the entry that was read last", "garbage": "does not understand the cursor"} {
		f, sink := newFakeJournal(t), newMemorySink()
		sink.positions["journald/j/cursor"] = []byte(cursor)
		f.add(1, 3)
		f.once(sink, "")
		if sink.messages() != "m1 m2 m3" || !strings.Contains(f.logged(), says) || string(sink.positions["journald/j/cursor"]) != "s=1;i=3" {
			t.Errorf("%s: got %s; logged %s", cursor, sink.messages(), f.logged())
		}
	}
}

func TestJournaldFromEnd(t *testing.T) {
	f, sink := newFakeJournal(t), newMemorySink()
	f.add(1, 3)
	f.once(sink, `from = "end"`)
	f.add(4, 5)
	f.once(sink, `from = "end"`)
	if sink.messages() != "m4 m5" {
		t.Errorf("got %s", sink.messages())
	}
	empty, sink := newFakeJournal(t), newMemorySink()
	empty.follow(sink, `from = "end"`, func() { empty.following(); empty.add(1, 2) }, func() bool { return strings.HasSuffix(sink.messages(), "m2") })
}

func TestJournaldArguments(t *testing.T) {
	f, sink := newFakeJournal(t), newMemorySink()
	f.add(1, 1)
	more := "units = [\"ssh.service\", \"-x\"]\nidentifiers = [\"sudo\"]\nmatches = [\"_COMM=sshd\", \"+\", \"_UID=0\"]\ndirectory = \"remote\""
	f.follow(sink, more, func() {}, func() bool { return len(f.lines("args")) == 2 && sink.messages() == "m1" })
	filter := "--directory=" + f.dir + "/remote --unit=ssh.service --unit=-x --identifier=sudo -- _COMM=sshd + _UID=0"
	want := []string{"--output=json --all --no-pager " + filter, "--output=json --all --no-pager --follow --no-tail --merge --after-cursor=s=1;i=1 " + filter}
	for i, got := range f.lines("args") {
		if got = strings.ReplaceAll(got, "\x00", " "); got != want[i] {
			t.Errorf("run %d\n got %s\nwant %s", i, got, want[i])
		}
	}
}

func TestJournaldSaysWhatIsWrong(t *testing.T) {
	fails := func(more string, prepare func(*fakeJournal), want string) {
		t.Helper()
		f := newFakeJournal(t)
		prepare(f)
		err := f.input(newMemorySink(), more, true).Run(context.Background(), newMemorySink())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		// Followed, it is said once however often it is tried, and when it is over.
		sink := newMemorySink()
		f.follow(sink, more, func() {
			testkit.Eventually(t, time.Minute, func() bool { return strings.Contains(f.logged(), want) })
			f.add(1, 1)
			os.Remove(filepath.Join(f.dir, "fail"))
			if _, err := os.Stat(filepath.Join(f.dir, "away")); err == nil {
				os.Rename(filepath.Join(f.dir, "away"), filepath.Join(f.dir, "journalctl"))
			}
		}, func() bool { return sink.messages() == "m1" && strings.Contains(f.logged(), "can be read again") })
		if n := strings.Count(f.logged(), "cannot be read"); n != 1 {
			t.Errorf("said %d times: %s", n, f.logged())
		}
	}
	fails("", func(f *fakeJournal) { os.Rename(filepath.Join(f.dir, "journalctl"), filepath.Join(f.dir, "away")) }, "journalctl is not installed there")
	fails("", func(f *fakeJournal) { f.set("fail", "No journal files were opened due to insufficient permissions.\n") }, "usermod -aG systemd-journal")
	fails("", func(f *fakeJournal) { f.set("fail", "Something else.\n") }, "exit status 1: Something else.")

	f, sink := newFakeJournal(t), newMemorySink()
	f.add(1, 1)
	f.set("hint", "Hint: You are currently not seeing messages from other users and the system.\n      Users in groups 'adm', 'systemd-journal' can see all messages.\n")
	f.once(sink, "")
	if sink.messages() != "m1" || !strings.Contains(f.logged(), "usermod -aG systemd-journal") {
		t.Errorf("got %s; logged %s", sink.messages(), f.logged())
	}
}

func TestJournaldConfig(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		file, _ := conf.Parse("c.hcl", []byte("input \"journald\" \"j\" {\n"+src+"\n}\n"))
		decodeJournald("j", file.Body().Blocks("input", 2)[0].Body)
		if got := file.Diagnostics().Error(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
	f(``, ``)
	f(`matches = ["_COMM=sshd", "+", "PRIORITY=3"]`, ``)
	f(`matches = ["--output=cat"]`, `c.hcl:2:11: matches: "--output=cat" is no match`)
	f(`command = "journalctl"`, `is no absolute path`)
	f(`units = [""]`, `"" is no name`)
	f(`max_line = "1KiB"`, `max_line`)
	f(`colour = "red"`, `unknown attribute "colour"`)
}

// Whatever an entry holds: what comes out is within the limit, and valid JSON with its cursor where the entry was.
func TestLongEntriesAreShortened(t *testing.T) {
	const limit = 8 << 10
	rng := rand.New(rand.NewPCG(5, 6))
	values := []string{`"` + strings.Repeat("x", 30000) + `"`, `"` + strings.Repeat(`\"`, 9000) + `"`, `"` + strings.Repeat(`\u00e9`, 4000) + `"`,
		`"` + strings.Repeat("é", 9000) + `"`, `[` + strings.Repeat("200,", 9000) + `1]`, `["` + strings.Repeat("a", 5000) + `","b"]`, `[[1,2],[` + strings.Repeat("3,", 5000) + `4]]`,
		`"short"`, `null`, `"a\\"`, `"]}"`, `["a","b"]`}
	for range 200 {
		members := []string{`"__CURSOR":"s=1;i=77"`, `"MESSAGE":` + values[rng.IntN(len(values))]}
		for n := range rng.IntN(30) {
			members = append(members, fmt.Sprintf(`"F%d":%s`, n, values[rng.IntN(len(values))]))
		}
		if rng.IntN(9) == 0 {
			members = append(members, `"`+strings.Repeat("K", 400)+`":"v"`)
		}
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		entry := "{" + strings.Join(members, ",") + "}"
		s := &entryShortener{limit: limit}
		got, cut, err := readEntry(newSmallReader(entry+"\n"), s)
		if err != nil || len(got) > limit || cut != (len(entry) > limit) || !gjson.ValidBytes(got) || gjson.GetBytes(got, "__CURSOR").String() != "s=1;i=77" {
			t.Fatalf("%v; cut %v; %d bytes of %d: %.300s ... %.300s", err, cut, len(got), len(entry), got, got[max(0, len(got)-300):])
		}
		if m := gjson.GetBytes(got, "MESSAGE"); cut && len(m.Raw) < min(limit/2-600, len(gjson.Get(entry, "MESSAGE").Raw)) && m.Raw[0] == '"' {
			t.Fatalf("of a message of %d bytes %d are left", len(gjson.Get(entry, "MESSAGE").Raw), len(m.Raw))
		}
		var any map[string]any
		if err := json.Unmarshal(got, &any); err != nil {
			t.Fatal(err)
		}
	}
	got, cut, err := readEntry(newSmallReader(strings.Repeat("{", 100000)+"\n"), &entryShortener{limit: limit})
	if err != nil || !cut || len(got) != limit {
		t.Errorf("what is no object: %v, %v, %d bytes", err, cut, len(got))
	}
}

// With the real journald in a namespace of its own, where that can be run: what it stores comes out as it went in.
func TestRealJournal(t *testing.T) {
	const journald = "/lib/systemd/systemd-journald"
	if _, err := os.Stat(journald); err != nil || os.Getuid() != 0 {
		t.Skip("needs systemd-journald and root")
	}
	if _, err := exec.LookPath("journalctl"); err != nil {
		t.Skip("needs journalctl")
	}
	if _, err := os.Stat("/run/systemd/journal"); err == nil || os.Getenv("GATEBOOK_JOURNALD_TEST") == "" {
		t.Skip("starts a systemd-journald: only where none runs, and with GATEBOOK_JOURNALD_TEST=1")
	}
	realJournal(t, journald)
}

func newSmallReader(text string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(text), 1024)
}

func realJournal(t *testing.T, journald string) {
	const namespace = "gatebooktest"
	p := testkit.Start(t, journald, namespace)
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		t.Skip("needs /etc/machine-id")
	}
	dir := "/var/log/journal/" + strings.TrimSpace(string(id)) + "." + namespace
	t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		os.RemoveAll(dir)
		os.RemoveAll("/run/systemd/journal." + namespace)
	})
	var conn net.Conn
	testkit.Eventually(t, time.Minute, func() (err error) {
		conn, err = net.Dial("unixgram", "/run/systemd/journal."+namespace+"/dev-log")
		return err
	})
	defer conn.Close()
	send := func(from, to int) {
		for n := from; n <= to; n++ {
			fmt.Fprintf(conn, "<86>Nov 22 16:40:00 sshd[77]: m%d", n)
		}
	}
	send(1, 3)
	f, sink := newFakeJournal(t), newMemorySink()
	os.Remove(filepath.Join(f.dir, "journalctl"))
	if err := os.Symlink("/usr/bin/journalctl", filepath.Join(f.dir, "journalctl")); err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("directory = %q\nidentifiers = [\"sshd\"]", dir)
	f.follow(sink, more, func() {
		testkit.Eventually(t, time.Minute, func() bool { return sink.messages() == numbered(1, 3) })
		send(4, 6)
	}, func() bool { return sink.messages() == numbered(1, 6) })
	send(7, 8)
	f.follow(sink, more, func() {}, func() bool { return sink.messages() == numbered(1, 8) })
	testkit.Eventually(t, time.Minute, func() bool { f.once(sink, more); return sink.messages() == numbered(1, 8) })
	if strings.Contains(f.logged(), "no longer") {
		t.Error(f.logged())
	}
}
