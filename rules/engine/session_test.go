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

// sessionProgram follows sessions by id (slot 0) and address (slot 1), and asks for the different values of slot 2. Bit 0 opens, bit 1 closes.
func sessionProgram(idle time.Duration, least float64) *program {
	p := &program{rule: &rules.Rule{ID: "s", Session: &rules.Session{Idle: idle}}, number: 8, ordered: true, grouping: 1, hash: newHasher("test"), slots: 3,
		remembered: make([]bool, 3), when: 1, closing: 2, sessionID: 0, sessionBy: 1}
	p.aggregates = []aggregate{{kind: rules.ActiveDistinct, terms: []int{2}}, {kind: rules.Count}}
	p.fire = func(s *scene) bool { return s.aggregate(0).number >= least }
	return p
}

// sessionEvent is an event of the tests.
type sessionEvent struct {
	at, id      int
	open, close bool
	key         string
	session, ip string
	country     string
	late        bool
}

func (h sessionEvent) item(s *stage, p *program) *item {
	it := &item{time: dayOne + event.Time(h.at)*second, id: s.id(h.id), weight: 1, values: make([]value, 3)}
	if h.open {
		it.bits |= 1
	}
	if h.close {
		it.bits |= 2
	}
	for i, v := range []string{h.session, h.ip, h.country} {
		if v != "" {
			it.values[i] = value{kind: text, text: v}
		}
	}
	for g := range p.grouping {
		k := key{}
		if h.key != "" {
			k = keyOf(p, g, h.key)
		}
		it.keys = append(it.keys, k)
	}
	return it
}

// sessionStory runs "at:+id/ip/country" (opens), "at:-id/ip" (closes), "at:~..." (closes and opens); a leading ! marks a late event. It returns what
// describe says at the end, and the times of the hits.
func sessionStory(t *testing.T, p *program, text string, until int) (open string, hits []int) {
	t.Helper()
	s := newStage()
	m := newSessionMachine(p, s)
	for n, one := range strings.Fields(text) {
		h := sessionEvent{id: n + 1, key: "k"}
		one, h.late = strings.CutPrefix(one, "!")
		at, rest, _ := strings.Cut(one, ":")
		if _, err := fmt.Sscan(at, &h.at); err != nil {
			t.Fatal(err)
		}
		h.open, h.close = rest[0] != '-', rest[0] != '+'
		parts := strings.Split(rest[1:]+"//", "/")
		h.session, h.ip, h.country = parts[0], parts[1], parts[2]
		it := h.item(s, p)
		if h.late {
			m.late(it)
			continue
		}
		before := s.count
		inTurn(m, it)
		if s.count > before {
			hits = append(hits, h.at)
		}
	}
	m.due(dayOne + event.Time(until)*second)
	return strings.Join(m.describe(0, keyOf(p, 0, "k")), ""), hits
}

