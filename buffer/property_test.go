package buffer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/internal/fsx"
)

// model is what must hold of a log under random appends, reads, commits, disk errors and power cuts.
type model struct {
	t     *rapid.T
	mem   *fsx.Mem
	fault *fsx.Fault
	o     Options
	l     *Log
	r     *Reader

	blocks  []modelBlock // in the order of Append; the position of each is its index + 1
	durable int          // the first so many are known to be fsynced
	settled map[uint64]bool
	// What the last commit made durable.
	committed map[uint64]bool
	lease     uint64 // at the last open
	leased    uint64
	hand      []*Block
	handed    []uint64 // since the last open
	wantAll   map[uint64]bool
}

type modelBlock struct {
	first  uint64
	count  int
	ticket *Ticket
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := fsx.NewMem()
		m := &model{t: t, mem: mem, fault: fsx.NewFault(mem), settled: map[uint64]bool{}, committed: map[uint64]bool{}}
		m.o = Options{
			Dir: "/log", FS: m.fault, MaxBytes: 8 << 20, SegmentBytes: int64(rapid.IntRange(500, 20000).Draw(t, "segment")), Reserve: 1 << 10,
			CacheBytes: int64(rapid.SampledFrom([]int{1, 4000, 1 << 20}).Draw(t, "cache")),
			Logger:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		}
		m.open()
		t.Repeat(map[string]func(*rapid.T){
			"append":      func(*rapid.T) { m.append() },
			"append2":     func(*rapid.T) { m.append(); m.append() },
			"sync":        func(*rapid.T) { m.sync() },
			"read":        func(*rapid.T) { m.read() },
			"settle":      func(*rapid.T) { m.settle() },
			"settleItems": func(*rapid.T) { m.settleItems() },
			"commit":      func(*rapid.T) { m.commit() },
			"lease":       func(*rapid.T) { m.takeLease() },
			"fsyncError":  func(*rapid.T) { m.fsyncError() },
			"reopen":      func(*rapid.T) { m.reopen() },
			"cut":         func(*rapid.T) { m.cut() },
			"":            func(*rapid.T) { m.check() },
		})
		m.finish()
	})
}

func (m *model) open() {
	l, err := Open(m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	r, err := l.Reader("req", ReaderOptions{Required: true, MaxOutstanding: 50})
	if err != nil {
		m.t.Fatal(err)
	}
	m.l, m.r = l, r
	m.hand, m.handed = nil, nil
	// Exactly what is durable and was not settled at the last commit must come back.
	m.wantAll = map[uint64]bool{}
	for _, b := range m.blocks[:m.durable] {
		for i := range b.count {
			if seq := b.first + uint64(i); !m.committed[seq] {
				m.wantAll[seq] = true
			}
		}
	}
	m.settled = map[uint64]bool{}
	for s := range m.committed {
		m.settled[s] = true
	}
	m.lease = m.leased
	for _, seq := range r.Outstanding() {
		if !m.wantAll[seq] {
			m.t.Fatalf("item %d is outstanding after reopen, should not be", seq)
		}
		got, err := r.Item(seq)
		if err != nil || string(got[:len(item(seq, 0))]) != item(seq, 0) {
			m.t.Fatalf("outstanding item %d: %.30q, %v", seq, got, err)
		}
		m.checkUnknown(seq)
		delete(m.wantAll, seq)
	}
}

func (m *model) append() {
	n := rapid.IntRange(0, 5).Draw(m.t, "items")
	m.l.Reserve(rapid.IntRange(0, 2).Draw(m.t, "gap"))
	b := block(m.l, n, rapid.IntRange(1, 1500).Draw(m.t, "size"))
	if rapid.IntRange(0, 3).Draw(m.t, "zip") == 0 {
		if err := b.Compress(S2); err != nil {
			m.t.Fatal(err)
		}
	}
	b.Positions = append(b.Positions[:0], Position{"block", []byte(strconv.Itoa(len(m.blocks) + 1))})
	mb := modelBlock{first: b.First, count: n}
	tk, err := m.l.Append(context.Background(), b)
	if err != nil {
		m.t.Fatal(err)
	}
	mb.ticket = tk
	m.blocks = append(m.blocks, mb)
}

// sync waits for everything; what is fsynced stays, and can be read.
func (m *model) sync() {
	for i := m.durable; i < len(m.blocks); i++ {
		if err := m.blocks[i].ticket.Wait(context.Background()); err != nil {
			m.t.Fatal(err)
		}
	}
	m.learn(len(m.blocks))
}

// learn notes that the first n blocks are durable.
func (m *model) learn(n int) {
	for ; m.durable < n; m.durable++ {
		b := m.blocks[m.durable]
		for i := range b.count {
			m.wantAll[b.first+uint64(i)] = true
		}
	}
}

func (m *model) read() {
	b, ok, err := m.r.TryNext()
	if err != nil {
		m.t.Fatal(err)
	}
	if !ok {
		return
	}
	i := slices.IndexFunc(m.blocks, func(mb modelBlock) bool { return mb.first == b.First && mb.count > 0 })
	if i < 0 {
		m.t.Fatalf("read a block at %d that was never appended", b.First)
	}
	m.learn(i + 1)
	for _, seq := range checkBlock(m.t, b) {
		if !m.wantAll[seq] {
			m.t.Fatalf("item %d handed out again, or after it was settled", seq)
		}
		if n := len(m.handed); n > 0 && m.handed[n-1] >= seq {
			m.t.Fatalf("item %d handed out after %d", seq, m.handed[n-1])
		}
		m.checkUnknown(seq)
		delete(m.wantAll, seq)
		m.handed = append(m.handed, seq)
	}
	m.hand = append(m.hand, b)
}

func (m *model) checkUnknown(seq uint64) {
	if got, want := m.r.Unknown(seq), seq < m.lease; got != want {
		m.t.Fatalf("unknown(%d) is %v with a lease to %d", seq, got, m.lease)
	}
}

func (m *model) settle() {
	if len(m.hand) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.hand)-1).Draw(m.t, "which")
	b := m.hand[i]
	m.hand = slices.Delete(m.hand, i, i+1)
	var out []uint64
	for i := range b.Count {
		seq := b.First + uint64(i)
		if rapid.IntRange(0, 5).Draw(m.t, "outstanding") == 0 {
			out = append(out, seq)
		} else {
			m.settled[seq] = true
		}
	}
	m.r.Settle(b, out)
	m.r.Count(b.Count-len(out), 0, 0)
	b.Release()
}

