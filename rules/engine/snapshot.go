package engine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/gatebook/gatebook/rules"
)

// The state on disk is one blob for the engine and one for each rule, named by the number of its meaning, so that a rule that did not change finds its own
// again. All of them, and the rows of the history, are written in one transaction with the cursor.
const (
	engineBlob      = "engine"
	ruleBlob        = "rule:"
	snapshotVersion = 1
)

func blobName(number uint64) string { return ruleBlob + strconv.FormatUint(number, 16) }

// Snapshot writes the state to the Disk: what comes after cursor is to be added again after a restart. Rules whose state did not change are not
// written again.
func (e *Engine) Snapshot(cursor uint64) error {
	if e.options.Disk == nil {
		return nil
	}
	blobs := map[string][]byte{engineBlob: e.save()}
	for _, x := range e.runs {
		if x.dirty {
			w := &writer{}
			x.machine.save(w)
			blobs[blobName(x.number)] = w.b
		}
	}
	for _, name := range e.stale {
		blobs[name] = nil
	}
	if err := e.options.Disk.Commit(Commit{Cursor: cursor, Blobs: blobs, Rows: e.memory.dirty(), Now: e.order.watermark.Std().Unix()}); err != nil {
		return fmt.Errorf("write the state of the rules: %w", err)
	}
	e.memory.committed()
	e.stale = nil
	for _, x := range e.runs {
		x.dirty = false
	}
	return nil
}

// Cursor is what the snapshot that the engine began with was told; 0 where there was none.
func (e *Engine) Cursor() uint64 { return e.cursor }

// restore goes on from what the disk has kept. A blob that cannot be read is told, and its rule starts anew.
func (e *Engine) restore() error {
	cursor, blobs, err := e.options.Disk.Load()
	if err != nil {
		return fmt.Errorf("read the state of the rules: %w", err)
	}
	e.cursor = cursor
	blob := blobs[engineBlob]
	if blob == nil {
		return nil
	}
	if !e.goOn(blob) {
		return nil
	}
	for name, blob := range blobs {
		if name == engineBlob {
			continue
		}
		x := e.runOf(name)
		if x == nil {
			e.stale = append(e.stale, name)
			continue
		}
		r := &reader{b: blob}
		if err := x.machine.load(r); err != nil {
			e.options.Tell(Notice{Kind: "state-unreadable", Rule: x.rule.ID, Message: "the state of the rule cannot be read; it starts anew: " + err.Error()})
		} else if x.timed {
			e.sooner(x.machine.due(0))
		}
	}
	slices.Sort(e.stale)
	return nil
}

// goOn reads the engine's own blob. Where it cannot, it tells, and all rules start anew, because ids in their blobs mean nothing without it. The history stays.
func (e *Engine) goOn(blob []byte) bool {
	err := e.load(&reader{b: blob})
	if err == nil {
		return true
	}
	e.options.Tell(Notice{Kind: "state-unreadable", Message: "the state of the rules cannot be read; they start anew: " + err.Error()})
	e.names = newIDs()
	e.memory.ids, e.order = e.names, reorder{names: e.names}
	e.clock = clock{}
	e.clock.init(e.options)
	e.episodes.init(e)
	return false
}

func (e *Engine) runOf(blob string) *run {
	for _, x := range e.runs {
		if blobName(x.number) == blob {
			return x
		}
	}
	return nil
}

func (e *Engine) save() []byte {
	w := &writer{}
	w.uint(snapshotVersion)
	e.names.save(w)
	e.clock.save(w)
	w.time(e.order.watermark)
	w.time(e.order.released)
	w.id(e.order.releasedID)
	w.uint(uint64(len(e.runs)))
	for _, x := range e.runs {
		w.fixed(x.number)
		w.time(x.began)
		x.recent.save(w)
	}
	w.uint(uint64(len(e.order.heap)))
	for _, it := range e.order.heap {
		it.save(w)
	}
	all := make([]*episode, 0, len(e.episodes.open))
	for _, ep := range e.episodes.open {
		all = append(all, ep)
	}
	slices.SortFunc(all, compareEpisodes)
	w.uint(uint64(len(all)))
	for _, ep := range all {
		ep.save(w)
	}
	return w.b
}

func (e *Engine) load(r *reader) error {
	if v := r.uint(); v != snapshotVersion {
		return fmt.Errorf("it is of version %d, and this program reads version %d", v, snapshotVersion)
	}
	e.names.load(r)
	e.clock.load(r)
	e.order.watermark, e.order.released, e.order.releasedID = r.time(), r.time(), r.id()
	for range r.count() {
		number, began := r.fixed(), r.time()
		var recent recentIDs
		recent.load(r)
		if x := e.byNumber[number]; x != nil {
			x.began, x.recent = began, recent
		}
	}
	for range r.count() {
		w := &waiting{}
		if number := w.load(r); r.err == nil && e.byNumber[number] != nil {
			w.run = e.byNumber[number]
			e.order.enter(w)
		}
	}
	for range r.count() {
		if ep := loadEpisode(r, e); ep != nil && r.err == nil {
			e.episodes.open[ep.episodeKey] = ep
			e.episodes.size += episodeBytes + int64(len(ep.key.text))
			e.episodes.schedule(ep)
		}
	}
	return r.err
}

func (t *ids) save(w *writer) {
	w.uint(uint64(len(t.epochs)))
	for _, s := range t.epochs {
		w.text(s)
	}
	w.uint(t.next)
	w.uint(uint64(len(t.foreign)))
	for id, s := range t.foreign {
		w.id(id)
		w.text(s)
	}
}

