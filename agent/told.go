package agent

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/rules/engine"
)

// toldAlerts are the ids of alert records that the log has and the engine, which reads again what came after its snapshot, has yet to make again. They are
// kept with the snapshot: one may be written after the events were read again and before time has moved so far that their alerts are made, and then the
// reader's place is behind the records.
type toldAlerts struct {
	engine.Disk
	ids    recordIDs
	end    buffer.Pos // of what was in the log at the start
	reread time.Time  // when the rules had come so far; zero before
}

const (
	toldBlob   = "told"
	mostTold   = 100_000
	forgetTold = 10 * time.Minute // after all was read again; what was not made again by then never will be, as rules have changed
)

// Load takes the ids out of the state.
func (t *toldAlerts) Load() (cursor uint64, blobs map[string][]byte, err error) {
	cursor, blobs, err = t.Disk.Load()
	for id := range bytes.Lines(blobs[toldBlob]) {
		t.add(string(bytes.TrimSuffix(id, []byte("\n"))))
	}
	delete(blobs, toldBlob)
	return cursor, blobs, err
}

// Commit puts them in.
func (t *toldAlerts) Commit(c engine.Commit) error {
	c.Blobs = maps.Clone(c.Blobs)
	if c.Blobs == nil {
		c.Blobs = map[string][]byte{}
	}
	c.Blobs[toldBlob] = nil
	if len(t.ids) > 0 {
		var b bytes.Buffer
		for _, id := range slices.Sorted(maps.Keys(t.ids)) {
			b.WriteString(id)
			b.WriteByte('\n')
		}
		c.Blobs[toldBlob] = b.Bytes()
	}
	return t.Disk.Commit(c)
}

// add notes a record that the log has. Beyond mostTold it may be told twice.
func (t *toldAlerts) add(id string) {
	if len(t.ids) < mostTold {
		t.ids.add(id)
	}
}

// recordIDs are ids of alert records that a log has.
type recordIDs map[string]struct{}

func (r recordIDs) add(id string) { r[id] = struct{}{} }

// take tells, once, whether the log has a record.
func (r recordIDs) take(id string) bool {
	_, ok := r[id]
	delete(r, id)
	return ok
}

// came tells how far the rules have come.
func (t *toldAlerts) came(p buffer.Pos, now time.Time) {
	switch {
	case len(t.ids) == 0 || cursorOf(p) < cursorOf(t.end):
	case t.reread.IsZero():
		t.reread = now
	case now.Sub(t.reread) > forgetTold:
		clear(t.ids)
	}
}
