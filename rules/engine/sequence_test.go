package engine

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// stage is a host that writes hits down.
type stage struct {
	names  *ids
	memory *history
	hits   []string
	last   hit
	count  int
	quiet  bool
}

func newStage() *stage {
	n := newIDs()
	n.own("e", 0)
	return &stage{names: n, memory: newHistory(nil, n)}
}

func (s *stage) hit(_ *program, h *hit) {
	s.count++
	if s.quiet {
		return
	}
	s.last = *h
	s.hits = append(s.hits, hitText(h.grouping, h.key.text, h.time, h.id, h.evidence, h.count))
}

func (s *stage) history() *history { return s.memory }
func (s *stage) ids() *ids         { return s.names }

func (s *stage) id(n int) eventID { return s.names.own("e", uint64(n)) }

func hitText(g int, key string, at event.Time, id eventID, evidence []eventID, count int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %q at %d by %d, %d:", g, key, at/second, id&(1<<sequenceBits-1), count)
	for _, id := range evidence {
		fmt.Fprintf(&b, " %d", id&(1<<sequenceBits-1))
	}
	return b.String()
}

const second = event.Time(1e9)

// start of all tests, so that times are no zeros.
const dayOne = event.Time(1_790_000_000e9)

// keyOf is the key of a text in a grouping.
func keyOf(p *program, g int, text string) key {
	return key{text: text, hash: p.hash.under(p.number, uint64(g)).text(text), ok: true}
}

// inTurn gives items their turn as the engine does.
func inTurn(m machine, it *item) {
	m.due(it.time)
	m.take(it)
}

// restored is the machine after a restart.
func restored[M machine](t testing.TB, m machine, fresh M) M {
	t.Helper()
	w := &writer{}
	m.save(w)
	r := &reader{b: w.b}
	if err := fresh.load(r); err != nil {
		t.Fatal(err)
	}
	if len(r.b) != 0 {
		t.Fatalf("%d bytes of the snapshot were not read", len(r.b))
	}
	if fresh.keys() != m.keys() {
		t.Fatalf("%d keys after a restart, %d before", fresh.keys(), m.keys())
	}
	return fresh
}

// damagedSnapshots checks that load answers every cut or changed snapshot without a panic, and is empty after an error.
func damagedSnapshots(t *testing.T, m machine, fresh func() machine) {
	t.Helper()
	w := &writer{}
	m.save(w)
	for n := range w.b {
		cut := fresh()
		if err := cut.load(&reader{b: w.b[:n:n]}); err == nil {
			t.Errorf("a snapshot cut at %d of %d bytes was read", n, len(w.b))
		}
		if cut.keys() != 0 || cut.bytes() != fresh().bytes() {
			t.Errorf("state is left of a snapshot that was cut at %d", n)
		}
		changed := append([]byte(nil), w.b...)
		changed[n] ^= 0xff
		other := fresh()
		if err := other.load(&reader{b: changed}); err == nil {
			other.due(1 << 62)
		}
	}
}

// sequenceOf makes a program of steps; step n has bit n and, where grouping differs, item.keys as given.
func sequenceOf(within time.Duration, steps ...step) *program {
	r := &rules.Rule{ID: "s", Sequence: &rules.Sequence{Within: within}}
	p := &program{rule: r, number: 7, ordered: true, grouping: 1, hash: newHasher("test"), slots: 1, remembered: []bool{true}, sessionID: -1, sessionBy: -1}
	for i, s := range steps {
		s.bit = 1 << i
		if s.Times == 0 {
			s.Times = 1
		}
		r.Sequence.Steps = append(r.Sequence.Steps, s.Step)
		p.steps = append(p.steps, s)
	}
	return p
}

func stepNamed(name string, times int) step {
	return step{Step: &rules.Step{Name: name, Times: times}}
}

func absence(name string) step { return step{Step: &rules.Step{Name: name, Without: true, Times: 1}} }

// happening is an event of the tests: bits as letters of the steps' numbers.
type happening struct {
	at     int
	id     int
	bits   uint64
	keys   [2]string // by the terms of a step's own by
	value  string
	weight int64
}

