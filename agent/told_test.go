package agent

import (
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/rules/engine"
)

// toldDisk keeps the blobs of a state.
type toldDisk struct {
	engine.Disk
	blobs map[string][]byte
}

func (d *toldDisk) Load() (uint64, map[string][]byte, error) { return 7, d.blobs, nil }

func (d *toldDisk) Commit(c engine.Commit) error {
	d.blobs = c.Blobs
	return nil
}

// What the log has and was not made again goes on with the state, until it is made again, or cannot be any more.
func TestToldAlertsAreKept(t *testing.T) {
	disk := &toldDisk{}
	first := &toldAlerts{Disk: disk, ids: recordIDs{}}
	for _, id := range []string{"alert-b-1", "alert-a-1", "alert-a-2"} {
		first.add(id)
	}
	if !first.ids.take("alert-a-1") || first.ids.take("alert-a-1") || first.ids.take("alert-c-1") {
		t.Error("a record is known once")
	}
	if err := first.Commit(engine.Commit{Blobs: map[string][]byte{"engine": {1}}}); err != nil {
		t.Fatal(err)
	}
	next := &toldAlerts{Disk: disk, ids: recordIDs{}, end: buffer.Pos{Segment: 2}}
	cursor, blobs, err := next.Load()
	if err != nil || cursor != 7 || len(blobs) != 1 {
		t.Fatalf("cursor %d, %d blobs, error %v", cursor, len(blobs), err)
	}
	if len(next.ids) != 2 || !next.ids.take("alert-a-2") {
		t.Errorf("kept: %v", next.ids)
	}
	now := time.Unix(0, 0)
	next.came(buffer.Pos{Segment: 1}, now)
	next.came(buffer.Pos{Segment: 1}, now.Add(time.Hour))
	next.came(buffer.Pos{Segment: 2}, now.Add(2*time.Hour)) // all was read again
	if len(next.ids) != 1 {
		t.Error("forgotten before what is in the log was read again")
	}
	next.came(buffer.Pos{Segment: 3}, now.Add(3*time.Hour))
	if len(next.ids) != 0 {
		t.Error("not forgotten")
	}
	if err := next.Commit(engine.Commit{}); err != nil || disk.blobs[toldBlob] != nil {
		t.Errorf("nothing to keep: %q, error %v", disk.blobs[toldBlob], err)
	}
}