func TestSession(t *testing.T) {
	p := sessionProgram(10*time.Second, 2)
	for _, one := range []struct {
		name, events string
		until        int
		open         int // sessions at the end
		hits         []int
	}{
		{"two places", "0:+a//SE 1:+b//DE", 5, 2, []int{1}},
		{"one place", "0:+a//SE 1:+b//SE", 5, 2, nil},
		{"each open event is asked", "0:+a//SE 1:+b//DE 2:+b//DE", 5, 2, []int{1, 2}},
		{"the same id moves", "0:+a//SE 1:+a//DE", 5, 1, nil},
		{"null leaves what was known", "0:+a//SE 1:+a// 2:+b//DE", 5, 2, []int{2}},
		{"nothing known is no place", "0:+a// 1:+b//DE", 5, 2, nil},
		{"closed by id", "0:+a//SE 1:-a 2:+b//DE", 5, 1, nil},
		{"another id closes nothing", "0:+a//SE 1:-c 2:+b//DE", 5, 2, []int{2}},
		{"closed by address", "0:+a/1/SE 1:+b/2/NO 2:-/1 3:+c/3/DE", 5, 2, []int{1, 3}},
		{"an address that is not there closes nothing", "0:+a/1/SE 1:-/2", 5, 1, nil},
		{"closed by key", "0:+a/1/SE 1:+b/2/SE 2:-", 5, 0, nil},
		{"without an id, by address", "0:+/1/SE 1:+/2/SE 2:+/1/SE", 5, 2, nil},
		{"without an id and an address, one", "0:+//SE 1:+//DE", 5, 1, nil},
		{"a new address of a session", "0:+a/1/SE 1:+a/2/SE 2:-/1 3:-/2", 5, 0, nil},
		{"idle at its end is open", "0:+a//SE 10:+b//DE", 10, 2, []int{10}},
		{"idle", "0:+a//SE 11:+b//DE", 11, 1, nil},
		{"idle since the last event", "0:+a//SE 9:+a//SE 19:+b//DE", 19, 2, []int{19}},
		{"idle by time alone", "0:+a//SE", 11, 0, nil},
		{"closes, then opens", "0:+a/1/SE 1:~a/1/DE", 5, 1, nil},
		{"late open", "5:+a//SE !3:+b//DE", 6, 2, nil},
		{"late open counts later", "5:+a//SE !3:+b//DE 6:+a//SE", 6, 2, []int{6}},
		{"late open that time has closed", "15:+a//SE !3:+b//DE", 15, 1, nil},
		{"late open before a close", "5:-b !3:+b//DE", 6, 0, nil},
		{"late again, closed since", "3:+b//DE 5:-b !3:+b//DE", 6, 0, nil},
		{"late close", "3:+a//SE 5:+b//SE !4:-", 6, 1, nil},
		{"late refresh is none", "5:+a//SE !3:+a//DE 6:+b//SE", 6, 2, nil},
	} {
		open, hits := sessionStory(t, p, one.events, one.until)
		n := 0
		if open != "" {
			fmt.Sscanf(open, "%d", &n)
		}
		if n != one.open || !reflect.DeepEqual(hits, one.hits) {
			t.Errorf("%s: %s: %q open, hits %v; want %d, %v", one.name, one.events, open, hits, one.open, one.hits)
		}
	}
}

func TestSessionHit(t *testing.T) {
	p := sessionProgram(time.Hour, 2)
	p.title = func(s *scene) string {
		return fmt.Sprintf("%v sessions, %v countries of %s", s.aggregate(1).number, s.aggregate(0).number, s.key.text)
	}
	s := newStage()
	m := newSessionMachine(p, s)
	for i, c := range []string{"SE", "SE", "DE"} {
		inTurn(m, sessionEvent{at: i, id: i + 1, open: true, key: "k", session: fmt.Sprint(i), country: c}.item(s, p))
	}
	inTurn(m, sessionEvent{at: 3, id: 4, open: true, key: "k", session: "0", country: "SE"}.item(s, p))
	if len(s.hits) != 2 || !strings.HasSuffix(s.hits[1], "by 4, 3: 2 3 4") || s.last.title != "3 sessions, 2 countries of k" {
		t.Errorf("hits %q, title %q", s.hits, s.last.title)
	}
	want := "3 sessions open, the latest event at 2026-09-21T14:13:23.000Z, idle from 2026-09-21T15:13:23.000Z; 2 different values"
	if got := strings.Join(m.describe(0, keyOf(p, 0, "k")), ""); got != want {
		t.Errorf("described as %s\nwant %s", got, want)
	}
}

// prev is the preceding open event of the key that has what is asked for.
func TestSessionPrev(t *testing.T) {
	p := sessionProgram(time.Hour, 0)
	p.usesPrev, p.prevNeeds, p.remembered = true, []int{2}, []bool{false, false, true}
	p.fire = func(s *scene) bool { return s.prev != nil && s.prev.slot(2).text == "SE" }
	_, hits := sessionStory(t, p, "0:+a//SE 1:+a// 2:+b//DE 3:+b//DE", 4)
	if !reflect.DeepEqual(hits, []int{1, 2}) {
		t.Errorf("hits at %v", hits)
	}
}

