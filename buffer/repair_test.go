package buffer

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/fsx"
)

func patch(t *testing.T, fs fsx.FS, path string, off int64, data []byte) {
	t.Helper()
	f, err := fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, off); err != nil {
		t.Fatal(err)
	}
}

// filled makes a closed log of n blocks of two items and returns where each block starts.
func filled(t *testing.T, o Options, n int) []Pos {
	t.Helper()
	l := mustOpen(t, o)
	var at []Pos
	r := mustReader(t, l, "probe", ReaderOptions{})
	for range n {
		put(t, l, 2, 200)
		b, ok, err := r.TryNext()
		if !ok {
			t.Fatal(err)
		}
		at = append(at, Pos{b.seg, b.off})
		b.Release()
	}
	if err := l.DropReader("probe"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}

func without(all []uint64, lost ...uint64) []uint64 {
	return slices.DeleteFunc(all, func(s uint64) bool { return slices.Contains(lost, s) })
}

// TestDamageLosesOnlyItself: whatever byte of a block in the middle is hit, in the segment that Open scans or in
// one that only a reader meets, all others are read, and the accounts hold.
func TestDamageLosesOnlyItself(t *testing.T) {
	for _, off := range []int64{0, 5, 9, 13, 30, 50, 60, 93, 97, 150, 400} {
		for _, victim := range []int{1, 2, 8} {
			mem := fsx.NewMem()
			o := testOptions(mem)
			o.SegmentBytes = 2500
			at := filled(t, o, 10)
			path := mustOpenPath(o, at[victim].Segment)
			patch(t, mem, path, at[victim].Offset+off, []byte{0xa5, 0x5a})
			l := mustOpen(t, o)
			r := mustReader(t, l, "r", ReaderOptions{Required: true})
			lost := []uint64{uint64(2*victim + 1), uint64(2*victim + 2)}
			wantSeqs(t, drain(t, r), without(seqRange(1, 21), lost...))
			checkAccounts(t, l)
			if s := l.Stats(); s.Damaged != 1 || s.TornBytes != 0 {
				t.Errorf("byte %d of block %d: %d damaged, %d bytes torn", off, victim, s.Damaged, s.TornBytes)
			}
			if names, err := mem.ReadDir("/log/quarantine"); err != nil || len(names) != 1 {
				t.Errorf("quarantine: %v, %v", names, err)
			}
			if got := string(l.Positions()["last"]); got != "20" {
				t.Errorf("position %s", got)
			}
			wantSeqs(t, []uint64{put(t, l, 1, 1)}, []uint64{21})
			wantSeqs(t, drain(t, r), []uint64{21})
			late := mustReader(t, l, "late", ReaderOptions{})
			wantSeqs(t, drain(t, late), without(seqRange(1, 22), lost...))
			checkAccounts(t, l)
			for _, s := range l.Readers() {
				if s.Waiting != 0 {
					t.Errorf("everything is read, and still waiting: %+v", s)
				}
			}
			l.Close()
		}
	}
}

func mustOpenPath(o Options, n uint64) string { return (&Log{o: o}).segmentPath(n) }

// TestTornTailIsCut: a block cut off at any byte goes, and the position with it.
func TestTornTailIsCut(t *testing.T) {
	o := testOptions(fsx.NewMem())
	at := filled(t, o, 3)
	path := mustOpenPath(o, at[2].Segment)
	for size := at[2].Offset + 1; ; size += 37 {
		mem := fsx.NewMem()
		o.FS = mem
		filled(t, o, 3)
		whole, _ := mem.Size(path)
		if size >= whole {
			break
		}
		// Without a cursor's word for it, the end may never have been fsynced.
		f, _ := mem.OpenFile(path, os.O_RDWR, 0)
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		l := mustOpen(t, o)
		r := mustReader(t, l, "r", ReaderOptions{})
		wantSeqs(t, drain(t, r), seqRange(1, 5))
		if got := string(l.Positions()["last"]); got != "4" {
			t.Fatalf("cut at %d: position %s", size, got)
		}
		if s := l.Stats(); s.TornBytes != size-at[2].Offset || s.Damaged != 0 {
			t.Fatalf("cut at %d: %d bytes torn, %d damaged", size, s.TornBytes, s.Damaged)
		}
		l.Close()
	}
}

// TestTornGroupKeepsNoHole: of several blocks that one fsync did not finish, those after a torn one go as well,
// since their positions would step over its items. A cursor's word that they were fsynced saves them.
func TestTornGroupKeepsNoHole(t *testing.T) {
	for _, known := range []bool{false, true} {
		mem := fsx.NewMem()
		fault := fsx.NewFault(mem)
		o := testOptions(fault)
		l := mustOpen(t, o)
		put(t, l, 1, 10)
		hold := make(chan struct{})
		fault.Add(fsx.Rule{Op: fsx.OpSync, Match: segmentSuffix, Err: errors.New("held"), Done: func() { <-hold }})
		mustAppend(t, l, block(l, 1, 10)) // fails its fsync: what follows goes out with it, in one run
		var tickets []*Ticket
		for range 3 {
			tickets = append(tickets, mustAppend(t, l, block(l, 1, 10)))
		}
		close(hold)
		for _, tk := range tickets {
			if err := tk.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		probe := mustReader(t, l, "probe", ReaderOptions{})
		var at []Pos
		for range 5 {
			b, _, err := probe.TryNext()
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, Pos{b.seg, b.off})
			b.Release()
		}
		if at[2].Segment != at[4].Segment {
			t.Fatalf("blocks are at %v", at)
		}
		l.Close()
		if !known {
			if err := mem.Remove(l.cursorFile("probe")); err != nil {
				t.Fatal(err)
			}
		}
		patch(t, mem, mustOpenPath(o, at[2].Segment), at[2].Offset+20, []byte{1})
		l = mustOpen(t, o)
		r := mustReader(t, l, "r", ReaderOptions{})
		want, pos := []uint64{1, 2}, "2"
		if known {
			want, pos = []uint64{1, 2, 4, 5}, "5"
		}
		wantSeqs(t, drain(t, r), want)
		if got := string(l.Positions()["last"]); got != pos {
			t.Errorf("known %v: position %s, want %s", known, got, pos)
		}
		l.Close()
	}
}

func TestDamagedSegmentHeader(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	o.SegmentBytes = 2500
	at := filled(t, o, 10)
	for _, n := range []uint64{at[0].Segment, at[9].Segment} {
		patch(t, mem, mustOpenPath(o, n), 20, []byte{1, 2, 3})
	}
	l := mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{Required: true})
	wantSeqs(t, drain(t, r), seqRange(1, 21))
	checkAccounts(t, l)
	if got := string(l.Positions()["last"]); got != "20" {
		t.Errorf("position %s", got)
	}
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	put(t, l, 1, 1)
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = mustOpen(t, o)
	if got := string(l.Positions()["last"]); got != "21" {
		t.Errorf("position %s after the old segments went", got)
	}
}