func (h happening) item(s *stage, p *program, by []int) *item {
	it := &item{time: dayOne + event.Time(h.at)*second, id: s.id(h.id), bits: h.bits, weight: max(1, h.weight)}
	it.values = []value{{}}
	if h.value != "" {
		it.values[0] = value{kind: text, text: h.value}
	}
	for g := range p.grouping {
		for i := range p.steps {
			k := key{}
			if t := h.keys[(by[i]+g)%2]; t != "" && h.bits&p.steps[i].bit != 0 {
				k = keyOf(p, g, t)
			}
			it.keys = append(it.keys, k)
		}
	}
	it.about = about{user: "u" + h.value, host: "h"}
	return it
}

// story runs a sequence over "at:steps" pairs for one key, and returns "at" of the hits: "0:a 5:b".
func story(t *testing.T, p *program, text string) string {
	t.Helper()
	s := newStage()
	var m machine = newSequenceMachine(p, s)
	var last event.Time
	for n, one := range strings.Fields(text) {
		var at int
		var letters string
		if _, err := fmt.Sscanf(strings.Replace(one, ":", " ", 1), "%d %s", &at, &letters); err != nil {
			t.Fatal(err)
		}
		h := happening{at: at, id: n + 1, keys: [2]string{"k", "k"}}
		letters, h.value, _ = strings.Cut(letters, "=")
		for _, c := range letters {
			if c >= '2' && c <= '9' {
				h.weight = int64(c - '0')
				continue
			}
			h.bits |= 1 << (c - 'a')
		}
		it := h.item(s, p, make([]int, len(p.steps)))
		inTurn(m, it)
		last = it.time
	}
	m.due(last + 1000*second)
	var hits []string
	for _, h := range s.hits {
		var g, at int
		var k string
		fmt.Sscanf(h, "%d %q at %d", &g, &k, &at)
		_, ids, _ := strings.Cut(h, ": ")
		hits = append(hits, fmt.Sprintf("%d:%s", at-int(dayOne/second), strings.ReplaceAll(ids, " ", ",")))
	}
	return strings.Join(hits, " ")
}

func TestSequence(t *testing.T) {
	a, b, c := stepNamed("a", 1), stepNamed("b", 1), stepNamed("c", 1)
	two := sequenceOf(10*time.Second, a, b)
	three := sequenceOf(10*time.Second, a, b, c)
	guarded := sequenceOf(10*time.Second, a, absence("b"), c)
	missing := sequenceOf(10*time.Second, a, absence("b"))
	missing3 := sequenceOf(10*time.Second, a, b, absence("c"))
	often := sequenceOf(10*time.Second, stepNamed("a", 3), b)
	later := sequenceOf(10*time.Second, a, stepNamed("b", 3))
	alone := sequenceOf(10*time.Second, stepNamed("a", 3))
	oftenMissing := sequenceOf(10*time.Second, stepNamed("a", 2), absence("b"))
	for _, one := range []struct {
		name, events, want string
		p                  *program
	}{
		{"in order", "0:a 5:b", "5:1,2", two},
		{"not in order", "0:b 5:a", "", two},
		{"at the very end of within", "0:a 10:b", "10:1,2", two},
		{"after within", "0:a 11:b", "", two},
		{"a fired chain is gone", "0:a 1:b 2:b", "1:1,2", two},
		{"the latest first step counts", "0:a 5:a 12:b", "12:2,3", two},
		{"an event is one step of a chain", "0:ab 1:ab 2:ab", "1:1,2 2:2,3", two},
		{"same time, by id", "0:a 0:b", "0:1,2", two},
		{"a chain at each level", "0:a 1:b 2:a 3:c 4:b 5:c", "3:1,2,4 5:3,5,6", three},
		{"the deeper chain is replaced", "0:a 1:b 2:a 3:b 4:c", "4:3,4,5", three},
		{"within is from the first step", "0:a 9:b 11:c", "", three},
		{"guarded gap", "0:a 1:c", "1:1,2", guarded},
		{"cancelled", "0:a 1:b 2:c", "", guarded},
		{"cancelled and done at once is cancelled", "0:a 1:bc", "", guarded},
		{"cancels and starts anew", "0:a 1:ab 2:c", "2:2,3", guarded},
		{"absence fires at the deadline", "0:a", "10:1", missing},
		{"restored in time", "0:a 10:b", "", missing},
		{"restored too late", "0:a 11:b", "10:1", missing},
		{"the earliest counts before a trailing without", "0:a 5:a", "10:1", missing},
		{"cancel, then anew", "0:a 5:ab", "15:2", missing},
		{"three with absence", "0:a 5:b", "10:1,2", missing3},
		{"the earliest waits on", "0:a 1:b 2:a 3:b", "10:1,2", missing3},
		{"times", "0:a 1:a 2:b", "", often},
		{"times, the latest", "0:a 1:a 2:a 3:a 4:b", "4:2,3,4,5", often},
		{"times slide out of within", "0:a 5:a 11:a 12:b", "", often},
		{"times by weight", "0:a2 1:a 2:b", "2:1,2,3", often},
		{"times after firing", "0:a 1:a 2:a 3:b 4:a 5:b", "3:1,2,3,4", often},
		{"times of a later step", "0:a 1:b 2:b 3:b 4:b", "3:1,2,3,4", later},
		{"a new first step begins the later one anew", "0:a 1:b 2:b 3:a 4:b 5:b 6:b", "6:4,5,6,7", later},
		{"times alone", "0:a 1:a 2:a 3:a 4:a 5:a", "2:1,2,3 5:4,5,6", alone},
		{"times and absence", "0:a 3:a 5:a", "10:1,2", oftenMissing},
		{"what came while it waited counts anew", "0:a 3:a 5:a 7:b 8:a", "15:3,5", oftenMissing},
		{"times, cancelled, counted anew", "0:a 3:a 4:b 5:a 6:a", "15:4,5", oftenMissing},
	} {
		if got := story(t, one.p, one.events); got != one.want {
			t.Errorf("%s: %s fires %q, want %q", one.name, one.events, got, one.want)
		}
	}
}

