package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		runHelper(dir)
		return
	}
	os.Exit(m.Run())
}

func mustOpen(t testing.TB, dir string, o Options) *DB {
	t.Helper()
	d, err := OpenWith(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func mustCommit(t testing.TB, d *DB, c Commit) {
	t.Helper()
	if err := d.Commit(c); err != nil {
		t.Fatal(err)
	}
}

func key(owner uint64, name string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, owner), name...)
}

func get(t testing.TB, d *DB, k []byte) string {
	t.Helper()
	v, ok, err := d.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "absent"
	}
	return string(v)
}

func TestCommitOutlivesClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := mustOpen(t, dir, Options{})
	if cursor, blobs, err := d.Load(); cursor != 0 || len(blobs) != 0 || err != nil {
		t.Fatalf("new: %d, %v, %v", cursor, blobs, err)
	}
	mustCommit(t, d, Commit{Cursor: 1<<63 + 5, Blobs: map[string][]byte{"a": []byte("1"), "b": {}, "gone": []byte("x")}, Rows: []Row{
		{Key: key(1<<63+1, "k"), Value: []byte("v"), Expires: 10}, {Key: key(7, "k"), Value: []byte{}, Expires: 10}, {Key: key(7, "l"), Value: []byte("l")},
	}})
	mustCommit(t, d, Commit{Cursor: 1<<63 + 6, Blobs: map[string][]byte{"a": []byte("2"), "gone": nil}, Rows: []Row{{Key: key(7, "l")}, {Key: key(7, "never")}}})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, dir, Options{})
	cursor, blobs, err := d.Load()
	if diff := cmp.Diff(map[string][]byte{"a": []byte("2"), "b": {}}, blobs); diff != "" || cursor != 1<<63+6 || err != nil {
		t.Errorf("cursor %d, %v, blobs:\n%s", cursor, err, diff)
	}
	got := []string{get(t, d, key(1<<63+1, "k")), get(t, d, key(7, "k")), get(t, d, key(7, "l"))}
	if diff := cmp.Diff([]string{"v", "", "absent"}, got); diff != "" {
		t.Error(diff)
	}
	if n, _ := d.Rows(); n != 2 {
		t.Errorf("%d rows", n)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, Options{})
	if _, err := Open(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestClosed(t *testing.T) {
	d := mustOpen(t, t.TempDir(), Options{})
	d.Close()
	_, _, err := d.Get(key(1, "k"))
	if !errors.Is(err, errClosed) || !errors.Is(d.Commit(Commit{}), errClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestShortKeyLeavesNothing(t *testing.T) {
	d := mustOpen(t, t.TempDir(), Options{})
	mustCommit(t, d, Commit{Cursor: 1})
	if err := d.Commit(Commit{Cursor: 2, Rows: []Row{{Key: key(1, "k"), Value: []byte("v")}, {Key: []byte("12345678"), Value: []byte("v")}}}); err == nil {
		t.Fatal("taken")
	}
	if cursor, _, _ := d.Load(); cursor != 1 || get(t, d, key(1, "k")) != "absent" {
		t.Errorf("half of it stays: cursor %d", cursor)
	}
	if n, bytes := d.Rows(); n != 0 || bytes != 0 {
		t.Errorf("%d rows, %d bytes", n, bytes)
	}
	mustCommit(t, d, Commit{Cursor: 3})
}

// TestLargestOwnerGivesUp: beyond the bound the owner with the most loses what expires first, and only that owner is told to be incomplete.
func TestLargestOwnerGivesUp(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir, Options{MaxBytes: 10 * (rowOverhead + 1)})
	var rows []Row
	for i := range 3 {
		rows = append(rows, Row{Key: key(1, fmt.Sprint(i)), Value: []byte("v"), Expires: 1})
	}
	for i := range 20 {
		rows = append(rows, Row{Key: key(2, fmt.Sprint(i)), Value: []byte("v"), Expires: int64(1000 + i)})
	}
	mustCommit(t, d, Commit{Rows: rows})
	if n, bytes := d.Rows(); n != 10 || bytes != 10*(rowOverhead+1) {
		t.Errorf("%d rows, %d bytes", n, bytes)
	}
	if a, b := d.GivenUp(1), d.GivenUp(2); a != 0 || b != 1012 {
		t.Errorf("given up until %d and %d", a, b)
	}
	if get(t, d, key(1, "0")) != "v" || get(t, d, key(2, "12")) != "absent" || get(t, d, key(2, "13")) != "v" {
		t.Error("not those that expire first")
	}
	d.Close()
	d = mustOpen(t, dir, Options{})
	if n := d.GivenUp(2); n != 1012 {
		t.Errorf("after a start: given up until %d", n)
	}
	mustCommit(t, d, Commit{Now: 1013, Rows: []Row{{Key: key(2, "12"), Value: []byte("w"), Expires: 3000}}})
	if n := d.GivenUp(2); n != 0 {
		t.Errorf("what would have expired by now is still missed: %d", n)
	}
}

func TestExpiredAreDeleted(t *testing.T) {
	d := mustOpen(t, t.TempDir(), Options{})
	var rows []Row
	for i := range expireAtOnce + 10 {
		rows = append(rows, Row{Key: key(uint64(1+i%2), fmt.Sprint(i)), Value: []byte("v"), Expires: 99})
	}
	rows = append(rows, Row{Key: key(3, "stays"), Value: []byte("v"), Expires: 100})
	mustCommit(t, d, Commit{Rows: rows})
	for _, want := range []int64{11, 1, 1} {
		mustCommit(t, d, Commit{Now: 100})
		if n, _ := d.Rows(); n != want {
			t.Errorf("%d rows, want %d", n, want)
		}
	}
	if _, bytes := d.Rows(); bytes != rowOverhead+1 || get(t, d, key(3, "stays")) != "v" {
		t.Errorf("%d bytes", bytes)
	}
	if n := d.GivenUp(1); n != 0 {
		t.Errorf("what expired counts as given up: %d", n)
	}
}

func TestDamageIsSetAside(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"no database": func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("rubbish ", 1000)), 0o600) },
		"marked":      func(path string) error { return os.WriteFile(path+".damaged", nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := mustOpen(t, dir, Options{})
			mustCommit(t, d, Commit{Cursor: 9, Rows: []Row{{Key: key(1, "k"), Value: []byte("v")}}})
			d.Close()
			if err := spoil(d.path); err != nil {
				t.Fatal(err)
			}
			d = mustOpen(t, dir, Options{Now: func() time.Time { return time.Unix(0, 0) }})
			aside := d.path + ".damaged-19700101T000000Z"
			if err := d.SetAside(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), aside) {
				t.Errorf("told: %v", err)
			}
			if _, err := os.Stat(aside); err != nil {
				t.Error(err)
			}
			if cursor, _, err := d.Load(); cursor != 0 || err != nil || get(t, d, key(1, "k")) != "absent" {
				t.Errorf("not a new one: cursor %d, %v", cursor, err)
			}
			d.Close()
			if d = mustOpen(t, dir, Options{}); d.SetAside() != nil {
				t.Errorf("set aside again: %v", d.SetAside())
			}
		})
	}
}

