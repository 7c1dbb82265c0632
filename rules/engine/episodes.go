package engine

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// episodes folds hits into alerts.
//
//	hit of a monotone rule -> told at once (open) where no hit near it was -> stretch, until the watermark has passed it -.
//	hit of an ordered rule, whose turn it is ----------------------------------------------------------------------> fold -> close
//
// An episode is a run of hits of one key that are no further apart than quiet, of reopen at most. Folding goes in the order of time, behind the
// watermark, so that what an episode is in the end does not depend on the order in which events came; telling goes ahead of it. Where the two disagree (an
// event that came late joined two alerts that were told) the one that has no episode of its own is closed as merged.
type episodes struct {
	e    *Engine
	open map[episodeKey]*episode
	due  dueEpisodes
	size int64
}

type episodeKey struct {
	program uint64
	key     hash
}

// episode is what is open for one key of one rule.
type episode struct {
	episodeKey
	run  *run
	key  key
	area int // grouping

	// What was folded; hits is 0 where nothing was yet.
	first, last event.Time
	hits        int64
	latest      hit // its evidence is that of the whole episode
	told        *told

	ahead []stretch // what the watermark has not passed, by time
	due   event.Time
	at    int // in the heap; -1: not there
}

// stretch is the hits of a monotone rule within one piece of time: a minute, or quiet where that is shorter.
type stretch struct {
	end         event.Time // of the piece of time: once the watermark has passed it, it is folded
	first, last event.Time
	hits        int64
	latest      hit   // the last by time and id
	told        *told // the alert that its first hit opened; nil: it belonged to another
}

// told is an alert that was told.
type told struct {
	id       string
	revision int64
	hits     int64 // at the latest telling
	shadow   bool
}

const (
	reopen        = event.Time(24 * time.Hour) // an episode lasts no longer
	stretchLength = event.Time(time.Minute)
	growth        = 4 // an alert is told again when it holds so many times as many hits
	episodeBytes  = 900
)

func (s *episodes) init(e *Engine) { s.e, s.open = e, map[episodeKey]*episode{} }

// hit is what machines call.
func (e *Engine) hit(p *program, h *hit) {
	x := p.run
	x.stats.Hits++
	if e.watchHit != nil {
		e.watchHit(x, h)
	}
	if e.now != nil && h.id == e.nowID { // of a monotone rule, whose items carry no about
		h.about = aboutOf(e.now)
	}
	e.episodes.add(x, h)
}

func (s *episodes) add(x *run, h *hit) {
	k := episodeKey{x.number, h.key.hash}
	ep := s.open[k]
	if ep == nil {
		ep = &episode{episodeKey: k, run: x, area: h.grouping, key: h.key, at: -1}
		ep.key.text = strings.Clone(h.key.text)
		s.open[k] = ep
		s.size += episodeBytes + int64(len(ep.key.text))
	}
	if x.ordered || h.time < s.e.order.watermark {
		s.fold(ep, &stretch{first: h.time, last: h.time, hits: 1, latest: h.kept()})
	} else {
		s.foresee(ep, h)
	}
	s.schedule(ep)
}

// kept is a copy whose texts and lists are its own.
func (h *hit) kept() hit {
	k := *h
	k.evidence = slices.Clone(h.evidence)
	k.title = strings.Clone(h.title)
	k.key.text = strings.Clone(h.key.text)
	k.about.eachText(func(s *string) { *s = strings.Clone(*s) })
	k.values = slices.Clone(h.values)
	for i := range k.values {
		k.values[i].text = strings.Clone(k.values[i].text)
	}
	return k
}

// foresee takes a hit that the watermark has not passed, and tells of it where nothing near it was told of.
func (s *episodes) foresee(ep *episode, h *hit) {
	end := h.time
	if length := min(stretchLength, event.Time(ep.run.rule.Quiet)); length > 0 {
		end += length - 1 - h.time%length
	}
	i, found := slices.BinarySearchFunc(ep.ahead, end, func(a stretch, end event.Time) int { return cmp.Compare(a.end, end) })
	if found {
		a := &ep.ahead[i]
		a.hits++
		a.first = min(a.first, h.time)
		if s.e.names.before(a.latest.time, a.latest.id, h.time, h.id) {
			a.last, a.latest = h.time, h.kept()
		}
	} else {
		a := stretch{end: end, first: h.time, last: h.time, hits: 1, latest: h.kept()}
		if !s.near(ep, i, h.time) {
			a.told = s.tell(ep, &a.latest)
		}
		ep.ahead = slices.Insert(ep.ahead, i, a)
	}
	s.grown(ep)
}

