package engine

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
)

// windowHeap is the heap in use after collection.
func windowHeap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// numberedKey is a key of 15 bytes; its hash is as good as a keyed one.
func numberedKey(k *key, text []byte, n uint64) {
	binary.BigEndian.PutUint64(text, n)
	k.hash = hash{mix(n*2 + 1), mix(n*2 + 2)}
	k.ok = true
}

// flood takes the events [from, to) of so many keys in turn, then calls after.
func flood(m *windowMachine, it *item, from, to, keys int, each event.Time, after func(n int)) {
	if it.scratch == nil {
		it.scratch = make([]byte, 15)
	}
	text := it.scratch
	it.bits, it.weight = 1, 1
	if len(it.keys) == 0 {
		it.keys = make([]key, 1)
	}
	it.keys[0].text = textSince(text, 0)
	for n := from; n < to; n++ {
		it.time, it.id = windowTestStart+event.Time(n)*each, eventID(1<<sequenceBits|n)
		numberedKey(&it.keys[0], text, uint64(n%keys))
		m.take(it)
		if after != nil {
			after(n)
		}
	}
}

func TestWindowBytesAreHonest(t *testing.T) {
	keys := 1_000_000
	if testing.Short() {
		keys = 200_000
	}
	for _, c := range []struct {
		name string
		keys int
		aggs []aggregate
		each int // events of each key
	}{
		{"one event", keys, []aggregate{aggCount}, 1},
		{"three events", keys / 10, []aggregate{aggCount}, 3},
		{"distinct and min", keys / 20, []aggregate{aggCount, aggDistinct, aggMin}, 12},
		{"long windows", 20, []aggregate{aggCount, aggDistinct, aggMax}, keys / 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newWindowHost()
			p := windowProgram(false, 15*time.Minute, atLeast(0, 1e9), c.aggs...)
			it := &item{values: make([]value, 2)}
			before := windowHeap()
			m := newWindowMachine(p, h)
			for round := range c.each {
				it.values[0] = value{kind: text, text: fmt.Sprint(round)}
				it.values[1] = value{kind: number, number: float64(round)}
				flood(m, it, round*c.keys, (round+1)*c.keys, c.keys, 1, nil)
			}
			told, real := m.bytes(), windowHeap()-before
			t.Logf("%d keys: %d bytes told, %d in the heap, %.1f for each key", m.keys(), told, real, float64(real)/float64(m.keys()))
			if m.keys() != c.keys {
				t.Errorf("%d keys, want %d", m.keys(), c.keys)
			}
			if told < real*85/100 || told > real*115/100 {
				t.Errorf("%d bytes told, %d in the heap", told, real)
			}
			if c.keys == 1_000_000 && real > 128<<20 {
				t.Errorf("%d bytes for a million keys", real)
			}
			m.shrink(m.bytes() / 2)
			told, real = m.bytes(), windowHeap()-before
			if told < real*85/100-64<<10 || told > real*115/100+64<<10 {
				t.Errorf("after shrink %d bytes told, %d in the heap", told, real)
			}
			runtime.KeepAlive(m)
		})
	}
}

