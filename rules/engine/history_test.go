package engine

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// historyProgram has one aggregate of each kind that the history answers.
func historyProgram(number uint64) *program {
	return &program{
		number: number,
		rule:   &rules.Rule{Learn: rules.Learn{For: 14 * 24 * time.Hour, MinEvents: 5}},
		aggregates: []aggregate{
			{kind: rules.FirstSeen, horizon: 90 * 24 * time.Hour, number: 0},
			{kind: rules.Rarity, horizon: 10 * 24 * time.Hour, number: 1},
			{kind: rules.Baseline, horizon: 28 * 24 * time.Hour, slot: "hour-of-week", quantile: 0.5, number: 2},
			{kind: rules.Baseline, horizon: 28 * 24 * time.Hour, slot: "hour-of-day", quantile: 0.9, number: 3},
			{kind: rules.Baseline, horizon: 42 * 24 * time.Hour, slot: "day-of-week", quantile: 1, number: 4},
		},
	}
}

// historyStart is a Monday, 12:00.
var historyStart = event.TimeOf(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC))

func historyKey(n int) key {
	return key{hash: hash{mix(uint64(n) + 1), mix(uint64(n) + 1e6)}, ok: true}
}
func historyHash(n int) hash { return hash{mix(uint64(n) + 2e6), mix(uint64(n) + 3e6)} }

const days = event.Time(24 * time.Hour)

// renewed is the history after a commit and a restart, as a process finds it that was killed.
func renewed(t testing.TB, h *history, names *ids) *history {
	t.Helper()
	if err := h.disk.Commit(Commit{Rows: h.dirty(), Now: int64(h.now) * 3600}); err != nil {
		t.Fatal(err)
	}
	h.committed()
	return newHistory(h.disk.(*MemoryDisk).Copy(), names)
}

// disturb does what must change no answer: a restart, a shrink with a disk.
func disturb(t *rapid.T, tb testing.TB, h *history) *history {
	if h.disk == nil {
		return h
	}
	switch rapid.IntRange(0, 7).Draw(t, "disturb") {
	case 0:
		return renewed(tb, h, h.ids)
	case 1:
		h.dirty() // was not written
	case 2:
		if n := h.shrink(1 << 40); n != 0 {
			t.Fatalf("%d records given up, with a disk", n)
		}
	case 3:
		if err := h.disk.Commit(Commit{Rows: h.dirty()}); err != nil {
			t.Fatal(err)
		}
		h.feed(historyProgram(1), 0, historyKey(0), historyHash(99), historyStart, 1) // while it is written
		h.committed()
		h.shrink(1 << 40)
	}
	return h
}

func drawHistory(t *rapid.T) *history {
	if rapid.Bool().Draw(t, "disk") {
		return newHistory(NewMemoryDisk(), newIDs())
	}
	return newHistory(nil, newIDs())
}

// TestSeenIsAList holds first_seen against a list of all times: what is known is right, and in the order of time everything is known.
func TestSeenIsAList(t *testing.T) {
	p := historyProgram(1)
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		type pair struct{ key, tuple int }
		fed := map[pair][]event.Time{}
		now := historyStart
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			h = disturb(rt, t, h)
			x := pair{rapid.IntRange(0, 1).Draw(rt, "key"), rapid.IntRange(0, 2).Draw(rt, "tuple")}
			now += event.Time(rapid.SampledFrom([]time.Duration{0, 1, time.Second, time.Hour, 30 * time.Hour, 50 * 24 * time.Hour}).Draw(rt, "step"))
			at := now
			if rapid.IntRange(0, 3).Draw(rt, "late") == 0 {
				at -= event.Time(rapid.Int64Range(0, int64(40*time.Hour)).Draw(rt, "by"))
			}
			since, latest := at-90*days, event.Time(math.MinInt64)
			want := false
			for _, f := range fed[x] {
				want = want || since <= f && f < at
				latest = max(latest, f)
			}
			yes, known := h.seen(p, 0, historyKey(x.key), historyHash(x.tuple), since, at)
			if known && yes != want || yes && !known {
				rt.Fatalf("seen %v, %v, want %v of %v in [%d, %d)", yes, known, want, fed[x], since, at)
			}
			if exact := latest < at || len(fed[x]) < 3; !known && exact {
				rt.Fatalf("not known of %v in [%d, %d)", fed[x], since, at)
			}
			h.feed(p, 0, historyKey(x.key), historyHash(x.tuple), at, 1)
			if !slices.Contains(fed[x], at) {
				fed[x] = append(fed[x], at)
			}
		}
	})
}

