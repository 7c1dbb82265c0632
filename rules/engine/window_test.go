package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

const (
	windowTestStart = event.Time(1_780_000_000_000_000_000)
	windowTestWidth = 10 * time.Second
)

// windowHost collects hits.
type windowHost struct {
	memory *history
	names  *ids
	late   time.Duration
	hits   []hit
	keep   bool
	count  int
}

func newWindowHost() *windowHost {
	h := &windowHost{names: newIDs(), late: 5 * time.Second, keep: true}
	h.memory = newHistory(nil, h.names)
	h.names.own("log", 0)
	return h
}

func (h *windowHost) hit(_ *program, one *hit) {
	h.count++
	if h.keep {
		own := *one
		own.evidence = slices.Clone(own.evidence)
		h.hits = append(h.hits, own)
	}
}
func (h *windowHost) history() *history { return h.memory }
func (h *windowHost) ids() *ids         { return h.names }

// windowProgram is a program made by hand: when is bit 0, the condition of count and ratio bit 1, slot 0 a text, slot 1 a number.
func windowProgram(ordered bool, window time.Duration, fire condition, aggs ...aggregate) *program {
	p := &program{rule: &rules.Rule{ID: "test", Window: window}, number: 7, ordered: ordered, grouping: 1, slots: 2, when: 1, fire: fire,
		remembered: []bool{true, true}, conditions: make([]func(*event.Event) bool, 2), sessionID: -1, sessionBy: -1, hash: newHasher("test")}
	for n := range aggs {
		aggs[n].number = n
		p.aggregates = append(p.aggregates, aggs[n])
	}
	return p
}

func atLeast(agg int, least float64) condition {
	return func(s *scene) bool { v := s.aggregate(agg); return v.kind == number && v.number >= least }
}

var (
	aggCount    = aggregate{kind: rules.Count}
	aggCountIf  = aggregate{kind: rules.Count, bit: 2}
	aggDistinct = aggregate{kind: rules.Distinct, terms: []int{0}}
	aggSum      = aggregate{kind: rules.Sum, terms: []int{1}}
	aggMin      = aggregate{kind: rules.Min, terms: []int{1}}
	aggMax      = aggregate{kind: rules.Max, terms: []int{1}}
	aggRatio    = aggregate{kind: rules.Ratio, bit: 2}
	aggRate     = aggregate{kind: rules.Rate}
	aggNew      = aggregate{kind: rules.FirstSeen, terms: []int{0}, horizon: time.Hour}
)

var windowTestHash = newHasher("keys")

func windowKey(text string) key { return key{text: text, hash: windowTestHash.text(text), ok: true} }

// windowEvent is an event of a test.
type windowEvent struct {
	key     string
	time    event.Time
	id      uint64
	weight  int64
	matches bool
	text    string  // "" is none
	number  float64 // NaN is none
}

func (e *windowEvent) item(names *ids) *item {
	it := &item{time: e.time, id: names.own("log", e.id), weight: e.weight, bits: 1, values: make([]value, 2), keys: []key{windowKey(e.key)}}
	if e.matches {
		it.bits |= 2
	}
	if e.text != "" {
		it.values[0] = value{kind: text, text: e.text}
	}
	if !math.IsNaN(e.number) {
		it.values[1] = value{kind: number, number: e.number}
	}
	return it
}

func compareWindowEvents(a, b windowEvent) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.id, b.id))
}

func drawWindowEvents(t *rapid.T, most int) []windowEvent {
	list := make([]windowEvent, rapid.IntRange(1, most).Draw(t, "events"))
	for i := range list {
		list[i] = windowEvent{
			key:     rapid.SampledFrom([]string{"a", "a", "a", "b", "c"}).Draw(t, "key"),
			time:    windowTestStart + event.Time(rapid.IntRange(0, 80).Draw(t, "half second"))*5e8,
			id:      uint64(i + 1),
			weight:  rapid.Int64Range(1, 3).Draw(t, "weight"),
			matches: rapid.Bool().Draw(t, "matches"),
			text:    rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "text"),
			number:  rapid.SampledFrom([]float64{math.NaN(), 0, 0.1, 2.5, -3, 7}).Draw(t, "number"),
		}
	}
	slices.SortFunc(list, compareWindowEvents)
	return list
}