// One key tries once every 90 s, under a flood of other keys that the state cannot hold: it is found, and the budget is kept.
func TestWindowFindsTheSlowOneUnderAFlood(t *testing.T) {
	keys, budget := 300_000, int64(2<<20)
	if !testing.Short() {
		keys, budget = 10_000_000, 64<<20
	}
	h := newWindowHost()
	p := windowProgram(false, 15*time.Minute, atLeast(0, 5), aggCount)
	p.progress = func(s *scene) float64 { return s.aggregate(0).number / 5 }
	before := windowHeap()
	m := newWindowMachine(p, h)
	slow := &item{bits: 1, weight: 1, keys: []key{windowKey("slow")}}
	each := event.Time(15*time.Minute) / event.Time(keys)
	var most int64
	evicted := 0
	started := time.Now()
	flood(m, &item{}, 0, keys, keys, each, func(n int) {
		if n%(keys/10) == 0 {
			slow.time, slow.id = windowTestStart+event.Time(n)*each, eventID(2<<sequenceBits|n)
			m.take(slow)
		}
		m.expire(windowTestStart + event.Time(n)*each - event.Time(time.Minute))
		if n%budgetEvery == 0 {
			b := m.bytes()
			most = max(most, b)
			if b > budget {
				evicted += m.shrink(b - budget + budget/16)
			}
		}
	})
	t.Logf("%d keys in %v, at most %d bytes, %d keys given up", keys, time.Since(started), most, evicted)
	if len(h.hits) == 0 {
		t.Error("the slow one was not found")
	}
	for _, one := range h.hits {
		if one.key.text != "slow" {
			t.Fatalf("a hit of %q", one.key.text)
		}
	}
	if most > budget+512<<10 { // what comes between two looks at the bytes
		t.Errorf("%d bytes, the budget is %d", most, budget)
	}
	if real := windowHeap() - before; real > budget+budget/20 {
		t.Errorf("%d bytes in the heap, the budget is %d", real, budget)
	}
	runtime.KeepAlive(m)
	if evicted < keys/4 {
		t.Errorf("only %d keys were given up: no flood", evicted)
	}
}

func TestWindowShrinkTakesLeastProgressFirst(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(false, 15*time.Minute, atLeast(0, 5), aggCount)
	p.progress = func(s *scene) float64 { return s.aggregate(0).number / 5 }
	m := newWindowMachine(p, h)
	for i := range 4000 {
		for range 1 + i%4 {
			e := windowEvent{key: fmt.Sprint(i), time: windowTestStart + event.Time(h.count), id: uint64(h.count), weight: 1}
			m.take(e.item(h.names))
			h.count++
		}
	}
	m.shrink(m.bytes() * 35 / 100)
	lost := [4]int{}
	for i := range 4000 {
		if m.table.find(windowKey(fmt.Sprint(i)).hash) < 0 {
			lost[i%4]++
		}
	}
	if lost[0] != 1000 || lost[3] != 0 || lost[2] > 0 && lost[1] != 1000 {
		t.Errorf("given up by number of events: %v", lost)
	}
	gone := windowEvent{key: "0", time: windowTestStart + 1e9, id: 1e6, weight: 1}
	var latest event.Time
	m = stepWindow(t, m, gone.item(h.names), &latest, true, false)
	if n := m.table.find(windowKey("0").hash); n < 0 || !m.table.state(n).returned || m.table.state(n).level != 1 {
		t.Error("a key that came back is not known, or has the level of others")
	}
	if n := m.shrink(m.bytes()); n == 0 || m.keys() != 0 {
		t.Errorf("%d keys are left", m.keys())
	}
}

func TestSketchRemembersAndForgets(t *testing.T) {
	var s sketch
	s.fit(64<<10, 0, 100)
	h := func(n uint64) hash { return hash{mix(2*n + 1), mix(2*n + 2)} }
	for n := range uint64(10_000) {
		s.add(h(n))
	}
	wrong := 0
	for n := range uint64(10_000) {
		if !s.has(h(n)) {
			t.Fatal("a key is not known")
		}
		if s.has(h(n + 1e6)) {
			wrong++
		}
	}
	if wrong > 500 {
		t.Errorf("%d of 10000 are mistaken", wrong)
	}
	s.fit(64<<10, 101, 100)
	if !s.has(h(1)) || s.bytes() > 64<<10 {
		t.Errorf("forgotten after one window, or %d bytes", s.bytes())
	}
	s.fit(64<<10, 202, 100)
	if s.has(h(1)) {
		t.Error("known after two windows")
	}
	s.fit(32<<10, 203, 100)
	if s.bytes() > 32<<10 {
		t.Errorf("%d bytes", s.bytes())
	}
}