// TestCountsAreLists holds rarity and baseline against lists.
func TestCountsAreLists(t *testing.T) {
	p := historyProgram(1)
	type entry struct {
		t     event.Time
		tuple int
		n     int64
	}
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		var fed []entry
		now := historyStart
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			h = disturb(rt, t, h)
			now += event.Time(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 61 * time.Hour}).Draw(rt, "step"))
			at := now
			if rapid.IntRange(0, 3).Draw(rt, "late") == 0 {
				at -= event.Time(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "by"))
			}
			tuple := rapid.IntRange(0, 2).Draw(rt, "tuple")
			var share, all int64
			for _, f := range fed {
				if dayOf(f.t) >= dayOf(at-10*days) && dayOf(f.t) <= dayOf(at) {
					all += f.n
					if f.tuple == tuple {
						share += f.n
					}
				}
			}
			got := h.rarity(p, 1, historyKey(0), historyHash(tuple), at)
			if all == 0 && got.kind != null || all > 0 && got != (value{kind: number, number: float64(share) / float64(all)}) {
				rt.Fatalf("rarity %+v, want %d of %d", got, share, all)
			}
			for n := 2; n <= 4; n++ {
				a := &p.aggregates[n]
				size, period := slotSize(a.slot), slotPeriod(a.slot)
				var counts []int64
				own := floor(int64(at), size)
				first := event.Time(math.MaxInt64)
				for _, f := range fed {
					first = min(first, f.t)
				}
				for s := own - period; s >= own-int64(a.horizon)/size && s >= floor(int64(first), size); s -= period {
					c := int64(0)
					for _, f := range fed {
						if floor(int64(f.t), size) == s {
							c += f.n
						}
					}
					counts = append(counts, c)
				}
				slices.Sort(counts)
				want := value{}
				if len(counts) > 0 && at-first >= 14*days {
					want = value{kind: number, number: float64(counts[max(0, int(math.Ceil(a.quantile*float64(len(counts))))-1)])}
				}
				if got := h.baseline(p, n, historyKey(0), at); got != want {
					rt.Fatalf("baseline %s %+v, want %+v of %v", a.slot, got, want, counts)
				}
			}
			weight := rapid.Int64Range(1, 5).Draw(rt, "weight")
			for n := 1; n <= 4; n++ {
				h.feed(p, n, historyKey(0), historyHash(tuple), at, weight)
			}
			fed = append(fed, entry{at, tuple, weight})
		}
	})
}

