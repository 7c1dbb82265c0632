package engine

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// sessionMachine follows the sessions that are open for a key.
//
//	open event ---> a session of its id (else its address, else the only one): opened or refreshed --> fire is asked
//	close event --> closes that of its id; without one all from its address; without both all of the key
//	time ---------> closes those of which nothing was heard for longer than idle
//
// An event that opens and closes first closes. What an event says with null of a session that is open leaves what was known.
type sessionMachine struct {
	p        *program
	host     host
	idle     event.Time // 0: sessions never are
	distinct []int      // aggregates that are worked out over open sessions
	memory   []int      // those that the long memory answers
	byID     []int      // slot of the session's id; none: empty
	byPlace  []int      // slot of the address

	table  hashTable[sessionKey, *sessionKey]
	open   hashTable[openSession, *openSession]
	places hashTable[sessionPlace, *sessionPlace]
	tuples hashTable[sessionTuple, *sessionTuple]
	ends   deadlines[openSession, *openSession]
	size   int64
	now    event.Time // of the latest item or deadline

	lastTime event.Time
	lastID   eventID
	scene    scene
	recall   *recall
	asked    *sessionKey // of scene.aggregate
}

// sessionKey is a key with its sessions, by the time of their last event.
type sessionKey struct {
	text     string
	hash     hash
	grouping int32
	count    int64
	oldest   *openSession
	latest   *openSession
	distinct []int64    // by sessionMachine.distinct: how many different tuples there are
	closed   event.Time // of the latest close event: what opened before and comes late stays closed
}

// openSession is one session. Its id is known by its hash only.
type openSession struct {
	hash          hash // of key and id
	of            *sessionKey
	older, newer  *openSession
	last          event.Time
	id            eventID // of its last event
	place         *sessionPlace
	left, right   *openSession    // of the same place
	tuples        []*sessionTuple // by sessionMachine.distinct; nil: none known
	timerPosition int32
}

// sessionPlace is an address from which a key has sessions, sessionTuple a tuple of an aggregate with the number of the key's sessions that have it.
type (
	sessionPlace struct {
		hash  hash
		first *openSession
	}
	sessionTuple struct {
		hash  hash // of key, aggregate and value
		value hash
		count int64
	}
)

const (
	sessionKeyBytes   = 112
	openSessionBytes  = 144
	sessionPlaceBytes = 24
	sessionTupleBytes = 48
	closedFor         = event.Time(3600e9) // how long a close is known where sessions are never idle
	lateWalk          = 64                 // sessions that a late event may be sorted behind
)

func (k *sessionKey) hashOf() hash   { return k.hash }
func (s *openSession) hashOf() hash  { return s.hash }
func (p *sessionPlace) hashOf() hash { return p.hash }
func (t *sessionTuple) hashOf() hash { return t.hash }
func (s *openSession) timer() *int32 { return &s.timerPosition }

func newSessionMachine(p *program, h host) *sessionMachine {
	m := &sessionMachine{p: p, host: h, idle: event.Time(p.rule.Session.Idle), recall: &recall{host: h, p: p}}
	for n := range p.aggregates {
		switch a := &p.aggregates[n]; {
		case a.kind == rules.ActiveDistinct:
			m.distinct = append(m.distinct, n)
		case a.ofMemory():
			m.memory = append(m.memory, n)
		}
	}
	if p.sessionID >= 0 {
		m.byID = []int{p.sessionID}
	}
	if p.sessionBy >= 0 {
		m.byPlace = []int{p.sessionBy}
	}
	m.ends.names = h.ids()
	m.scene.aggregate = m.aggregate
	return m
}

// take implements machine.
func (m *sessionMachine) take(it *item) {
	if it.id == m.lastID && it.time == m.lastTime {
		return
	}
	m.lastTime, m.lastID = it.time, it.id
	m.closeIdle(it.time)
	for g := range m.p.grouping {
		k := &it.keys[g]
		if !k.ok {
			continue
		}
		if it.bits&m.p.closing != 0 {
			m.close(g, k, it)
		}
		if it.bits&m.p.when != 0 {
			e := m.key(g, k)
			m.refresh(e, it)
			m.fire(e, it)
			m.remember(k, it)
		}
	}
}

// late implements machine: a session goes on from then, unless time has closed it, or the key has had a close event since.
func (m *sessionMachine) late(it *item) {
	for g := range m.p.grouping {
		k := &it.keys[g]
		if !k.ok {
			continue
		}
		if it.bits&m.p.closing != 0 {
			m.close(g, k, it)
		}
		if it.bits&m.p.when == 0 {
			continue
		}
		m.remember(k, it)
		e := m.table.find(k.hash)
		over := m.idle > 0 && it.time+m.idle < m.now || e != nil && e.closed >= it.time
		if s := m.open.find(m.name(k, it)); s != nil && m.before(s, it) || s == nil && !over {
			m.refresh(m.key(g, k), it)
		}
	}
}

// due implements machine.
func (m *sessionMachine) due(watermark event.Time) event.Time {
	m.closeIdle(watermark)
	return m.ends.next()
}