func (t *ids) load(r *reader) {
	n := r.count()
	t.epochs = t.epochs[:0]
	for i := range n {
		s := r.text()
		t.epochs = append(t.epochs, s)
		if i > 0 {
			t.byEpoch[s] = i
		}
	}
	if n == 0 {
		r.fail()
	}
	t.next = r.uint()
	for range r.count() {
		id, s := r.id(), r.text()
		t.foreign[id], t.number[s] = s, id
		t.size += foreignBytes(s)
	}
}

func (c *clock) save(w *writer) {
	w.time(c.mark)
	w.time(c.latest)
	w.time(c.farthest)
	w.uint(uint64(len(c.sources)))
	for name, s := range c.sources {
		w.text(name.agent)
		w.text(name.place)
		w.time(s.latest)
	}
}

// load makes the sources that were known before; the clock says when they were heard of last: now.
func (c *clock) load(r *reader) {
	c.mark, c.latest, c.farthest = r.time(), r.time(), r.time()
	for range r.count() {
		name := sourceName{r.text(), r.text()}
		c.sources[name] = &source{name: name, latest: r.time()}
	}
}

func (w *waiting) save(to *writer) {
	to.fixed(w.run.number)
	to.time(w.time)
	to.id(w.id)
	to.int(w.weight)
	to.fixed(w.bits)
	to.values(w.values)
	to.uint(uint64(len(w.keys)))
	for _, k := range w.keys {
		to.key(k)
	}
	to.about(w.about)
}

func (w *waiting) load(r *reader) (number uint64) {
	number = r.fixed()
	w.time, w.id, w.weight, w.bits, w.values = r.time(), r.id(), r.int(), r.fixed(), r.values()
	w.keys = make([]key, r.count())
	for i := range w.keys {
		w.keys[i] = r.key()
	}
	w.about = r.about()
	w.measure()
	return number
}

func (w *writer) hit(h *hit) {
	w.uint(uint64(h.grouping))
	w.key(h.key)
	w.time(h.time)
	w.id(h.id)
	w.uint(uint64(len(h.evidence)))
	for _, id := range h.evidence {
		w.id(id)
	}
	w.int(h.count)
	w.text(h.title)
	w.about(h.about)
	w.values(h.values)
}

func (r *reader) hit() hit {
	h := hit{grouping: int(r.uint()), key: r.key(), time: r.time(), id: r.id()}
	for range r.count() {
		h.evidence = append(h.evidence, r.id())
	}
	h.count, h.title, h.about, h.values = r.int(), r.text(), r.about(), r.values()
	return h
}

func (w *writer) told(t *told) {
	w.bool(t != nil)
	if t != nil {
		w.text(t.id)
		w.int(t.revision)
		w.int(t.hits)
		w.bool(t.shadow)
	}
}

func (r *reader) told() *told {
	if !r.bool() {
		return nil
	}
	return &told{id: r.text(), revision: r.int(), hits: r.int(), shadow: r.bool()}
}

func (ep *episode) save(w *writer) {
	w.fixed(ep.program)
	w.key(ep.key)
	w.uint(uint64(ep.area))
	w.time(ep.first)
	w.time(ep.last)
	w.int(ep.hits)
	w.hit(&ep.latest)
	w.told(ep.told)
	w.uint(uint64(len(ep.ahead)))
	for i := range ep.ahead {
		a := &ep.ahead[i]
		w.time(a.end)
		w.time(a.first)
		w.time(a.last)
		w.int(a.hits)
		w.hit(&a.latest)
		w.told(a.told)
	}
}

// loadEpisode reads an episode; nil where its rule is gone.
func loadEpisode(r *reader, e *Engine) *episode {
	ep := &episode{at: -1}
	ep.program = r.fixed()
	ep.key = r.key()
	ep.episodeKey.key = ep.key.hash
	ep.area, ep.first, ep.last, ep.hits, ep.latest, ep.told = int(r.uint()), r.time(), r.time(), r.int(), r.hit(), r.told()
	for range r.count() {
		ep.ahead = append(ep.ahead, stretch{end: r.time(), first: r.time(), last: r.time(), hits: r.int(), latest: r.hit(), told: r.told()})
	}
	if ep.run = e.byNumber[ep.program]; ep.run == nil {
		return nil
	}
	return ep
}

// Reload puts other rules in place. Rules whose meaning did not change keep their state; the alerts of those that are gone are closed. Where it fails
// the engine goes on as it was.
func (e *Engine) Reload(set *rules.Set) error {
	next, err := e.build(set)
	if err != nil {
		return err
	}
	for _, x := range next.runs {
		old := e.byNumber[x.number]
		if old == nil {
			continue
		}
		w := &writer{}
		old.machine.save(w)
		if err := x.machine.load(&reader{b: w.b}); err != nil {
			return fmt.Errorf("hand over the state of rule %s: %w", x.rule.ID, err)
		}
		x.began, x.recent, x.stats, x.dirty = old.began, old.recent, old.stats, true
	}
	e.episodes.closeAll(func(ep *episode) bool { return next.byNumber[ep.program] == nil })
	for _, x := range e.runs {
		if next.byNumber[x.number] == nil {
			e.stale = append(e.stale, blobName(x.number))
		}
	}
	e.ready = next
	for _, ep := range e.episodes.open {
		ep.run = e.byNumber[ep.program]
	}
	waiting := e.order.heap
	e.order.heap, e.order.size = nil, 0
	for _, w := range waiting {
		if x := e.byNumber[w.run.number]; x != nil {
			w.run = x
			e.order.enter(w)
		}
	}
	e.nextDue = 0
	for _, x := range e.runs {
		if x.timed {
			e.sooner(x.machine.due(0))
		}
	}
	return nil
}
