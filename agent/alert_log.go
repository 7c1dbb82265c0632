package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
)

// alertLog is a small log of alert records alone, for the outputs that notify: each has its cursor there, so that a pager that is down for a week holds back
// no segment of the big log.
type alertLog struct {
	log     *buffer.Log
	encoder *event.Encoder
	event   event.Event
	told    recordIDs // it had when it was opened
}

const (
	alertLogBytes = 128 << 20 // beyond it the oldest records are dropped, and counted
	knownReader   = "known"
)

func openAlertLog(dataDir string, o event.EncoderOptions, log *slog.Logger) (*alertLog, error) {
	l, err := buffer.Open(buffer.Options{Dir: filepath.Join(dataDir, "alerts"), MaxBytes: alertLogBytes, OnFull: buffer.DropOldest,
		SegmentBytes: 4 << 20, CacheBytes: 1 << 20, MaxPending: 1 << 20, Reserve: -1, Logger: log.With("log", "alerts")})
	if err != nil {
		return nil, fmt.Errorf("open the log of alerts: %w", err)
	}
	o.Typed = true
	a := &alertLog{log: l, encoder: event.NewEncoder(o), told: recordIDs{}}
	if err := a.learn(); err != nil {
		return nil, fmt.Errorf("read the log of alerts: %w", err)
	}
	return a, nil
}

// learn notes which records are there. A reader of its own sees all that is kept, what others are done with too.
func (a *alertLog) learn() error {
	r, err := a.log.Reader(knownReader, buffer.ReaderOptions{})
	if err != nil {
		return err
	}
	for ok := true; ok && err == nil; {
		var b *buffer.Block
		if b, ok, err = r.TryNext(); ok {
			err = eachID(b, a.told.add)
			b.Release()
		}
	}
	return errors.Join(err, a.log.DropReader(knownReader))
}

// append appends a record of ours, unless it is there.
func (a *alertLog) append(ctx context.Context, id string, fill func(*event.Event)) error {
	if a.told.take(id) {
		return nil
	}
	b := buffer.NewSmallBlock()
	b.First = a.log.Reserve(1)
	b.Typed = event.AppendTypedHeader(b.Typed)
	a.event.Reset()
	fill(&a.event)
	a.event.Finish()
	b.Docs, b.Typed = a.encoder.AppendItem(b.Docs, b.Typed, &a.event, b.First)
	return a.put(ctx, b)
}

// relay appends a record of another Gatebook, an item as the log has it.
func (a *alertLog) relay(ctx context.Context, id string, item []byte) error {
	if a.told.take(id) {
		return nil
	}
	b := buffer.NewSmallBlock()
	b.First = a.log.Reserve(1)
	b.Docs = append(b.Docs, item...)
	return a.put(ctx, b)
}

func (a *alertLog) put(ctx context.Context, b *buffer.Block) error {
	b.Ends = append(b.Ends, uint32(len(b.Docs)))
	b.Count, b.RawSize = 1, len(b.Docs)
	_, err := a.log.Append(ctx, b)
	return err
}