// TestPrevAndLearnAreLists holds prev and learned against what came.
func TestPrevAndLearnAreLists(t *testing.T) {
	p := historyProgram(1)
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		p.rule.Learn.OfRule = rapid.Bool().Draw(rt, "of rule")
		names := h.ids
		latest := map[int]*memo{}
		var first event.Time
		n := int64(0)
		now := historyStart
		for i := range rapid.IntRange(1, 40).Draw(rt, "events") {
			h = disturb(rt, t, h)
			now += event.Time(rapid.SampledFrom([]time.Duration{0, time.Hour, 3 * 24 * time.Hour}).Draw(rt, "step"))
			m := &memo{time: now - event.Time(rapid.Int64Range(0, 2).Draw(rt, "late")*int64(time.Minute)), values: []value{{kind: text, text: "x"}, {}}, about: about{user: "bob"}}
			m.id = names.own("0123456789abcdef0123456789abcdef", uint64(rapid.IntRange(0, 50).Draw(rt, "sequence")))
			if i%2 == 0 {
				m.id = names.of(rapid.StringMatching("[a-c]{1,3}").Draw(rt, "id"))
			}
			k := rapid.IntRange(0, 1).Draw(rt, "key")
			want := latest[k]
			got := h.prev(p, historyKey(k))
			if (got == nil) != (want == nil) || got != nil && (got.time != want.time || got.id != want.id || got.about != want.about || !slices.Equal(got.values, want.values)) {
				rt.Fatalf("prev %+v, want %+v", got, want)
			}
			if k == 0 {
				if got, want := h.learned(p, historyKey(0), now), n >= 5 && now-first >= 14*days; got != want {
					rt.Fatalf("learned %v after %d events since %d", got, n, now-first)
				}
				weight := rapid.Int64Range(1, 2).Draw(rt, "weight")
				h.learn(p, historyKey(0), now, weight)
				if n == 0 {
					first = now
				}
				n += weight
			}
			h.setPrev(p, historyKey(k), m)
			if want == nil || names.before(want.time, want.id, m.time, m.id) {
				latest[k] = m
			}
		}
	})
}

// TestGivenUpIsNotNew: without a disk, whatever is given up, nothing that was seen is ever answered with a known no, and shares and baselines are right or
// null.
func TestGivenUpIsNotNew(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(nil, newIDs())
		programs := []*program{historyProgram(1), historyProgram(2)}
		type pair struct{ program, tuple int }
		last, seen := map[pair]event.Time{}, map[pair][]event.Time{}
		now := historyStart
		for range rapid.IntRange(1, 120).Draw(rt, "events") {
			now += event.Time(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 24 * time.Hour, 20 * 24 * time.Hour}).Draw(rt, "step"))
			x := pair{rapid.IntRange(0, 1).Draw(rt, "program"), rapid.IntRange(0, 5).Draw(rt, "tuple")}
			p, k, tuple := programs[x.program], historyKey(x.program), historyHash(x.tuple)
			yes, known := h.seen(p, 0, k, tuple, now-90*days, now)
			at, was := last[x]
			if want := was && at >= now-90*days; known && yes != want {
				rt.Fatalf("seen %v, was %v", yes, want)
			}
			share, all := 0, 0
			for y, times := range seen {
				for _, f := range times {
					if y.program == x.program && dayOf(f) >= dayOf(now-10*days) {
						all++
						if y == x {
							share++
						}
					}
				}
			}
			if v := h.rarity(p, 1, k, tuple, now); v.kind == number && v.number != float64(share)/float64(all) {
				rt.Fatalf("rarity %v, want %d of %d", v.number, share, all)
			}
			h.feed(p, 0, k, tuple, now, 1)
			h.feed(p, 1, k, tuple, now, 1)
			last[x], seen[x] = now, append(seen[x], now)
			if rapid.IntRange(0, 9).Draw(rt, "shrink") == 0 {
				h.shrink(rapid.Int64Range(1, 2000).Draw(rt, "bytes"))
			}
		}
	})
}