func (m *model) settleItems() {
	out := m.r.Outstanding()
	if len(out) == 0 {
		return
	}
	seq := rapid.SampledFrom(out).Draw(m.t, "seq")
	m.r.SettleItems(seq)
	m.r.Count(0, 0, 1)
	m.settled[seq] = true
	if m.r.Unknown(seq) {
		m.t.Fatalf("settled item %d is unknown", seq)
	}
}

func (m *model) commit() {
	if err := m.r.Commit(); err != nil {
		m.t.Fatal(err)
	}
	m.noteCommit()
}

func (m *model) noteCommit() {
	for s := range m.settled {
		m.committed[s] = true
	}
}

func (m *model) takeLease() {
	upTo := m.l.Reserve(0) + uint64(rapid.IntRange(0, 10).Draw(m.t, "ahead"))
	if err := m.r.Lease(upTo); err != nil {
		m.t.Fatal(err)
	}
	if upTo > m.leased {
		m.leased = upTo
		m.noteCommit() // a new lease is written with the whole cursor
	}
}

func (m *model) fsyncError() {
	m.fault.Add(fsx.Rule{Op: fsx.OpSync, Match: segmentSuffix, Err: syscall.EIO})
	m.append()
	m.sync()
	m.fault.Clear()
}

func (m *model) reopen() {
	for _, b := range m.hand {
		b.Release()
	}
	m.commit()
	if err := m.l.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.learn(len(m.blocks))
	m.open()
	m.checkPosition()
}

func (m *model) cut() {
	seed := rapid.Uint64().Draw(m.t, "seed")
	m.mem = m.mem.Cut(rand.New(rand.NewPCG(seed, 1)))
	m.fault = fsx.NewFault(m.mem)
	m.o.FS = m.fault
	for _, b := range m.hand {
		b.Release()
	}
	m.l.Close() // fails: its files are gone
	// What a ticket said is durable now at the latest.
	for i := range m.blocks {
		if t := m.blocks[i].ticket; t.done && t.err == nil {
			m.learn(i + 1)
		}
	}
	// The log may hold more than was acknowledged: what its position says, and nothing else.
	l, err := Open(m.o)
	if err != nil {
		m.t.Fatal(err)
	}
	p := 0
	if v := l.Positions()["block"]; v != nil {
		p, _ = strconv.Atoi(string(v))
	}
	if err := l.Close(); err != nil {
		m.t.Fatal(err)
	}
	if p < m.durable {
		m.t.Fatalf("position says block %d, block %d was acknowledged", p, m.durable)
	}
	m.blocks = m.blocks[:p]
	m.durable = p
	m.open()
	m.checkPosition()
}

func (m *model) checkPosition() {
	want := ""
	if len(m.blocks) > 0 {
		want = fmt.Sprint(len(m.blocks))
	}
	if got := string(m.l.Positions()["block"]); got != want {
		m.t.Fatalf("position %q, want %q", got, want)
	}
}

func (m *model) check() { checkAccounts(m.t, m.l) }

func (m *model) finish() {
	m.sync()
	for len(m.hand) > 0 {
		m.settle()
	}
	for {
		n := len(m.handed)
		for len(m.r.Outstanding()) > 0 {
			m.settleItems()
		}
		if m.read(); len(m.handed) == n {
			break
		}
		for len(m.hand) > 0 {
			m.settle()
		}
	}
	if len(m.wantAll) != 0 {
		m.t.Fatalf("%d items never handed out", len(m.wantAll))
	}
	m.check()
	for _, s := range m.l.Readers() {
		if s.Waiting != 0 {
			m.t.Fatalf("waiting at the end: %+v", s)
		}
	}
	m.commit()
	if err := m.l.Close(); err != nil {
		m.t.Fatal(err)
	}
}