func TestSessionFirstSeen(t *testing.T) {
	p := sessionProgram(time.Hour, 0)
	p.aggregates = append(p.aggregates, aggregate{kind: rules.FirstSeen, terms: []int{2}, horizon: 10 * time.Second})
	p.fire = func(s *scene) bool { return s.aggregate(2).number == 1 }
	_, hits := sessionStory(t, p, "0:+a//SE 1:+a//SE 2:+b//DE 11:+b//SE 22:+b//SE", 30)
	if !reflect.DeepEqual(hits, []int{0, 2, 22}) {
		t.Errorf("hits at %v", hits)
	}
}

func TestSessionDamagedSnapshot(t *testing.T) {
	p := sessionProgram(time.Hour, 9)
	s := newStage()
	m := newSessionMachine(p, s)
	for i, ip := range []string{"1", "2", ""} {
		inTurn(m, sessionEvent{at: i, id: i + 1, open: true, key: "k", session: fmt.Sprint(i), ip: ip, country: ip}.item(s, p))
	}
	damagedSnapshots(t, m, func() machine { return newSessionMachine(p, s) })
}

func TestSessionShrink(t *testing.T) {
	p := sessionProgram(time.Hour, 9)
	s := newStage()
	m := newSessionMachine(p, s)
	for i := range 2000 {
		k := fmt.Sprint(i)
		if i%20 == 0 {
			k = "several"
		}
		inTurn(m, sessionEvent{at: i, id: i, open: true, key: k, session: fmt.Sprint(i), ip: "1", country: "SE"}.item(s, p))
	}
	before := m.bytes()
	keys := m.shrink(before / 2)
	has := func(k string) bool { return m.describe(0, keyOf(p, 0, k)) != nil }
	if keys < 500 || m.bytes() > before*7/10 || !has("several") || has("1") || !has("1999") {
		t.Errorf("%d keys were given up, %d of %d bytes are left", keys, m.bytes(), before)
	}
	m.shrink(1 << 40)
	if m.keys() != 0 || m.size != 0 || m.ends.next() != 0 {
		t.Errorf("%d keys and %d bytes are left", m.keys(), m.size)
	}
}

func TestSessionBytes(t *testing.T) {
	for name, groups := range map[string]int{"a session each": 100_000, "one key": 1} {
		t.Run(name, func(t *testing.T) {
			p := sessionProgram(time.Hour, 1e9)
			s := newStage()
			m := newSessionMachine(p, s)
			it := sessionEvent{open: true, key: "k", session: "s", ip: "1", country: "SE"}.item(s, p)
			took := allocated(func() {
				for i := range 100_000 {
					it.time, it.id = dayOne+event.Time(i), s.id(i)
					it.keys[0] = keyOf(p, 0, fmt.Sprintf("some.user.%d", i%groups))
					it.values[0].text, it.values[1].text = fmt.Sprintf("session-%d", i), fmt.Sprintf("198.51.100.%d", i)
					inTurn(m, it)
				}
			})
			n := m.bytes()
			t.Logf("%d bytes a session counted, %d taken", n/100_000, took/100_000)
			if took > n*21/20 || took < n*2/3 {
				t.Errorf("%d bytes are taken, %d counted", took, n)
			}
			m.due(dayOne + 2*3600*second)
			m.expire(0)
			if m.keys() != 0 || m.size != 0 || m.bytes() > 1<<16 {
				t.Errorf("%d keys, %d (%d) bytes are left when all are idle", m.keys(), m.size, m.bytes())
			}
			runtime.KeepAlive(m)
		})
	}
}