// windowFacts are the aggregates of one window, worked out the long way.
type windowFacts struct {
	count, matching int64
	texts           map[string]bool
	sum             float64
	numbers         []float64
	fresh           bool // the text is in no event before the window
}

// factsOf looks at all events for the window of the i-th.
func factsOf(events []windowEvent, i int) (f windowFacts) {
	own := events[i]
	f.texts, f.fresh = map[string]bool{}, own.text != ""
	for _, e := range events[:i+1] {
		switch {
		case e.key != own.key:
		case e.time <= own.time-event.Time(windowTestWidth):
			f.fresh = f.fresh && e.text != own.text
		default:
			f.count += e.weight
			if e.matches {
				f.matching += e.weight
			}
			if e.text != "" {
				f.texts[e.text] = true
			}
			if !math.IsNaN(e.number) {
				f.numbers = append(f.numbers, e.number)
				f.sum = math.Round((f.sum+e.number)*10) / 10
			}
		}
	}
	return f
}

// windowCase is a rule, and the same said of facts.
type windowCase struct {
	name  string
	fire  condition
	holds func(f windowFacts) bool
}

// windowTestAggregates are those of all cases, by their numbers there.
var windowTestAggregates = []aggregate{aggCount, aggCountIf, aggDistinct, aggSum, aggMin, aggMax}

var monotoneCases = []windowCase{
	{"always", nil, func(windowFacts) bool { return true }},
	{"count", atLeast(0, 5), func(f windowFacts) bool { return f.count >= 5 }},
	{"count of those that match", atLeast(1, 4), func(f windowFacts) bool { return f.matching >= 4 }},
	{"distinct", atLeast(2, 3), func(f windowFacts) bool { return len(f.texts) >= 3 }},
	{"max", atLeast(5, 7), func(f windowFacts) bool { return len(f.numbers) > 0 && slices.Max(f.numbers) >= 7 }},
	{"min", func(s *scene) bool { v := s.aggregate(4); return v.kind == number && v.number <= -3 },
		func(f windowFacts) bool { return len(f.numbers) > 0 && slices.Min(f.numbers) <= -3 }},
	{"count and what the event itself says", func(s *scene) bool { return s.now.bits&2 != 0 && s.aggregate(0).number >= 4 }, nil},
}

// stepWindow gives the machine one item as the engine does: time goes on, and where anew is true the machine is saved and loaded.
func stepWindow(t interface{ Fatal(...any) }, m *windowMachine, it *item, latest *event.Time, anew, late bool) *windowMachine {
	if late {
		m.late(it)
	} else {
		m.take(it)
	}
	lateness := event.Time(m.host.(*windowHost).late)
	*latest = max(*latest, it.time)
	m.expire(*latest - 2*lateness)
	if !anew {
		return m
	}
	var w writer
	m.save(&w)
	next := newWindowMachine(m.p, m.host)
	if err := next.load(&reader{b: w.b}); err != nil {
		t.Fatal("load:", err)
	}
	var again writer
	next.save(&again)
	if !slices.Equal(w.b, again.b) {
		t.Fatal("what was loaded is saved as something else")
	}
	return next
}

func hitNames(hits []hit) []string {
	var names []string
	for _, h := range hits {
		names = append(names, fmt.Sprint(h.key.text, " ", h.time, " ", h.id))
	}
	slices.Sort(names)
	return names
}

func TestWindowHitsInAnyOrder(t *testing.T) {
	for _, c := range monotoneCases {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				events := drawWindowEvents(t, 60)
				h := newWindowHost()
				var want []string
				for i, e := range events {
					f := factsOf(events, i)
					if c.holds == nil && e.matches && f.count >= 4 || c.holds != nil && c.holds(f) {
						want = append(want, fmt.Sprint(e.key, " ", e.time, " ", h.names.own("log", e.id)))
					}
				}
				slices.Sort(want)
				p := windowProgram(false, windowTestWidth, c.fire, windowTestAggregates...)
				m, anew, latest := newWindowMachine(p, h), rapid.Bool().Draw(t, "anew"), event.Time(0)
				for _, e := range arrivals(t, events, h.late) {
					m = stepWindow(t, m, e.item(h.names), &latest, anew, false)
				}
				if got := hitNames(h.hits); !slices.Equal(got, want) {
					t.Fatalf("hits\n%q, want\n%q", got, want)
				}
			})
		})
	}
}