// otherThan is a guard: the value of the event is another than that of a step.
func otherThan(n int) condition {
	return func(s *scene) bool {
		v := s.steps[n].slot(0)
		return v.kind != null && s.now.slot(0).kind != null && v.text != s.now.slot(0).text
	}
}

func TestSequenceReferences(t *testing.T) {
	b := stepNamed("b", 1)
	b.guard = otherThan(0)
	p := sequenceOf(10*time.Second, stepNamed("a", 2), b)
	p.title = func(s *scene) string {
		return "from " + s.steps[0].slot(0).text + " to " + s.steps[1].slot(0).text + " of " + s.key.text
	}
	s := newStage()
	m := newSequenceMachine(p, s)
	for i, h := range []happening{{bits: 1, value: "x"}, {bits: 1, value: "y"}, {bits: 2, value: "y"}, {bits: 2, value: "x"}} {
		h.at, h.id, h.keys = i, i+1, [2]string{"k", "k"}
		inTurn(m, h.item(s, p, []int{0, 0}))
	}
	if len(s.hits) != 1 || s.last.title != "from y to x of k" || s.last.about.user != "ux" {
		t.Errorf("hits %q, title %q, user %q", s.hits, s.last.title, s.last.about.user)
	}
	if m.keys() != 0 || m.size != 0 {
		t.Errorf("%d keys and %d bytes are left", m.keys(), m.size)
	}
}

func TestSequenceVetoAndFire(t *testing.T) {
	p := sequenceOf(10*time.Second, stepNamed("a", 1), absence("b"))
	p.vetoes = []veto{{"known", func(s *scene) bool { return s.now == nil && s.steps[0].slot(0).text == "x" }}}
	p.fire = func(s *scene) bool { return s.steps[0].slot(0).text != "y" }
	for _, one := range []struct{ events, want string }{{"0:a=x", ""}, {"0:a=y", ""}, {"0:a=z", "10:1"}} {
		if got := story(t, p, one.events); got != one.want {
			t.Errorf("%s fires %q, want %q", one.events, got, one.want)
		}
	}
	if p.vetoed != 1 {
		t.Errorf("%d vetoes were counted", p.vetoed)
	}
}