// TestFloodBlindsOnlyItself: the rule whose keys fill the memory loses some, the other rule nothing.
func TestFloodBlindsOnlyItself(t *testing.T) {
	h := newHistory(nil, newIDs())
	calm, flood := historyProgram(1), historyProgram(2)
	h.feed(calm, 0, historyKey(0), historyHash(0), historyStart, 1)
	for i := range 5000 {
		h.feed(flood, 0, historyKey(1), historyHash(i), historyStart+event.Time(i)*event.Time(time.Minute), 1)
	}
	now, before := historyStart+5*days, h.bytes()
	keys := h.shrink(before / 2)
	if after := h.bytes(); keys < 1500 || keys > 3500 || after > before*6/10 {
		t.Errorf("%d given up, from %d to %d bytes", keys, before, after)
	}
	check := func(what string, p *program, k key, tuple int, yes, known bool) {
		t.Helper()
		if y, n := h.seen(p, 0, k, historyHash(tuple), now-90*days, now); y != yes || n != known {
			t.Errorf("%s: %v, %v", what, y, n)
		}
	}
	check("seen by the other", calm, historyKey(0), 0, true, true)
	check("new to the other", calm, historyKey(0), 1, false, true)
	check("oldest of the flood", flood, historyKey(1), 0, false, false)
	check("latest of the flood", flood, historyKey(1), 4999, true, true)
	check("never of the flood", flood, historyKey(1), 5000, false, false)
	now += 91 * days
	check("never of the flood, when it is out of the horizon", flood, historyKey(1), 5000, false, true)
}

// TestExpiredGoFirst: what is out of its horizon is dropped without being missed.
func TestExpiredGoFirst(t *testing.T) {
	h := newHistory(nil, newIDs())
	p := historyProgram(1)
	for i := range 1000 {
		h.feed(p, 0, historyKey(0), historyHash(i), historyStart, 1)
	}
	now := historyStart + 100*days
	h.feed(p, 0, historyKey(0), historyHash(-1), now, 1)
	if n := h.shrink(1); n != 0 || h.records() != 1 {
		t.Errorf("%d given up, %d are left", n, h.records())
	}
	if yes, known := h.seen(p, 0, historyKey(0), historyHash(5), now-90*days, now); yes || !known {
		t.Errorf("expired: %v, %v", yes, known)
	}
}

// brokenDisk cannot be read while err is set.
type brokenDisk struct {
	*MemoryDisk
	err error
}

func (d *brokenDisk) Get(key []byte) ([]byte, bool, error) {
	if d.err != nil {
		return nil, false, d.err
	}
	return d.MemoryDisk.Get(key)
}