func (m *sessionMachine) closeIdle(t event.Time) {
	m.now = max(m.now, t)
	for m.ends.before(t) {
		top := m.ends.heap[0]
		if end := top.of.last + m.idle; end > top.at {
			m.ends.set(top.of, end, top.of.id, top.of.of.grouping)
			continue
		}
		e := top.of.of
		m.remove(top.of)
		m.tidy(e)
	}
}

// before tells whether the session's last event came before the item.
func (m *sessionMachine) before(s *openSession, it *item) bool {
	return m.ends.names.before(s.last, s.id, it.time, it.id)
}

// name is what a session is known by: its key and id, else its address, else nothing.
func (m *sessionMachine) name(k *key, it *item) hash {
	if sum, ok := m.p.tuple(it.values, m.byID); ok {
		return sessionHash(k.hash, 'i', 0, sum)
	}
	if sum, ok := m.p.tuple(it.values, m.byPlace); ok {
		return sessionHash(k.hash, 'a', 0, sum)
	}
	return sessionHash(k.hash, 'o', 0, hash{})
}

// sessionHash hashes under a key's hash, which nobody outside knows.
func sessionHash(k hash, kind byte, n int, sum hash) hash {
	var b [32]byte
	b[0] = kind
	binary.LittleEndian.PutUint64(b[8:], uint64(n))
	binary.LittleEndian.PutUint64(b[16:], sum.hi)
	binary.LittleEndian.PutUint64(b[24:], sum.lo)
	return hasher{k.hi, k.lo}.bytes(b[:])
}

// key finds or makes the state of a key.
func (m *sessionMachine) key(g int, k *key) *sessionKey {
	e := m.table.find(k.hash)
	if e == nil {
		e = m.addKey(&sessionKey{text: strings.Clone(k.text), hash: k.hash, grouping: int32(g)})
	}
	return e
}

func (m *sessionMachine) addKey(e *sessionKey) *sessionKey {
	e.distinct = make([]int64, len(m.distinct))
	m.table.add(e)
	m.size += m.keyBytes(e)
	return e
}

func (m *sessionMachine) keyBytes(e *sessionKey) int64 {
	return sessionKeyBytes + int64(len(e.text)) + 8*int64(len(m.distinct))
}

// refresh opens the event's session, or notes that something was heard of it.
func (m *sessionMachine) refresh(e *sessionKey, it *item) {
	k := key{hash: e.hash}
	h := m.name(&k, it)
	s := m.open.find(h)
	if s == nil {
		s = m.addSession(e, h)
	} else {
		e.unlink(s)
	}
	s.last, s.id = it.time, it.id
	m.link(s)
	if m.idle > 0 && s.timerPosition == 0 {
		m.ends.set(s, s.last+m.idle, s.id, e.grouping)
	}
	if sum, ok := m.p.tuple(it.values, m.byPlace); ok {
		m.setPlace(s, sessionHash(e.hash, 'p', 0, sum))
	}
	for i, n := range m.distinct {
		if sum, ok := m.p.tuple(it.values, m.p.aggregates[n].terms); ok {
			m.setTuple(s, i, sum)
		}
	}
}

func (m *sessionMachine) addSession(e *sessionKey, h hash) *openSession {
	s := &openSession{hash: h, of: e, tuples: make([]*sessionTuple, len(m.distinct))}
	m.open.add(s)
	m.size += openSessionBytes + 8*int64(len(m.distinct))
	e.count++
	return s
}

// link puts a session where its last event belongs among those of the key.
func (m *sessionMachine) link(s *openSession) {
	e := s.of
	after := e.latest
	for n := 0; after != nil && n < lateWalk && m.ends.names.before(s.last, s.id, after.last, after.id); n++ {
		after = after.older
	}
	s.older = after
	if after == nil {
		s.newer, e.oldest = e.oldest, s
	} else {
		s.newer, after.newer = after.newer, s
	}
	if s.newer == nil {
		e.latest = s
	} else {
		s.newer.older = s
	}
}

func (k *sessionKey) unlink(s *openSession) {
	if s.older == nil {
		k.oldest = s.newer
	} else {
		s.older.newer = s.newer
	}
	if s.newer == nil {
		k.latest = s.older
	} else {
		s.newer.older = s.older
	}
	s.older, s.newer = nil, nil
}

func (m *sessionMachine) setPlace(s *openSession, h hash) {
	if s.place != nil {
		if s.place.hash == h {
			return
		}
		m.leavePlace(s)
	}
	p := m.places.find(h)
	if p == nil {
		p = &sessionPlace{hash: h}
		m.places.add(p)
		m.size += sessionPlaceBytes
	}
	s.place, s.right = p, p.first
	if p.first != nil {
		p.first.left = s
	}
	p.first = s
}

func (m *sessionMachine) leavePlace(s *openSession) {
	p := s.place
	if p == nil {
		return
	}
	if s.left == nil {
		p.first = s.right
	} else {
		s.left.right = s.right
	}
	if s.right != nil {
		s.right.left = s.left
	}
	s.place, s.left, s.right = nil, nil, nil
	if p.first == nil {
		m.places.remove(p)
		m.size -= sessionPlaceBytes
	}
}