// The deadline's hit tells of the last step's event; deadlines of one time go by the first event, then by grouping.
func TestSequenceDeadlines(t *testing.T) {
	p := sequenceOf(10*time.Second, stepNamed("a", 1), absence("b"))
	p.grouping = 2
	s := newStage()
	m := newSequenceMachine(p, s)
	for _, h := range []happening{{id: 1, keys: [2]string{"z", "y"}}, {id: 2, keys: [2]string{"b", "a"}}} {
		h.bits, h.value = 1, "v"
		inTurn(m, h.item(s, p, []int{0, 0}))
	}
	if next := m.due(dayOne + 10*second); next != dayOne+10*second || len(s.hits) != 0 {
		t.Errorf("at the deadline: next %d, hits %q", next, s.hits)
	}
	if next := m.due(dayOne + 10*second + 1); next != 0 {
		t.Errorf("a deadline is left: %d", next)
	}
	at := (dayOne + 10*second) / second
	want := []string{
		fmt.Sprintf(`0 "z" at %d by 1, 1: 1`, at), fmt.Sprintf(`1 "y" at %d by 1, 1: 1`, at),
		fmt.Sprintf(`0 "b" at %d by 2, 1: 2`, at), fmt.Sprintf(`1 "a" at %d by 2, 1: 2`, at),
	}
	if !reflect.DeepEqual(s.hits, want) || s.last.about.user != "uv" {
		t.Errorf("hits %q, want %q", s.hits, want)
	}
}

// A late event is known to the long memory, and is no step.
func TestSequenceLate(t *testing.T) {
	p := sequenceOf(10*time.Second, stepNamed("a", 1), stepNamed("b", 1))
	p.aggregates = []aggregate{{kind: rules.FirstSeen, terms: []int{0}, horizon: time.Hour}}
	p.steps[1].aggs = []int{0}
	p.steps[1].guard = func(s *scene) bool { return s.aggregate(0).number == 1 }
	for _, late := range []bool{false, true} {
		s := newStage()
		m := newSequenceMachine(p, s)
		k := [2]string{"k", "k"}
		inTurn(m, happening{at: 5, id: 2, bits: 1, keys: k}.item(s, p, []int{0, 0}))
		if late {
			m.late(happening{at: 1, id: 1, bits: 3, keys: k, value: "x"}.item(s, p, []int{0, 0}))
		}
		inTurn(m, happening{at: 6, id: 3, bits: 2, keys: k, value: "x"}.item(s, p, []int{0, 0}))
		if fired := len(s.hits) == 1; fired == late {
			t.Errorf("late %v: hits %q", late, s.hits)
		}
	}
}

func TestSequenceLearns(t *testing.T) {
	p := sequenceOf(1000*time.Second, stepNamed("a", 1), stepNamed("b", 1))
	p.rule.Learn = rules.Learn{MinEvents: 3}
	p.aggregates = []aggregate{{kind: rules.FirstSeen, terms: []int{0}, horizon: time.Hour}}
	p.steps[1].aggs = []int{0}
	p.steps[1].guard = func(s *scene) bool { return s.aggregate(0).number == 1 }
	if got, want := story(t, p, "0:a 1:b=u 2:b=v 3:b=w 4:b=x"), "4:1,5"; got != want {
		t.Errorf("fires %q, want %q: three events are learned from", got, want)
	}
}

// An event that is two steps of one key is learned from once.
func TestSequenceLearnsOnce(t *testing.T) {
	p := sequenceOf(1000*time.Second, stepNamed("a", 1), stepNamed("b", 1))
	p.rule.Learn = rules.Learn{MinEvents: 3}
	p.aggregates = []aggregate{{kind: rules.FirstSeen, terms: []int{0}, horizon: time.Hour}}
	for i := range p.steps {
		p.steps[i].aggs = []int{0}
	}
	p.steps[1].guard = func(s *scene) bool { return s.aggregate(0).number == 1 }
	if got, want := story(t, p, "0:ab=t 1:ab=u 2:ab=v 3:ab=w"), "3:3,4"; got != want {
		t.Errorf("fires %q, want %q", got, want)
	}
}

