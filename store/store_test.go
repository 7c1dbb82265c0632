package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		line, _ := w.AppendItem(nil, nil, e, uint64(first+i))
		items[i] = Item{Seq: uint64(first + i), Doc: event.Document(line), Event: e}
	}
	return items
}

func mustAppend(t testing.TB, s *Store, items []Item, upTo int) {
	t.Helper()
	if err := s.Append(context.Background(), items, "log", uint64(upTo)); err != nil {
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

func TestAppendQueryCursor(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	if _, ok, err := s.Cursor(t.Context(), "log"); ok || err != nil {
		t.Errorf("cursor of an empty store: %v %v", ok, err)
	}
	items := makeItems(0, 100)
	mustAppend(t, s, items[:40], 39)
	mustAppend(t, s, items[30:70], 69) // sent again in part
	mustAppend(t, s, items[:50], 49)   // sent again whole
	mustAppend(t, s, nil, 80)          // filtered
	mustAppend(t, s, items[70:], 99)
	if n := count(t, s, ""); n != 40+30+19 {
		t.Errorf("%d rows", n)
	}
	if seq, ok, err := s.Cursor(t.Context(), "log"); seq != 99 || !ok || err != nil {
		t.Errorf("cursor %d %v %v", seq, ok, err)
	}
	if err := s.Append(t.Context(), items[:1], "other log", 0); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, ""); n != 90 {
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
	if err != nil || st.Rows != 90 || len(st.Users) != 10 || len(st.Addresses) != 10 || !strings.Contains(st.Addresses[0].Name, ".") ||
		len(st.Outcomes) != 4 || !strings.HasPrefix(st.Outcomes[0].Name, "login failure") || st.Bytes == 0 || st.Newest != items[99].Event.Time.Std() {
		t.Errorf("%+v %v", st, err)
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
	mustAppend(t, s, makeItems(0, 50), 49)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir})
	mustAppend(t, s, makeItems(0, 60), 59)
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
		mustAppend(t, w, makeItems(i*20, 20), i*20+19)
		if n := count(t, r, ""); n != int64(i+1)*20 {
			t.Errorf("the reader sees %d", n)
		}
	}
	if err := r.Append(t.Context(), nil, "log", 1000); err == nil {
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
		mustAppend(t, s, makeItems(0, 2000), 1999)
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
			it.Seq = uint64(len(all))
			all = append(all, it)
		}
	}
	mustAppend(t, s, all, len(all)-1)
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
	next := 0
	if seq, ok, err := s.Cursor(context.Background(), "log"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	} else if ok {
		next = int(seq) + 1
	}
	for {
		from := max(0, next-30) // the log sends again what it has no answer for
		if err := s.Append(context.Background(), makeItems(from, next-from+70), "log", uint64(next+69)); err != nil {
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
		kill := time.AfterFunc(time.Duration(40+rand.IntN(120))*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		text, _ := io.ReadAll(out)
		kill.Stop()
		if err := cmd.Wait(); stderr.Len() > 0 {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		if lines := strings.Split(strings.TrimSuffix(string(text[:bytes.LastIndexByte(text, '\n')+1]), "\n"), "\n"); len(lines) > 0 && lines[0] != "" {
			if confirmed, err = strconv.Atoi(lines[len(lines)-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := mustOpen(t, Options{Dir: dir})
	seq, _, err := s.Cursor(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	if confirmed == 0 || int(seq)+1 < confirmed {
		t.Errorf("confirmed %d, stored up to %d", confirmed, seq)
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
	if len(seen) != int(seq)+1 {
		t.Errorf("%d events, stored up to %d", len(seen), seq)
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
		if err = s.Append(t.Context(), makeItems(at, 200), "log", uint64(at+199)); err != nil {
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
	mustAppend(t, s, makeItems(at, 200), at+199)
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
			if err := s.Append(context.Background(), makeItems(i*50, 50), "log", uint64(i*50+49)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	testkit.Eventually(t, 30*time.Second, func() bool {
		n := count(t, s, "outcome=failure") + count(t, s, "outcome!=failure")
		return n >= 2000
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}