// arrivals are the events in an order that the lateness allows, some of them twice.
func arrivals(t *rapid.T, events []windowEvent, lateness time.Duration) []windowEvent {
	type arrival struct {
		windowEvent
		at event.Time
	}
	var list []arrival
	for _, e := range events {
		for range 1 + rapid.IntRange(0, 4).Draw(t, "again")/4 {
			list = append(list, arrival{e, e.time + event.Time(rapid.Int64Range(0, int64(lateness/time.Millisecond)).Draw(t, "delay"))*1e6})
		}
	}
	slices.SortStableFunc(list, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	order := make([]windowEvent, len(list))
	for i := range list {
		order[i] = list[i].windowEvent
	}
	return order
}

func TestWindowValuesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawWindowEvents(t, 60)
		h := newWindowHost()
		var got windowFacts
		var ratio, rate float64
		fire := func(s *scene) bool {
			got = windowFacts{count: int64(s.aggregate(0).number), matching: int64(s.aggregate(1).number), sum: s.aggregate(3).number, texts: map[string]bool{}}
			for range int(s.aggregate(2).number) {
				got.texts[fmt.Sprint(len(got.texts))] = true
			}
			if v := s.aggregate(4); v.kind == number {
				got.numbers = []float64{v.number, s.aggregate(5).number}
			}
			ratio, rate, got.fresh = s.aggregate(6).number, s.aggregate(7).number, s.aggregate(8).number == 1
			return got.fresh
		}
		p := windowProgram(true, windowTestWidth, fire, append(slices.Clone(windowTestAggregates), aggRatio, aggRate, aggNew)...)
		m, latest, anew := newWindowMachine(p, h), event.Time(0), rapid.Bool().Draw(t, "anew")
		for i, e := range events {
			m = stepWindow(t, m, e.item(h.names), &latest, anew, false)
			want := factsOf(events, i)
			if got.count != want.count || got.matching != want.matching || len(got.texts) != len(want.texts) || got.fresh != want.fresh {
				t.Fatalf("event %d: %+v, want %+v", i, got, want)
			}
			if math.Abs(got.sum-want.sum) > 1e-9 || len(want.numbers) > 0 &&
				(len(got.numbers) == 0 || got.numbers[0] != slices.Min(want.numbers) || got.numbers[1] != slices.Max(want.numbers)) {
				t.Fatalf("event %d: %+v, want %+v", i, got, want)
			}
			if ratio != float64(want.matching)/float64(want.count) || rate != float64(want.count)*6 {
				t.Fatalf("event %d: ratio %v, rate %v of %+v", i, ratio, rate, want)
			}
		}
		if fresh := 0; len(h.hits) > 0 {
			for i := range events {
				if factsOf(events, i).fresh {
					fresh++
				}
			}
			if len(h.hits) != fresh {
				t.Fatalf("%d hits, want %d", len(h.hits), fresh)
			}
		}
	})
}

// Late events of an ordered rule fire nothing, and count for those that have their turn after them.
func TestWindowLateEventsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawWindowEvents(t, 40)
		late := make([]bool, len(events))
		h := newWindowHost()
		p := windowProgram(true, windowTestWidth, func(s *scene) bool {
			return s.aggregate(0).number >= 4 && s.aggregate(1).kind == number && s.aggregate(1).number >= 2
		}, aggCount, aggMax)
		m, latest, anew := newWindowMachine(p, h), event.Time(0), rapid.Bool().Draw(t, "anew")
		var want []string
		var waiting []int
		var known []windowEvent
		flush := func() {
			for _, i := range waiting {
				m = stepWindow(t, m, events[i].item(h.names), &latest, anew, true)
				known = append(known, events[i])
			}
			waiting = waiting[:0]
		}
		for i, e := range events {
			if late[i] = rapid.IntRange(0, 3).Draw(t, "late") == 0; late[i] {
				waiting = append(waiting, i)
				continue
			}
			if rapid.Bool().Draw(t, "they come") {
				flush()
			}
			known = append(known, e)
			slices.SortFunc(known, compareWindowEvents)
			at, _ := slices.BinarySearchFunc(known, e, compareWindowEvents)
			if f := factsOf(known, at); f.count >= 4 && len(f.numbers) > 0 && slices.Max(f.numbers) >= 2 {
				want = append(want, fmt.Sprint(e.key, " ", e.time, " ", h.names.own("log", e.id)))
			}
			m = stepWindow(t, m, e.item(h.names), &latest, anew, false)
		}
		slices.Sort(want)
		if got := hitNames(h.hits); !slices.Equal(got, want) {
			t.Fatalf("hits\n%q, want\n%q", got, want)
		}
	})
}