func TestSequenceDescribe(t *testing.T) {
	p := sequenceOf(time.Hour, stepNamed("denied", 3), absence("known"), stepNamed("login", 2), absence("logout"))
	s := newStage()
	m := newSequenceMachine(p, s)
	do := func(at int, bits uint64) {
		inTurn(m, happening{at: at, id: at + 1, bits: bits, keys: [2]string{"k", "k"}}.item(s, p, make([]int, 4)))
	}
	show := func() string { return strings.Join(m.describe(0, keyOf(p, 0, "k")), "\n") }
	do(0, 1)
	for _, one := range []struct {
		at   int
		bits uint64
		want string
	}{
		{1, 1, `2 of 3 events of step "denied" since 2026-09-21T14:13:20.000Z`},
		{2, 1, `step 1 of 2, "denied", done at 2026-09-21T14:13:22.000Z, waiting for step "login" until 2026-09-21T15:13:20.000Z (0 of 2 events); "known" would end it
3 of 3 events of step "denied" since 2026-09-21T14:13:20.000Z`},
		{3, 4, `step 1 of 2, "denied", done at 2026-09-21T14:13:22.000Z, waiting for step "login" until 2026-09-21T15:13:20.000Z (1 of 2 events); "known" would end it
3 of 3 events of step "denied" since 2026-09-21T14:13:20.000Z`},
		{4, 4, `step 2 of 2, "login", done at 2026-09-21T14:13:24.000Z; fires after 2026-09-21T15:13:20.000Z unless "logout" comes
3 of 3 events of step "denied" since 2026-09-21T14:13:20.000Z`},
	} {
		do(one.at, one.bits)
		if got := show(); got != one.want {
			t.Errorf("at %d:\n%s\nwant\n%s", one.at, got, one.want)
		}
	}
	if m.describe(0, keyOf(p, 0, "other")) != nil || m.describe(1, keyOf(p, 0, "k")) != nil {
		t.Error("a key that is not there is described")
	}
}

// The titles of a rule may change over a restart, and with them what is kept.
func TestSequenceLoadsOtherSlots(t *testing.T) {
	p := sequenceOf(time.Hour, stepNamed("a", 1), stepNamed("b", 1))
	s := newStage()
	m := newSequenceMachine(p, s)
	inTurn(m, happening{id: 1, bits: 1, keys: [2]string{"k", "k"}, value: "x"}.item(s, p, []int{0, 0}))
	more := sequenceOf(time.Hour, stepNamed("a", 1), stepNamed("b", 1))
	more.slots, more.remembered = 3, []bool{true, false, true}
	other := restored(t, m, newSequenceMachine(more, s))
	c := other.table.find(keyOf(p, 0, "k").hash).chains
	if v := c.memos[0].values; len(v) != 2 || v[0].text != "x" || v[1].kind != null {
		t.Errorf("values %v", v)
	}
	less := sequenceOf(time.Hour, stepNamed("a", 1), stepNamed("b", 1))
	less.remembered[0] = false
	last := restored(t, other, newSequenceMachine(less, s))
	if c := last.table.find(keyOf(p, 0, "k").hash).chains; len(c.memos[0].values) != 0 {
		t.Errorf("values %v", c.memos[0].values)
	}
}

func TestSequenceDamagedSnapshot(t *testing.T) {
	p := sequenceOf(10*time.Second, stepNamed("a", 2), stepNamed("b", 1), absence("c"))
	s := newStage()
	m := newSequenceMachine(p, s)
	for i, bits := range []uint64{1, 1, 2, 1} {
		inTurn(m, happening{at: i, id: i + 1, bits: bits, keys: [2]string{"k", "k"}, value: "x"}.item(s, p, []int{0, 0, 0}))
	}
	damagedSnapshots(t, m, func() machine { return newSequenceMachine(p, s) })
}