// refSessions is the meaning of sessions: for every open event the sessions are worked out from all events before it.
func refSessions(p *program, events []sessionEvent, idle int, least int) (hits []string) {
	type session struct {
		name, ip, country string
		last              sessionEvent
	}
	for i, now := range events {
		if !now.open || now.key == "" {
			continue
		}
		var open []session
		for _, h := range events[:i+1] {
			if h.key != now.key {
				continue
			}
			var rest []session
			for _, s := range open {
				gone := s.last.at+idle < h.at
				if h.close {
					switch {
					case h.session != "":
						gone = gone || s.name == "id "+h.session
					case h.ip != "":
						gone = gone || s.ip == h.ip
					default:
						gone = true
					}
				}
				if !gone {
					rest = append(rest, s)
				}
			}
			open = rest
			if !h.open {
				continue
			}
			one := session{name: "only"}
			if h.session != "" {
				one.name = "id " + h.session
			} else if h.ip != "" {
				one.name = "ip " + h.ip
			}
			for j, s := range open {
				if s.name == one.name {
					one = s
					open = append(open[:j:j], open[j+1:]...)
					break
				}
			}
			one.last = h
			if h.ip != "" {
				one.ip = h.ip
			}
			if h.country != "" {
				one.country = h.country
			}
			open = append(open, one)
		}
		countries := map[string]bool{}
		var evidence []eventID
		for _, s := range open {
			if s.country != "" {
				countries[s.country] = true
			}
			evidence = append(evidence, eventID(s.last.id))
		}
		if len(countries) >= least {
			for g := range p.grouping {
				hits = append(hits, hitText(g, now.key, dayOne+event.Time(now.at)*second, eventID(now.id), evidence, int64(len(open))))
			}
		}
	}
	return hits
}

func TestSessionMeaning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		idle, least := rapid.IntRange(1, 10).Draw(rt, "idle"), rapid.IntRange(0, 3).Draw(rt, "least")
		p := sessionProgram(time.Duration(idle)*time.Second, float64(least))
		p.grouping = rapid.IntRange(1, 2).Draw(rt, "groupings")
		s := newStage()
		m := newSessionMachine(p, s)
		var events []sessionEvent
		at := 0
		for n := range rapid.IntRange(0, 30).Draw(rt, "events") {
			at += rapid.SampledFrom([]int{0, 1, 1, 2, 5}).Draw(rt, "later")
			one := func(list ...string) string { return rapid.SampledFrom(list).Draw(rt, "text") }
			h := sessionEvent{at: at, id: n + 1, key: one("", "x", "x", "y"), session: one("", "a", "b", "c"), ip: one("", "1", "2"), country: one("", "SE", "DE", "NO")}
			h.open = rapid.SampledFrom([]bool{true, true, false}).Draw(rt, "open")
			h.close = !h.open || rapid.IntRange(0, 9).Draw(rt, "both") == 0
			events = append(events, h)
			it := h.item(s, p)
			inTurn(m, it)
			m = restored(t, m, newSessionMachine(p, s))
			m.take(it)
			m.expire(it.time)
		}
		if want := refSessions(p, events, idle, least); !reflect.DeepEqual(s.hits, want) {
			rt.Fatalf("hits %q\nwant %q", s.hits, want)
		}
		m.due(dayOne + event.Time(at+100)*second)
		for range 100 {
			m.expire(0)
		}
		if m.keys() != 0 || m.size != 0 || m.open.count+m.places.count+m.tuples.count != 0 {
			rt.Fatalf("%d keys, %d bytes, %d sessions are left", m.keys(), m.size, m.open.count)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	p := sessionProgram(time.Hour, 2)
	s := newStage()
	s.quiet = true
	m := newSessionMachine(p, s)
	const users = 100_000
	items := make([]*item, users)
	for i := range items {
		items[i] = sessionEvent{open: true, key: fmt.Sprintf("user.%d", i), session: fmt.Sprintf("session-%d", i), ip: "1", country: "SE"}.item(s, p)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		it := items[n*7919%users]
		it.time, it.id = dayOne+event.Time(n)*second/1000, s.id(n+1)
		inTurn(m, it)
		m.expire(it.time)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
