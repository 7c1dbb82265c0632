package engine

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

func expectProgram(every time.Duration) *program {
	return &program{rule: &rules.Rule{ID: "e", ExpectEvery: every}, number: 9, ordered: true, grouping: 1, hash: newHasher("test"), slots: 1,
		remembered: []bool{true}, when: 1, sessionID: -1, sessionBy: -1}
}

func expectItem(s *stage, p *program, at, id int, name string) *item {
	it := &item{time: dayOne + event.Time(at)*second, id: s.id(id), bits: 1, weight: 1, values: []value{{kind: text, text: "v" + fmt.Sprint(id)}},
		about: about{user: "u" + fmt.Sprint(id)}}
	for g := range p.grouping {
		it.keys = append(it.keys, keyOf(p, g, name))
	}
	return it
}

func TestExpect(t *testing.T) {
	p := expectProgram(10 * time.Second)
	for _, one := range []struct{ name, events, want string }{
		{"never armed", "", ""},
		{"fires once", "0", "10:1"},
		{"in time", "0 10 20", "30:3"},
		{"armed again", "0 15", "10:1 25:2"},
		{"late, before the last", "0 8 !4", "18:2"},
		{"late moves the deadline", "0 !3", "13:2"},
		{"late, after it fired, arms again", "0 15x !12", "10:1 22:3"},
		{"late, after it would have fired", "0 25x !12", "10:1"},
		{"late and first", "5x !3", "13:2"},
	} {
		s := newStage()
		m := newExpectMachine(p, s)
		for n, text := range strings.Fields(one.events) {
			text, late := strings.CutPrefix(text, "!")
			text, other := strings.CutSuffix(text, "x")
			var at int
			if _, err := fmt.Sscan(text, &at); err != nil {
				t.Fatal(err)
			}
			k := "k"
			if other {
				k = "other"
			}
			it := expectItem(s, p, at, n+1, k)
			if late {
				m.late(it)
			} else {
				inTurn(m, it)
			}
		}
		m.due(dayOne + 1000*second)
		var got []string
		for _, h := range s.hits {
			var g, at, by int
			var k string
			fmt.Sscanf(h, "%d %q at %d by %d", &g, &k, &at, &by)
			if k == "k" {
				got = append(got, fmt.Sprintf("%d:%d", at-int(dayOne/second), by))
			}
		}
		if strings.Join(got, " ") != one.want {
			t.Errorf("%s: %s fires %q, want %q", one.name, one.events, got, one.want)
		}
	}
}

// The hit tells of the last event, which prev is for an exception and the title.
func TestExpectHit(t *testing.T) {
	p := expectProgram(10 * time.Second)
	p.grouping = 2
	p.title = func(s *scene) string { return s.key.text + " after " + s.prev.slot(0).text }
	p.vetoes = []veto{{"known", func(s *scene) bool { return s.now == nil && s.key.text == "quiet" }}}
	s := newStage()
	m := newExpectMachine(p, s)
	inTurn(m, expectItem(s, p, 0, 1, "k"))
	inTurn(m, expectItem(s, p, 0, 2, "quiet"))
	inTurn(m, expectItem(s, p, 1, 3, "k"))
	if got, want := m.describe(1, keyOf(p, 1, "k")), "last came at 2026-09-21T14:13:21.000Z; fires after 2026-09-21T14:13:31.000Z unless another comes"; len(got) != 1 || got[0] != want {
		t.Errorf("described as %q", got)
	}
	if next := m.due(dayOne + 11*second); next != dayOne+11*second {
		t.Errorf("the next deadline is %d", next)
	}
	m.due(dayOne + 12*second)
	at := (dayOne + 11*second) / second
	if want := []string{fmt.Sprintf(`0 "k" at %d by 3, 0: 3`, at), fmt.Sprintf(`1 "k" at %d by 3, 0: 3`, at)}; !reflect.DeepEqual(s.hits, want) {
		t.Errorf("hits %q, want %q", s.hits, want)
	}
	if s.last.title != "k after v3" || s.last.about.user != "u3" || p.vetoed != 2 || m.keys() != 0 || m.size != 0 {
		t.Errorf("title %q, user %q, %d vetoes, %d keys, %d bytes", s.last.title, s.last.about.user, p.vetoed, m.keys(), m.size)
	}
}

func TestExpectDamagedSnapshot(t *testing.T) {
	p := expectProgram(10 * time.Second)
	s := newStage()
	m := newExpectMachine(p, s)
	inTurn(m, expectItem(s, p, 0, 1, "k"))
	inTurn(m, expectItem(s, p, 0, 2, "l"))
	damagedSnapshots(t, m, func() machine { return newExpectMachine(p, s) })
}

// All gaps between the events of a key that are longer than every fire, and the last event.
func TestExpectMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		every := rapid.IntRange(1, 10).Draw(rt, "every")
		p := expectProgram(time.Duration(every) * time.Second)
		p.grouping = rapid.IntRange(1, 2).Draw(rt, "groupings")
		s := newStage()
		m := newExpectMachine(p, s)
		type seen struct{ at, id int }
		last := map[string]seen{}
		var want []string
		pass := func(until int) {
			for {
				best, at := "", seen{}
				for k, l := range last {
					if l.at+every < until && (best == "" || l.at < at.at || l.at == at.at && l.id < at.id) {
						best, at = k, l
					}
				}
				if best == "" {
					return
				}
				delete(last, best)
				for g := range p.grouping {
					want = append(want, hitText(g, best, dayOne+event.Time(at.at+every)*second, eventID(at.id), []eventID{eventID(at.id)}, 0))
				}
			}
		}
		at := 0
		for n := range rapid.IntRange(0, 30).Draw(rt, "events") {
			at += rapid.SampledFrom([]int{0, 1, 1, 2, 5, 12}).Draw(rt, "later")
			k := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "key")
			pass(at)
			last[k] = seen{at, n + 1}
			it := expectItem(s, p, at, n+1, k)
			inTurn(m, it)
			if rapid.Bool().Draw(rt, "restart") { // with and without: what is lazy in the heap must not show
				m = restored(t, m, newExpectMachine(p, s))
			}
			m.take(it)
		}
		pass(at + 100)
		m.due(dayOne + event.Time(at+100)*second)
		if !reflect.DeepEqual(s.hits, want) {
			rt.Fatalf("hits %q\nwant %q", s.hits, want)
		}
		if m.keys() != 0 || m.size != 0 {
			rt.Fatalf("%d keys, %d bytes are left", m.keys(), m.size)
		}
	})
}

func TestExpectBytes(t *testing.T) {
	p := expectProgram(time.Hour)
	s := newStage()
	m := newExpectMachine(p, s)
	it := expectItem(s, p, 0, 0, "k")
	took := allocated(func() {
		for i := range 100_000 {
			it.time, it.id = dayOne+event.Time(i), s.id(i)
			it.keys[0] = keyOf(p, 0, fmt.Sprintf("some.user.%d", i))
			it.values[0].text = fmt.Sprintf("198.51.100.%d", i)
			inTurn(m, it)
		}
	})
	counted(t, m, took)
	before := m.bytes()
	if keys := m.shrink(before / 2); keys < 30_000 || m.bytes() > before*7/10 || m.ends.next() != dayOne+3600*second {
		t.Errorf("%d keys were given up, %d of %d bytes are left", keys, m.bytes(), before)
	}
	m.shrink(1 << 40)
	if m.keys() != 0 || m.size != 0 || m.bytes() > 1<<16 {
		t.Errorf("%d keys and %d bytes are left", m.keys(), m.bytes())
	}
	runtime.KeepAlive(m)
}