// TestForgedBlockIsNotRead: an item that holds the bytes of a block, right in every field and made for the very
// place where it will stand, does not become one when what is around it is damaged: its author lacks the id.
func TestForgedBlockIsNotRead(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	l := mustOpen(t, o)
	fake := block(l, 1, 50)
	seed := logID{1}.seed()
	if err := fake.encodeBody(time.Now(), seed); err != nil {
		t.Fatal(err)
	}
	fake.place(1, segmentHeaderSize+blockHeaderSize+4, segmentHeaderSize, seed)
	forged := slices.Concat(fake.head, fake.Docs, fake.Typed, fake.tail)
	for range 2 {
		b := NewBlock()
		b.First, b.Count = l.Reserve(1), 1
		b.Docs = append(b.Docs, forged...)
		b.RawSize, b.Ends = len(forged), append(b.Ends, uint32(len(forged)))
		if err := mustAppend(t, l, b).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	patch(t, mem, mustOpenPath(o, 1), segmentHeaderSize+40, []byte{9})
	l = mustOpen(t, o)
	r := mustReader(t, l, "r", ReaderOptions{})
	b, ok, err := r.TryNext()
	if err != nil || !ok || b.First != 3 || string(b.Docs) != string(forged) {
		t.Fatalf("read %+v, %v, %v", b, ok, err)
	}
	b.Release()
}

func TestNewerVersionIsAnError(t *testing.T) {
	for what, hit := range map[string]func(fs fsx.FS, l *Log, at Pos){
		"segment": func(fs fsx.FS, l *Log, at Pos) {
			bumpVersion(t, fs, l.segmentPath(at.Segment), 0, segmentHeaderSize, 0)
		},
		"block": func(fs fsx.FS, l *Log, at Pos) {
			bumpVersion(t, fs, l.segmentPath(at.Segment), at.Offset, blockHeaderSize, l.seed)
		},
		"cursor": func(fs fsx.FS, l *Log, _ Pos) {
			bumpVersion(t, fs, l.cursorFile("r"), slotSize(4096), cursorHeaderSize, 0)
		},
		"id": func(fs fsx.FS, l *Log, _ Pos) { bumpVersion(t, fs, "/log/id", 0, idFileSize, 0) },
	} {
		mem := fsx.NewMem()
		o := testOptions(mem)
		l := mustOpen(t, o)
		mustReader(t, l, "r", ReaderOptions{})
		put(t, l, 1, 1)
		l.Close()
		hit(mem, l, Pos{1, segmentHeaderSize})
		_, err := Open(o)
		var v *VersionError
		if !errors.As(err, &v) || v.Version != 7 || !strings.Contains(err.Error(), "version 7") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func bumpVersion(t *testing.T, fs fsx.FS, path string, off int64, size int, seed uint32) {
	t.Helper()
	f, err := fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := make([]byte, size)
	if _, err := f.ReadAt(h, off); err != nil {
		t.Fatal(err)
	}
	sealHeader(h, string(h[:8]), seed)
	h[8] = 7
	le.PutUint32(h[size-4:], crcOf(seed, h[:size-4]))
	if _, err := f.WriteAt(h, off); err != nil {
		t.Fatal(err)
	}
}

func TestCursorSlots(t *testing.T) {
	for _, damage := range []int{0, 1, 2} { // slots damaged: the newer one, both
		mem := fsx.NewMem()
		sink := &logSink{}
		o := testOptions(mem)
		o.Logger = slog.New(slog.NewTextHandler(sink, nil))
		l := mustOpen(t, o)
		r := mustReader(t, l, "r", ReaderOptions{Required: true}) // generation 1, in slot 1
		put(t, l, 2, 1)
		put(t, l, 2, 1)
		take(t, r)
		if err := r.Commit(); err != nil { // generation 2, in slot 0
			t.Fatal(err)
		}
		path := l.cursorFile("r")
		mem = mem.Cut(newRand(1))
		l.Close()
		o.FS = mem
		for i := range damage {
			patch(t, mem, path, int64(i)*slotSize(4096)+cursorHeaderSize+1, []byte{0xff, 0xff})
		}
		l = mustOpen(t, o)
		r = mustReader(t, l, "r", ReaderOptions{Required: true})
		want := [][]uint64{{3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}}[damage]
		b, ok, err := r.TryNext()
		if !ok || err != nil || b.First != want[0] {
			t.Fatalf("%d slots damaged: first %v, %v", damage, b, err)
		}
		if got := r.Unknown(b.First); got != (damage == 2) {
			t.Errorf("%d slots damaged: unknown %v", damage, got)
		}
		if got := strings.Contains(sink.String(), "cursor damaged"); got != (damage == 2) {
			t.Errorf("%d slots damaged: logged %q", damage, sink)
		}
		b.Release()
		l.Close()
	}
}

// TestCursorBeyondTheEnd: the log was deleted, or an older copy restored, under a cursor that had read more.
func TestCursorBeyondTheEnd(t *testing.T) {
	for _, wipe := range []bool{true, false} {
		mem := fsx.NewMem()
		sink := &logSink{}
		o := testOptions(mem)
		o.Logger = slog.New(slog.NewTextHandler(sink, nil))
		l := mustOpen(t, o)
		r := mustReader(t, l, "r", ReaderOptions{Required: true})
		put(t, l, 2, 1)
		end := l.endPos()
		put(t, l, 2, 1)
		drain(t, r)
		next := l.Reserve(0)
		l.Close()
		if wipe {
			if err := errors.Join(mem.Remove("/log/id"), mem.Remove(l.segmentPath(1))); err != nil {
				t.Fatal(err)
			}
		} else {
			f, _ := mem.OpenFile(l.segmentPath(1), os.O_RDWR, 0)
			if err := f.Truncate(end.Offset); err != nil {
				t.Fatal(err)
			}
		}
		l = mustOpen(t, o)
		if got := l.Reserve(0); got < next {
			t.Errorf("wipe %v: sequences go on at %d, %d was given out", wipe, got, next)
		}
		r = mustReader(t, l, "r", ReaderOptions{Required: true})
		if !strings.Contains(sink.String(), "reader starts at the oldest block kept") {
			t.Errorf("wipe %v: log says %s", wipe, sink)
		}
		got := drain(t, r)
		if !wipe {
			wantSeqs(t, got, []uint64{1, 2})
			if !r.Unknown(1) && r.unknownBelow < next {
				t.Error("what may have been sent does not count as unknown")
			}
		}
		first := put(t, l, 1, 1)
		wantSeqs(t, drain(t, r), []uint64{first})
		checkAccounts(t, l)
		l.Close()
	}
}

func TestLostIdentityIsRestored(t *testing.T) {
	mem := fsx.NewMem()
	o := testOptions(mem)
	filled(t, o, 2)
	patch(t, mem, "/log/id", 13, []byte{1, 2, 3})
	l := mustOpen(t, o)
	wantSeqs(t, drain(t, mustReader(t, l, "r", ReaderOptions{})), seqRange(1, 5))
}