func TestWindowHitTells(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(false, windowTestWidth, atLeast(0, 3), aggCount, aggDistinct)
	p.title = func(s *scene) string { return fmt.Sprint(s.aggregate(0).number, " of ", s.key.text) }
	p.progress = func(s *scene) float64 { return s.aggregate(0).number / 3 }
	m := newWindowMachine(p, h)
	for i := range 25 {
		e := windowEvent{key: "bob", time: windowTestStart + event.Time(i)*1e6, id: uint64(i), weight: 2, text: "x"}
		m.take(e.item(h.names))
	}
	if len(h.hits) != 24 {
		t.Fatalf("%d hits, want 24", len(h.hits))
	}
	last := h.hits[23]
	if last.title != "50 of bob" || last.count != 50 || len(last.evidence) != maxEvidence || last.evidence[0] != h.names.own("log", 5) ||
		last.evidence[19] != last.id || last.id != h.names.own("log", 24) {
		t.Errorf("the last hit is %+v", last)
	}
	want := []string{"25 events in the window since 20:26:40: count 50, distinct 1", "fired by the event at 20:26:40"}
	if got := m.describe(0, windowKey("bob")); !slices.Equal(got, want) {
		t.Errorf("describe: %q, want %q", got, want)
	}
	if got := m.describe(0, windowKey("eve")); got != nil {
		t.Errorf("of a key that is not there: %q", got)
	}
	seen := 0
	m.eachID(func(eventID) { seen++ })
	if seen != 25 {
		t.Errorf("%d ids, want 25", seen)
	}
}

func TestWindowVetoStopsTheHit(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(true, windowTestWidth, atLeast(0, 2), aggCount)
	p.vetoes = []veto{{"even", func(s *scene) bool { return int(s.aggregate(0).number)%2 == 0 }}}
	m := newWindowMachine(p, h)
	for i := range 5 {
		e := windowEvent{key: "bob", time: windowTestStart + event.Time(i)*1e6, id: uint64(i), weight: 1}
		m.take(e.item(h.names))
	}
	if len(h.hits) != 2 || p.vetoed != 2 {
		t.Errorf("%d hits, %d vetoed, want 2 and 2", len(h.hits), p.vetoed)
	}
}

// Without a window nothing is kept but the history.
func TestWindowlessRules(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(true, 0, func(s *scene) bool {
		return s.aggregate(0).number == 1 || s.prev != nil && s.prev.values[0].text == "y"
	}, aggNew, aggCount)
	p.usesPrev, p.prevNeeds = true, []int{0}
	m := newWindowMachine(p, h)
	var got []uint64
	for i, s := range []string{"x", "x", "y", "", "x", "x"} { // new, known, new, behind y, still behind y, nothing
		e := windowEvent{key: "bob", time: windowTestStart + event.Time(i)*1e9, id: uint64(i), weight: 1, text: s}
		m.take(e.item(h.names))
		if len(h.hits) > 0 {
			got = append(got, uint64(i))
			h.hits = nil
		}
	}
	if want := []uint64{0, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("hits %v, want %v", got, want)
	}
	before := m.bytes()
	if m.keys() != 0 {
		t.Errorf("%d keys are kept", m.keys())
	}
	for i := range 1000 {
		e := windowEvent{key: fmt.Sprint(i), time: windowTestStart + event.Time(i)*1e9, id: uint64(i), weight: 1, text: "x"}
		m.late(e.item(h.names))
	}
	if m.bytes() != before {
		t.Errorf("%d bytes more", m.bytes()-before)
	}
}

