package outputs

import (
	"context"
	"fmt"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Store is what the store output needs of the embedded store.
type Store interface {
	// Append writes items in one transaction, each once, however often it is given: the id tells. Nothing is kept.
	Append(ctx context.Context, items []StoreItem) error
	Close() error
}

// StoreItem is one record: the event for the columns, the document as it is. Both are valid during the call only.
type StoreItem struct {
	Event    *event.Event
	Document []byte
}

// newStore reads
//
//	output "store" "local" {
//	  retention = { default = "365d" }   # read by the store
//	}
func newStore(_ string, body *conf.Body, env Env) (Output, Params) {
	p := Params{Workers: 1, BatchBytes: 1 << 20, BatchItems: 5000, Typed: true, Idempotent: true}
	if env.OpenStore == nil {
		body.Errorf("", "%v", errNoStore)
		return nil, p
	}
	s, err := env.OpenStore(body)
	if err != nil {
		body.Errorf("", "%v", err)
		return nil, p
	}
	if s == nil {
		return nil, p
	}
	return &storeOutput{store: s}, p
}

// storeOutput hands batches to the store, decoded.
type storeOutput struct {
	store Store
	items []StoreItem
	evs   []event.Event
}

// Write appends a batch in one transaction.
func (o *storeOutput) Write(ctx context.Context, b *Batch) error {
	o.items = o.items[:0]
	for len(o.evs) < b.Len {
		o.evs = append(o.evs, event.Event{})
	}
	n := 0
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
			e := &o.evs[n]
			if err := dec.Next(item, e); err != nil {
				e.Reset()
			}
			o.items = append(o.items, StoreItem{e, event.Document(item)})
			n++
		}
	}
	if err := o.store.Append(ctx, o.items); err != nil {
		return &RequestError{Host: "store", Err: fmt.Errorf("write store: %w", err)}
	}
	return nil
}

// Close closes the store.
func (o *storeOutput) Close() error { return o.store.Close() }