// near tells whether a hit that would stand at ahead[i] belongs to what has been told.
func (s *episodes) near(ep *episode, i int, t event.Time) bool {
	quiet := event.Time(ep.run.rule.Quiet)
	if i < len(ep.ahead) && ep.ahead[i].first-t <= quiet {
		return true
	}
	if i > 0 {
		return t-ep.ahead[i-1].last <= quiet
	}
	return ep.hits > 0 && t-ep.last <= quiet && t-ep.first < reopen
}

// tell opens an alert.
func (s *episodes) tell(ep *episode, h *hit) *told {
	first := s.e.names.text(h.id)
	if h.id == 0 { // a deadline that no event led to
		first = h.time.String()
	}
	d := sha256.New()
	for _, part := range [...]string{s.e.options.Installation, ep.run.rule.ID, byText(ep.run.rule, ep.area), ep.key.text, first} {
		d.Write([]byte(part))
		d.Write([]byte{0})
	}
	t := &told{id: hex.EncodeToString(d.Sum(nil)[:16]), hits: 1,
		shadow: ep.run.rule.Mode == rules.ModeShadow || h.time < ep.run.began+event.Time(ep.run.rule.ShadowFor)}
	s.e.emit(ep, t, StateOpen, h.time, h.time, 1, h)
	return t
}

// grown tells of the latest alert anew when it has grown.
func (s *episodes) grown(ep *episode) {
	t, first, hits := ep.told, ep.first, ep.hits
	for i := range ep.ahead {
		a := &ep.ahead[i]
		if a.told != nil {
			t, first, hits = a.told, a.first, 0
		}
		hits += a.hits
	}
	if last := &ep.ahead[len(ep.ahead)-1]; t != nil && hits >= growth*t.hits {
		t.hits = hits
		s.e.emit(ep, t, StateUpdate, first, last.last, hits, &last.latest)
	}
}

// fold takes hits into the episode, or begins the next one with them. They come in their order, but for those that came late.
func (s *episodes) fold(ep *episode, a *stretch) {
	if ep.hits > 0 && (a.first-ep.last > event.Time(ep.run.rule.Quiet) || a.first-ep.first >= reopen) {
		s.close(ep)
	}
	if m, ok := ep.run.machine.(reviser); ok && !ep.run.ordered {
		m.revise(&a.latest) // with all that has come since
	}
	begins := ep.hits == 0
	if begins {
		ep.first = a.first
		if ep.told = a.told; ep.told == nil {
			ep.told = s.adopt(ep, a)
		}
	} else if a.told != nil && a.told != ep.told {
		s.e.emitMerged(ep, a.told)
	}
	ep.hits += a.hits
	ep.last = max(ep.last, a.last)
	evidence := ep.latest.evidence
	for _, id := range a.latest.evidence {
		if !slices.Contains(evidence, id) {
			evidence = append(evidence, id)
		}
	}
	ep.latest = a.latest
	ep.latest.evidence = evidence[max(0, len(evidence)-maxEvidence):]
	if begins {
		s.e.feed(ep)
	}
	if ep.run.ordered && ep.hits >= growth*ep.told.hits {
		ep.told.hits = ep.hits
		s.e.emit(ep, ep.told, StateUpdate, ep.first, ep.last, ep.hits, &ep.latest)
	}
}

// reviser is a machine that works out a hit of a monotone rule again: evidence, count and title at that event, as they are by now. A hit whose state
// is gone stays as it is.
type reviser interface{ revise(h *hit) }