// What has come furthest is given up last.
func TestSequenceShrink(t *testing.T) {
	p := sequenceOf(time.Hour, stepNamed("a", 3), stepNamed("b", 1), stepNamed("c", 1))
	s := newStage()
	m := newSequenceMachine(p, s)
	id := 0
	do := func(k string, bits uint64) {
		id++
		inTurn(m, happening{at: id, id: id, bits: bits, keys: [2]string{k, k}}.item(s, p, make([]int, 3)))
	}
	for _, bits := range []uint64{1, 1, 1, 2} {
		do("two steps", bits)
	}
	for range 3 {
		do("one step", 1)
	}
	do("two events", 1)
	do("two events", 1)
	for i := range 1000 {
		do(fmt.Sprintf("flood %d", i), 1)
	}
	has := func(k string) bool { return m.describe(0, keyOf(p, 0, k)) != nil }
	before := m.bytes()
	keys := m.shrink(before / 2)
	if keys < 300 || m.bytes() > before*6/10 || !has("two steps") || !has("one step") || !has("two events") || has("flood 0") || !has("flood 999") {
		t.Errorf("%d keys were given up, %d of %d bytes are left", keys, m.bytes(), before)
	}
	for m.keys() > 1 {
		m.shrink(1)
		if m.keys() == 2 && !has("one step") {
			t.Error("one step was given up before two events")
		}
	}
	if !has("two steps") {
		t.Error("the furthest was given up")
	}
	m.shrink(1 << 40)
	if m.keys() != 0 || m.size != 0 {
		t.Errorf("%d keys and %d bytes are left", m.keys(), m.size)
	}
}

// allocated is what the heap grows by while f runs.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// counted checks that the bytes that a machine counts are what it takes, or up to half as many more.
func counted(t *testing.T, m machine, took int64) {
	t.Helper()
	n := m.bytes()
	t.Logf("%d keys: %d bytes each counted, %d taken", m.keys(), n/int64(m.keys()), took/int64(m.keys()))
	if took > n*21/20 || took < n*2/3 {
		t.Errorf("%d keys take %d bytes, %d are counted", m.keys(), took, n)
	}
}

func TestSequenceBytes(t *testing.T) {
	for name, p := range map[string]*program{
		"two steps": sequenceOf(time.Hour, stepNamed("a", 1), stepNamed("b", 1)),
		"absence":   sequenceOf(time.Hour, stepNamed("a", 1), absence("b")),
		"times":     sequenceOf(time.Hour, stepNamed("a", 3), stepNamed("b", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage()
			s.quiet = true
			m := newSequenceMachine(p, s)
			it := happening{bits: 1, value: "203.0.113.250"}.item(s, p, []int{0, 0})
			took := allocated(func() {
				for i := range 100_000 {
					it.time, it.id = dayOne+event.Time(i), s.id(i)
					it.keys[0] = keyOf(p, 0, fmt.Sprintf("some.user.%d", i))
					inTurn(m, it)
				}
			})
			counted(t, m, took)
			for range 400_000 {
				m.expire(dayOne + 2*3600*second)
			}
			m.due(dayOne + 2*3600*second)
			m.expire(dayOne + 2*3600*second)
			if m.keys() != 0 || m.size != 0 || m.bytes() > 1<<16 {
				t.Errorf("%d keys and %d (%d) bytes are left when all is over", m.keys(), m.size, m.bytes())
			}
			runtime.KeepAlive(m)
		})
	}
}

func BenchmarkSequence(b *testing.B) {
	p := sequenceOf(time.Hour, stepNamed("a", 1), stepNamed("b", 1))
	p.steps[1].guard = otherThan(0)
	s := newStage()
	s.quiet = true
	m := newSequenceMachine(p, s)
	const users = 100_000
	items := make([]*item, users)
	for i := range items {
		k := fmt.Sprintf("user.%d", i)
		items[i] = happening{keys: [2]string{k, k}, bits: 1, value: "203.0.113.9"}.item(s, p, []int{0, 0})
		items[i].keys[1] = items[i].keys[0]
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		it := items[n*7919%users]
		it.time, it.id, it.bits = dayOne+event.Time(n)*second/1000, s.id(n+1), 1
		if n/users%3 == 2 {
			it.bits = 2
		}
		inTurn(m, it)
		m.expire(it.time)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(m.bytes())/users, "B/key")
}