func TestUnreadableIsUnknown(t *testing.T) {
	p := historyProgram(1)
	memory := NewMemoryDisk()
	h := newHistory(memory, newIDs())
	k := historyKey(0)
	for i := range 20 {
		h.feed(p, 0, k, historyHash(0), historyStart, 1)
		h.feed(p, 1, k, historyHash(0), historyStart, 1)
		h.feed(p, 3, k, hash{}, historyStart, 1)
		h.learn(p, k, historyStart+event.Time(i), 1)
	}
	h = renewed(t, h, newIDs())
	disk := &brokenDisk{h.disk.(*MemoryDisk), errors.New("broken")}
	h.disk = disk
	told := 0
	h.unreadable = func(err error) {
		if !errors.Is(err, disk.err) {
			t.Errorf("told %v", err)
		}
		told++
	}
	now := historyStart + 15*days
	for i := range 3 {
		if yes, known := h.seen(p, 0, k, historyHash(0), now-90*days, now); yes || known {
			t.Errorf("seen: %v, %v", yes, known)
		}
		if v := h.rarity(p, 1, k, historyHash(0), now); v.kind != null {
			t.Errorf("rarity %+v", v)
		}
		if v := h.baseline(p, 3, k, now); v.kind != null {
			t.Errorf("baseline %+v", v)
		}
		if h.learned(p, k, now) {
			t.Error("learned")
		}
		h.feed(p, 1, k, historyHash(0), now, 1)
		h.feed(p, 0, k, historyHash(i+1), now, 1)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	if rows := h.dirty(); len(rows) != 0 {
		t.Errorf("%d rows would overwrite what could not be read", len(rows))
	}
	disk.err = nil
	h = renewed(t, &history{disk: disk.MemoryDisk, ids: h.ids, seenAt: h.seenAt, counted: h.counted, learnings: h.learnings, preceding: h.preceding,
		owners: h.owners, byOwner: h.byOwner, now: h.now}, h.ids)
	if yes, known := h.seen(p, 0, k, historyHash(0), now-90*days, now); !yes || !known {
		t.Errorf("seen, when it can be read again: %v, %v", yes, known)
	}
	if !h.learned(p, k, now) {
		t.Error("not learned, when it can be read again")
	}
	h.rarity(p, 1, k, historyHash(0), now)
	whole := h.counted.find(recordID(recordWhole, 1, k.hash, hash{}))
	if n := whole.record.sum(math.MinInt32, math.MaxInt32); n != 23 {
		t.Errorf("%d occurrences, want those before and those since: 23", n)
	}
}

func TestDamagedRowIsUnknown(t *testing.T) {
	p := historyProgram(1)
	h := newHistory(NewMemoryDisk(), newIDs())
	h.feed(p, 0, historyKey(0), historyHash(0), historyStart, 1)
	h = renewed(t, h, h.ids)
	disk := h.disk.(*MemoryDisk)
	for k := range disk.rows {
		disk.rows[k] = memoryRow{value: []byte{byte(recordSeen), 1}, expires: disk.rows[k].expires}
	}
	told := 0
	h.unreadable = func(error) { told++ }
	h.tick(historyStart)
	if yes, known := h.seen(p, 0, historyKey(0), historyHash(0), historyStart, historyStart+1); yes || known || told != 1 {
		t.Errorf("%v, %v, told %d times", yes, known, told)
	}
}

func TestRowsAreOrdered(t *testing.T) {
	h := newHistory(NewMemoryDisk(), newIDs())
	for i := range 5000 {
		h.feed(historyProgram(uint64(i%3+1)), 0, historyKey(i%7), historyHash(i), historyStart, 1)
	}
	rows := h.dirty()
	if len(rows) != 5000 || !slices.IsSortedFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) }) {
		t.Errorf("%d rows", len(rows))
	}
	want := map[string]string{}
	for _, row := range rows {
		want[string(row.Key)] = string(row.Value)
	}
	again := h.dirty()
	for _, row := range again {
		if want[string(row.Key)] != string(row.Value) {
			t.Fatal("another value the second time")
		}
	}
	h.committed()
	if len(again) != 5000 || len(want) != 5000 || len(h.dirty()) != 0 {
		t.Errorf("%d rows again, %d different", len(again), len(want))
	}
}

func FuzzHistoryRow(f *testing.F) {
	f.Add([]byte{1, 1, 2, 0, 0})
	f.Add([]byte{4, 1, 0, 0, 1, 2, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		names := newIDs()
		_, _ = decodeRecord(b, recordSeen, new(seenTimes), names)
		_, _ = decodeRecord(b, recordSlots, new(counts), names)
		_, _ = decodeRecord(b, recordLearn, new(learning), names)
		_, _ = decodeRecord(b, recordBefore, new(before), names)
	})
}

// TestLateQuestions: what the times that are kept tell of a past that later events have passed.
func TestLateQuestions(t *testing.T) {
	var s seenTimes
	for i, at := range []event.Time{10 * days, 12*days + 1, 12*days + 2, 13*days + 1, 13*days + 2, 13*days + 3} {
		if i == 0 {
			s = seenTimes{at, at, at}
		} else {
			s.add(at)
		}
	}
	for _, c := range []struct {
		what          string
		since, before event.Time
		yes, known    bool
	}{
		{"after all", 0, 14 * days, true, true},
		{"before the latest, after an earlier day", 11 * days, 13*days + 2, true, true},
		{"the latest of the earlier day", 12*days + 2, 12*days + 3, true, true},
		{"the first", 0, 11 * days, true, true},
		{"before the first", 0, 10 * days, false, true},
		{"since the latest", 13*days + 4, 14 * days, false, true},
		{"one that was not kept", 12*days + 1, 12*days + 2, false, false},
	} {
		if yes, known := s.within(c.since, c.before); yes != c.yes || known != c.known {
			t.Errorf("%s: %v, %v", c.what, yes, known)
		}
	}
}
