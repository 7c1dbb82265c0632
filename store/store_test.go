package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/query"
)

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// makeItems makes n items from sequence number first on.
func makeItems(first, n int) []Item {
	w := newEncoder()
	items := make([]Item, n)
	for i := range items {
		e := &event.Event{}
		authEvent(e, first+i)
		e.ID = idOf(first + i)
		line, _ := w.AppendItem(nil, nil, e, uint64(first+i))
		items[i] = Item{Doc: event.Document(line), Event: e}
	}
	return items
}

// An id that a sender made up counts no start of an agent, however much it looks like one: there are only so many.
func TestSendersIDsAreNoEpochs(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	items := makeItems(0, 4)
	epoch := strings.Repeat("e", 32)
	for i, id := range []string{"shop:" + strings.Repeat("x", 27) + "-5", strings.Repeat("E", 32) + "-5", epoch + "-" + strconv.Itoa(1<<41), epoch + "-5"} {
		items[i].Event.ID = id
	}
	mustAppend(t, s, items)
	if n := count(t, s, ""); n != 4 {
		t.Errorf("%d rows", n)
	}
	var epochs int
	if err := s.readers.QueryRow("SELECT count(*) FROM epoch").Scan(&epochs); err != nil || epochs != 1 {
		t.Errorf("%d epochs, %v", epochs, err)
	}
}

func mustAppend(t testing.TB, s *Store, items []Item) {
	t.Helper()
	if err := s.Append(context.Background(), items); err != nil {
		t.Fatal(err)
	}
}

func count(t testing.TB, s *Store, question string) int64 {
	t.Helper()
	e, err := query.ParseSimple(question, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Count(context.Background(), e, QueryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func docs(t testing.TB, s *Store, where query.Expr, o QueryOptions) (out []string) {
	t.Helper()
	for doc, err := range s.Query(context.Background(), where, o) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(doc))
	}
	return out
}

func TestAppendAndQuery(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	items := makeItems(0, 100)
	mustAppend(t, s, items[:40])
	mustAppend(t, s, items[30:70]) // sent again in part
	mustAppend(t, s, items[:50])   // sent again whole
	mustAppend(t, s, nil)
	mustAppend(t, s, items[80:]) // what comes out of order is not taken for what is there
	mustAppend(t, s, items[70:80])
	if n := count(t, s, ""); n != 100 {
		t.Errorf("%d rows", n)
	}
	got := docs(t, s, nil, QueryOptions{Limit: 2})
	if len(got) != 2 || got[0] != string(items[99].Doc) || got[1] != string(items[98].Doc) {
		t.Errorf("newest first: %s", got)
	}
	got = docs(t, s, nil, QueryOptions{OldestFirst: true, From: items[1].Event.Time.Std(), To: items[3].Event.Time.Std()})
	if len(got) != 2 || got[0] != string(items[1].Doc) || got[1] != string(items[2].Doc) {
		t.Errorf("bounds: %s", got)
	}
	st, err := s.Stats(t.Context(), nil)
	if err != nil || st.Rows != 100 || len(st.Users) != 10 || len(st.Addresses) != 10 || !strings.Contains(st.Addresses[0].Name, ".") ||
		len(st.Outcomes) != 4 || !strings.HasPrefix(st.Outcomes[0].Name, "login failure") || st.Bytes == 0 || st.Newest != items[99].Event.Time.Std() {
		t.Errorf("%+v %v", st, err)
	}
	other := makeItems(0, 3) // the same sequence numbers in another epoch, and ids of another form
	other[0].Event.ID, other[1].Event.ID, other[2].Event.ID = strings.Repeat("f", 32)+"-0", "alert/1", "alert/2"
	mustAppend(t, s, other)
	mustAppend(t, s, other)
	if n := count(t, s, ""); n != 103 {
		t.Errorf("%d rows", n)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for range s.Query(t.Context(), nil, QueryOptions{}) {
		break // a loop that ends early leaves nothing open
	}
	if n := s.readers.Stats().InUse; n != 0 {
		t.Errorf("%d connections in use", n)
	}
}

func TestReopenKeepsAll(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	mustAppend(t, s, makeItems(0, 50))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir})
	mustAppend(t, s, makeItems(0, 60))
	if n := count(t, s, ""); n != 60 {
		t.Errorf("%d rows", n)
	}
}