func (m *sessionMachine) setTuple(s *openSession, i int, sum hash) {
	if s.tuples[i] != nil {
		if s.tuples[i].value == sum {
			return
		}
		m.leaveTuple(s, i)
	}
	h := sessionHash(s.of.hash, 't', m.distinct[i], sum)
	t := m.tuples.find(h)
	if t == nil {
		t = &sessionTuple{hash: h, value: sum}
		m.tuples.add(t)
		m.size += sessionTupleBytes
		s.of.distinct[i]++
	}
	t.count++
	s.tuples[i] = t
}

func (m *sessionMachine) leaveTuple(s *openSession, i int) {
	t := s.tuples[i]
	if t == nil {
		return
	}
	s.tuples[i] = nil
	if t.count--; t.count == 0 {
		m.tuples.remove(t)
		m.size -= sessionTupleBytes
		s.of.distinct[i]--
	}
}

// close closes what a close event says, as far as nothing was heard of it since.
func (m *sessionMachine) close(g int, k *key, it *item) {
	e := m.key(g, k)
	e.closed = max(e.closed, it.time)
	var list []*openSession
	if sum, ok := m.p.tuple(it.values, m.byID); ok {
		if s := m.open.find(sessionHash(k.hash, 'i', 0, sum)); s != nil {
			list = append(list, s)
		}
	} else if sum, ok := m.p.tuple(it.values, m.byPlace); ok {
		if p := m.places.find(sessionHash(k.hash, 'p', 0, sum)); p != nil {
			for s := p.first; s != nil; s = s.right {
				list = append(list, s)
			}
		}
	} else {
		for s := e.oldest; s != nil; s = s.newer {
			list = append(list, s)
		}
	}
	for _, s := range list {
		if m.before(s, it) {
			m.remove(s)
		}
	}
	m.tidy(e)
}

// remove closes a session. The key stays: tidy.
func (m *sessionMachine) remove(s *openSession) {
	m.ends.drop(s)
	m.leavePlace(s)
	for i := range s.tuples {
		m.leaveTuple(s, i)
	}
	s.of.unlink(s)
	s.of.count--
	m.open.remove(s)
	m.size -= openSessionBytes + 8*int64(len(m.distinct))
}

// tidy takes a key away that has no session, once its last close can concern no event that comes late.
func (m *sessionMachine) tidy(e *sessionKey) {
	keep := m.idle
	if keep == 0 {
		keep = closedFor
	}
	if e.count == 0 && (e.closed == 0 || e.closed+keep < m.now) && m.table.remove(e) {
		m.size -= m.keyBytes(e)
	}
}

// fire asks the rule's condition, and tells the host where it holds.
func (m *sessionMachine) fire(e *sessionKey, it *item) {
	k := key{text: e.text, hash: e.hash, ok: true}
	m.recall.now, m.recall.key, m.asked = it, k, e
	s := &m.scene
	s.now, s.key, s.scratch, s.prev = it, k, s.scratch[:0], nil
	if m.p.usesPrev {
		s.prev = m.host.history().prev(m.p, k)
	}
	if !m.p.allows(s) {
		return
	}
	h := hit{grouping: int(e.grouping), key: k, time: it.time, id: it.id, count: e.count, about: it.about}
	var ids [maxEvidence]eventID
	n := maxEvidence
	for one := e.latest; one != nil && n > 0; one = one.older {
		n--
		ids[n] = one.id
	}
	h.evidence = ids[n:]
	if m.p.title != nil {
		h.title = m.p.title(s)
	}
	m.host.hit(m.p, &h)
}

// aggregate is scene.aggregate: count() is the number of open sessions.
func (m *sessionMachine) aggregate(n int) value {
	for i, one := range m.distinct {
		if one == n {
			return value{kind: number, number: float64(m.asked.distinct[i])}
		}
	}
	if a := &m.p.aggregates[n]; a.kind == rules.Count && a.bit == 0 {
		return value{kind: number, number: float64(m.asked.count)}
	}
	return m.recall.aggregate(n)
}

// remember lets the long memory know of an open event.
func (m *sessionMachine) remember(k *key, it *item) {
	if len(m.memory) > 0 {
		m.recall.now, m.recall.key = it, *k
		m.recall.feed(m.memory, true)
	}
	if m.p.usesPrev && m.p.mayPrecede(it) {
		m.host.history().setPrev(m.p, *k, m.p.precedingMemo(it))
	}
}

// describe implements machine.
func (m *sessionMachine) describe(grouping int, k key) []string {
	e := m.table.find(k.hash)
	if e == nil || e.count == 0 || int(e.grouping) != grouping {
		return nil
	}
	plural := "s"
	if e.count == 1 {
		plural = ""
	}
	text := fmt.Sprintf("%d session%s open, the latest event at %s", e.count, plural, e.latest.last)
	if m.idle > 0 {
		text += fmt.Sprintf(", idle from %s", e.latest.last+m.idle)
	}
	for i := range m.distinct {
		text += fmt.Sprintf("; %d different values", e.distinct[i])
	}
	return []string{text}
}
