package outputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/store"
)

// StoreDir is the folder of the embedded store within data_dir.
const StoreDir = "store"

// newStore reads
//
//	output "store" "local" {
//	  retention = { default = "365d", "auth_service.audit" = "7y" }
//	}
func newStore(label string, body *conf.Body, env Env) (Output, Params) {
	p := Params{Workers: 1, BatchBytes: 2 << 20, BatchItems: 1000, Typed: true, Idempotent: true}
	o := store.Options{Dir: filepath.Join(env.DataDir, StoreDir), Logger: env.Logger}
	o.Retention, o.ByDataset = readRetention(body, nil)
	return &storeOutput{options: o, log: env.Logger.With("output", label, "kind", "store")}, p
}

// storeOutput hands batches to the store, decoded. The store passes over what it has already, by the id, so that what is sent
// again after a crash is there once: nothing of it has to agree with the log's cursor.
type storeOutput struct {
	options store.Options
	log     *slog.Logger
	store   atomic.Pointer[store.Store]

	items []store.Item
	evs   []event.Event
}

// StoreOf returns the store behind a store output, nil before it is open or where o is another output.
func StoreOf(o Output) *store.Store {
	if s, ok := o.(*storeOutput); ok {
		return s.store.Load()
	}
	return nil
}

// Start opens the store.
func (o *storeOutput) Start(context.Context) error {
	if o.store.Load() != nil {
		return nil
	}
	s, err := store.Open(o.options)
	if err != nil {
		return storeTrouble("open store", err)
	}
	o.store.Store(s)
	return nil
}

func storeTrouble(what string, err error) error {
	e := &RequestError{Host: "store", Err: fmt.Errorf("%s: %w", what, err)}
	switch {
	case errors.Is(err, store.ErrFull):
		e.Remedy = "free space on the disk of data_dir"
	case errors.Is(err, store.ErrLocked), errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewer):
		e.Hold = true // the text of these says what to do
	}
	return e
}

// Write appends a batch in one transaction.
func (o *storeOutput) Write(ctx context.Context, b *Batch) error {
	if cap(o.evs) < b.Len {
		o.evs = make([]event.Event, b.Len)
	}
	o.items = o.items[:0]
	for k := range b.Parts {
		p := &b.Parts[k]
		items, err := p.Items()
		if err != nil {
			return err
		}
		var dec event.Decoder
		dec.Reset(p.Typed)
		for i := range p.Ends {
			item := p.Item(items, i)
			e := &o.evs[len(o.items)]
			if err := dec.Next(item, e); err != nil {
				e.Reset() // the document is kept all the same
				e.ID = string(IDOf(item))
			}
			o.items = append(o.items, store.Item{Doc: event.Document(item), Event: e})
		}
	}
	if err := o.store.Load().Append(ctx, o.items); err != nil {
		return storeTrouble("write store", err)
	}
	return nil
}

// Close closes the store.
func (o *storeOutput) Close() error {
	if s := o.store.Swap(nil); s != nil {
		return s.Close()
	}
	return nil
}