func TestReaderBesideWriter(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Dir: dir, ReadOnly: true}); !errors.Is(err, ErrAbsent) {
		t.Errorf("got %v", err)
	}
	w := mustOpen(t, Options{Dir: dir})
	r := mustOpen(t, Options{Dir: dir, ReadOnly: true})
	for i := range 5 {
		mustAppend(t, w, makeItems(i*20, 20))
		if n := count(t, r, ""); n != int64(i+1)*20 {
			t.Errorf("the reader sees %d", n)
		}
	}
	if err := r.Append(t.Context(), nil); err == nil {
		t.Error("a reader wrote")
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	f := func(prepare func(path string), want error, text string) {
		t.Helper()
		dir := t.TempDir()
		s := mustOpen(t, Options{Dir: dir})
		mustAppend(t, s, makeItems(0, 2000))
		s.Close()
		prepare(filepath.Join(dir, FileName))
		s, err := Open(Options{Dir: dir})
		if err == nil {
			err = s.Check(t.Context())
			s.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v", err)
		}
	}
	f(func(path string) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
			t.Fatal(err)
		}
	}, ErrNewer, "its schema is 99, this one knows 1")
	f(func(path string) { write(t, path, 0, bytes.Repeat([]byte("no database "), 100)) }, ErrCorrupt, "events.db: ")
	f(func(path string) { write(t, path, 8192*20, bytes.Repeat([]byte{0xff}, 8192*10)) }, ErrCorrupt, "move it and its -wal and -shm files away")
}

func write(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestPrune(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	s := mustOpen(t, Options{Dir: t.TempDir(), Now: func() time.Time { return now }, Retention: 30 * 24 * time.Hour,
		ByDataset: map[string]time.Duration{"auth_service.audit": 7 * 365 * 24 * time.Hour, "short": 24 * time.Hour}})
	var all []Item
	for i, x := range []struct {
		dataset string
		days    int
		copies  int
	}{{"gatebook.linux.auth", 31, 5000}, {"gatebook.linux.auth", 29, 10}, {"gatebook.auth_service.audit", 2000, 10}, {"gatebook.auth_service.audit", 2600, 10},
		{"gatebook.short", 2, 10}, {"", 31, 10}, {"", 1, 10}} {
		for _, it := range makeItems(i, x.copies) {
			it.Event.Dataset, it.Event.Time = x.dataset, event.TimeOf(now.AddDate(0, 0, -x.days))
			it.Event.ID = idOf(len(all))
			all = append(all, it)
		}
	}
	mustAppend(t, s, all)
	before, err := s.Stats(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Prune(t.Context()); n != 5030 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if a, b, c := count(t, s, "dataset=linux.auth"), count(t, s, "dataset=auth_service.audit"), count(t, s, ""); a != 10 || b != 10 || c != 30 {
		t.Errorf("%d %d %d left", a, b, c)
	}
	if n, err := s.Prune(t.Context()); n != 0 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if after, err := s.Stats(t.Context(), nil); err != nil || after.Bytes > before.Bytes/2 {
		t.Errorf("%d bytes before, %d after, %v", before.Bytes, after.Bytes, err)
	}
}

// TestMain is also the process that the kill test kills: it appends batches without end and prints each that was confirmed.
func TestMain(m *testing.M) {
	dir := os.Getenv("GATEBOOK_STORE_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	rows, err := s.Count(context.Background(), nil, QueryOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	next := int(rows)
	for {
		from := max(0, next-30) // the log sends again what it has no answer for
		if err := s.Append(context.Background(), makeItems(from, next-from+70)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		next += 70
		fmt.Println(next)
	}
}

// However often the writer is killed, what it confirmed is there, and nothing twice.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	confirmed := 0
	for range 15 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "GATEBOOK_STORE_CHILD="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed at a random moment after it has confirmed something, however slow the machine is.
		after := 1 + rand.IntN(4)
		lines := bufio.NewScanner(out)
		for n := 1; lines.Scan(); n++ {
			if confirmed, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if n == after {
				kill := time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
				defer kill.Stop()
			}
		}
		if err := cmd.Wait(); stderr.Len() > 0 {
			t.Fatalf("%v: %s", err, stderr.String())
		}
	}
	s := mustOpen(t, Options{Dir: dir})
	stored := int(count(t, s, ""))
	if confirmed == 0 || stored < confirmed {
		t.Errorf("confirmed %d, stored %d", confirmed, stored)
	}
	seen := map[string]bool{}
	for doc, err := range s.Query(t.Context(), nil, QueryOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var d struct{ Event struct{ ID string } }
		if err := json.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		if seen[d.Event.ID] {
			t.Fatalf("%s is there twice", d.Event.ID)
		}
		seen[d.Event.ID] = true
	}
	for seq := range stored {
		if !seen[idOf(seq)] {
			t.Fatalf("event %d is lost", seq)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A full disk gives an error that says so and leaves the store whole; with space again it goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	s := mustOpen(t, Options{Dir: filepath.Join(dir, "store")})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := 0, error(nil)
	for ; at < 20000; at += 200 {
		if err = s.Append(t.Context(), makeItems(at, 200)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("got %v at %d", err, at)
	}
	if n := count(t, s, ""); n != int64(at) {
		t.Errorf("%d rows, %d confirmed", n, at)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, makeItems(at, 200))
	if n := count(t, s, ""); n != int64(at)+200 {
		t.Errorf("%d rows", n)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadersWhileWriting(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	done := make(chan error, 1)
	go func() {
		for i := range 40 {
			if err := s.Append(context.Background(), makeItems(i*50, 50)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	testkit.Eventually(t, time.Minute, func() bool {
		n := count(t, s, "outcome=failure") + count(t, s, "outcome!=failure")
		return n >= 2000
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