func TestWindowLearnsBeforeItFires(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(true, 0, func(s *scene) bool { return s.aggregate(0).number == 1 }, aggNew)
	p.rule.Learn = rules.Learn{For: time.Minute, MinEvents: 3}
	m := newWindowMachine(p, h)
	for i := range 8 {
		e := windowEvent{key: "bob", time: windowTestStart + event.Time(i)*15e9, id: uint64(i), weight: 1, text: fmt.Sprint(i)}
		m.take(e.item(h.names))
	}
	if len(h.hits) != 4 || h.hits[0].time != windowTestStart+60e9 {
		t.Errorf("hits %v", hitNames(h.hits))
	}
}

func TestWindowExpires(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(false, windowTestWidth, atLeast(0, 100), aggCount)
	m := newWindowMachine(p, h)
	for i := range 1000 {
		e := windowEvent{key: fmt.Sprint(i % 400), time: windowTestStart + event.Time(i)*1e6, id: uint64(i), weight: 1}
		if i == 0 {
			e.time += event.Time(time.Hour) // the coldest of them, and it does not expire
		}
		m.take(e.item(h.names))
	}
	for range 2000 {
		m.expire(windowTestStart + event.Time(time.Minute))
	}
	if m.keys() != 1 {
		t.Errorf("%d keys are left, want the one that is ahead", m.keys())
	}
	m.expire(windowTestStart + event.Time(2*time.Hour))
	if m.keys() != 0 {
		t.Errorf("%d keys are left", m.keys())
	}
}

func TestWindowLoadRefusesWhatIsDamaged(t *testing.T) {
	h := newWindowHost()
	p := windowProgram(false, windowTestWidth, atLeast(0, 100), windowTestAggregates...)
	m := newWindowMachine(p, h)
	for i := range 20 {
		e := windowEvent{key: fmt.Sprint(i % 5), time: windowTestStart + event.Time(i)*1e9, id: uint64(i), weight: 1, text: "x", number: 1}
		m.take(e.item(h.names))
	}
	var w writer
	m.save(&w)
	for n := range w.b {
		next := newWindowMachine(p, h)
		if err := next.load(&reader{b: w.b[:n]}); err == nil || next.keys() != 0 {
			t.Fatalf("of %d bytes: %v, %d keys", n, err, next.keys())
		}
		broken := slices.Clone(w.b)
		broken[n] ^= 0x55
		_ = next.load(&reader{b: broken}) // must not panic
	}
}

// A title with another aggregate does not change a rule's meaning: its state is loaded, and the new one knows nothing of what was.
func TestWindowLoadsWithAnotherTitle(t *testing.T) {
	h := newWindowHost()
	m := newWindowMachine(windowProgram(false, windowTestWidth, atLeast(0, 3), aggCount, aggSum), h)
	for i := range 2 {
		e := windowEvent{key: "bob", time: windowTestStart, id: uint64(i), weight: 1, text: "x", number: 2}
		m.take(e.item(h.names))
	}
	var w writer
	m.save(&w)
	for _, aggs := range [][]aggregate{{aggCount}, {aggCount, aggDistinct}, {aggCount, aggSum, aggDistinct, aggMax}} {
		h.hits = nil
		next := newWindowMachine(windowProgram(false, windowTestWidth, atLeast(0, 3), aggs...), h)
		if err := next.load(&reader{b: w.b}); err != nil {
			t.Fatal(err)
		}
		e := windowEvent{key: "bob", time: windowTestStart, id: 3, weight: 1, text: "x", number: 2}
		next.take(e.item(h.names))
		if len(h.hits) != 1 || len(aggs) == 4 && next.describe(0, windowKey("bob"))[0] != "3 events in the window since 20:26:40: count 3, sum 6, distinct 1, max 2" {
			t.Errorf("with %d aggregates: hits %v, %q", len(aggs), h.hits, next.describe(0, windowKey("bob")))
		}
	}
}