// adopt finds the alert that was told of the episode that begins: that of one of the next stretches, or a new one.
func (s *episodes) adopt(ep *episode, a *stretch) *told {
	last := a.last
	for i := range ep.ahead {
		p := &ep.ahead[i]
		if p.first-last > event.Time(ep.run.rule.Quiet) || p.first-a.first >= reopen {
			break
		}
		if t := p.told; t != nil {
			p.told = nil
			return t
		}
		last = p.last
	}
	return s.tell(ep, &a.latest)
}

// advance folds what time has passed, and closes what has been quiet.
func (s *episodes) advance(w event.Time) {
	for len(s.due) > 0 && s.due[0].due < w {
		ep := s.due[0]
		heap.Remove(&s.due, 0)
		s.settle(ep, w)
		s.schedule(ep)
	}
}

// settle does with one episode what time allows.
func (s *episodes) settle(ep *episode, w event.Time) {
	for len(ep.ahead) > 0 && ep.ahead[0].end < w {
		a := ep.ahead[0]
		ep.ahead = slices.Delete(ep.ahead, 0, 1)
		s.fold(ep, &a)
	}
	next := w
	if len(ep.ahead) > 0 {
		next = min(next, ep.ahead[0].first)
	}
	if ep.hits > 0 && ep.last+event.Time(ep.run.rule.Quiet) < next {
		s.close(ep)
	}
}

// schedule notes when there is something to do for the episode, or forgets it.
func (s *episodes) schedule(ep *episode) {
	due, end := event.Time(0), ep.last+event.Time(ep.run.rule.Quiet)
	if len(ep.ahead) > 0 {
		due = ep.ahead[0].end
	}
	if ep.hits > 0 && (due == 0 || ep.ahead[0].first > end && end < due) { // else what is ahead goes on with it
		due = end
	}
	switch {
	case due == 0:
		if ep.at >= 0 {
			heap.Remove(&s.due, ep.at)
		}
		if s.open[ep.episodeKey] == ep {
			delete(s.open, ep.episodeKey)
			s.size -= episodeBytes + int64(len(ep.key.text))
		}
	case ep.at < 0:
		ep.due = due
		heap.Push(&s.due, ep)
	default:
		ep.due = due
		heap.Fix(&s.due, ep.at)
	}
}

// close ends the folded episode.
func (s *episodes) close(ep *episode) {
	s.e.emit(ep, ep.told, StateClose, ep.first, ep.last, ep.hits, &ep.latest)
	ep.hits, ep.first, ep.last, ep.told, ep.latest = 0, 0, 0, nil, hit{}
}

// closeAll ends all there is, in the order of time.
func (s *episodes) closeAll(which func(*episode) bool) {
	all := make([]*episode, 0, len(s.open))
	for _, ep := range s.open {
		if which(ep) {
			all = append(all, ep)
		}
	}
	slices.SortFunc(all, compareEpisodes)
	for _, ep := range all {
		for len(ep.ahead) > 0 {
			s.settle(ep, ep.ahead[len(ep.ahead)-1].end+1)
		}
		if ep.hits > 0 {
			s.close(ep)
		}
		s.schedule(ep)
	}
}

func compareEpisodes(a, b *episode) int {
	return cmp.Or(cmp.Compare(a.begin(), b.begin()), strings.Compare(a.run.rule.ID, b.run.rule.ID), cmp.Compare(a.area, b.area),
		strings.Compare(a.key.text, b.key.text))
}

func (ep *episode) begin() event.Time {
	if ep.hits == 0 && len(ep.ahead) > 0 {
		return ep.ahead[0].first
	}
	return ep.first
}

// dueEpisodes is a heap by due.
type dueEpisodes []*episode

func (d dueEpisodes) Len() int { return len(d) }
func (d dueEpisodes) Less(i, j int) bool {
	if d[i].due != d[j].due {
		return d[i].due < d[j].due
	}
	return compareEpisodes(d[i], d[j]) < 0
}
func (d dueEpisodes) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at, d[j].at = i, j
}
func (d *dueEpisodes) Push(x any) {
	ep := x.(*episode)
	ep.at = len(*d)
	*d = append(*d, ep)
}
func (d *dueEpisodes) Pop() any {
	ep := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = nil
	*d = (*d)[:len(*d)-1]
	ep.at = -1
	return ep
}