// TestDamageFoundLater: pages that are only read later are broken; the next start begins anew.
func TestDamageFoundLater(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir, Options{})
	var rows []Row
	for i := range 2000 {
		rows = append(rows, Row{Key: key(1, fmt.Sprintf("%05d", i)), Value: make([]byte, 100)})
	}
	mustCommit(t, d, Commit{Rows: rows})
	d.Close()
	b, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 12 * 4096; i < len(b); i++ {
		b[i] = 0xff
	}
	if err := os.WriteFile(d.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, dir, Options{})
	var found error
	for i := 0; i < 2000 && found == nil; i++ {
		_, _, found = d.Get(key(1, fmt.Sprintf("%05d", i)))
	}
	if !errors.Is(found, ErrDamaged) {
		t.Fatalf("found %v", found)
	}
	d.Close()
	if d = mustOpen(t, dir, Options{}); !errors.Is(d.SetAside(), ErrDamaged) {
		t.Errorf("next start: %v", d.SetAside())
	}
}

func TestNewerIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir, Options{})
	if err := d.writer.exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := Open(dir); !errors.Is(err, ErrNewer) {
		t.Errorf("opened: %v", err)
	}
}

// TestReadersBesideCommits is for the race detector: each reader sees a row of one commit or of the next.
func TestReadersBesideCommits(t *testing.T) {
	d := mustOpen(t, t.TempDir(), Options{})
	k := key(1, "k")
	mustCommit(t, d, Commit{Rows: []Row{{Key: k, Value: []byte{0}}}})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			if err := d.Commit(Commit{Rows: []Row{{Key: k, Value: []byte{byte(i)}}}}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		last := byte(0)
		for last < 49 {
			v, ok, err := d.Get(k)
			if err != nil || !ok || v[0] < last {
				t.Errorf("%v after %d, %v", v, last, err)
				return
			}
			last = v[0]
			d.GivenUp(1)
		}
	})
	wg.Wait()
}

// TestIsAMap holds the database against a map.
func TestIsAMap(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		d := mustOpen(t, dir, Options{})
		defer func() { d.Close() }()
		want := map[string]Row{}
		for i := range rapid.IntRange(1, 12).Draw(rt, "commits") {
			now := int64(i)
			var rows []Row
			for range rapid.IntRange(0, 8).Draw(rt, "rows") {
				row := Row{Key: key(uint64(rapid.IntRange(0, 2).Draw(rt, "owner")), rapid.StringMatching("[ab]{1,2}").Draw(rt, "key")),
					Expires: int64(rapid.IntRange(0, 12).Draw(rt, "expires"))}
				if rapid.Bool().Draw(rt, "put") {
					row.Value = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "value")
				}
				rows = append(rows, row)
				if row.Value == nil {
					delete(want, string(row.Key))
				} else {
					want[string(row.Key)] = row
				}
			}
			if err := d.Commit(Commit{Cursor: uint64(i), Rows: rows, Now: now}); err != nil {
				rt.Fatal(err)
			}
			bytes := int64(0)
			for k, row := range want {
				if row.Expires < now {
					delete(want, k)
					continue
				}
				bytes += int64(len(row.Value)) + rowOverhead
				if got := get(t, d, []byte(k)); got != string(row.Value) {
					rt.Fatalf("%q is %q, want %q", k, got, row.Value)
				}
			}
			if rows, size := d.Rows(); int(rows) != len(want) || size != bytes {
				rt.Fatalf("%d rows, %d bytes, want %d, %d", rows, size, len(want), bytes)
			}
			if rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
				d.Close()
				d = mustOpen(t, dir, Options{})
			}
		}
	})
}
