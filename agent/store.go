package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/store"
)

// StoreFolder is where the embedded store stands in data_dir.
const StoreFolder = "store"

// pruneEvery is how often the store's retention is looked after.
const pruneEvery = time.Hour

// openStore reads the store's part of an output block. The database itself is opened with the first batch, so that a check of
// the config opens nothing.
func (c *Config) openStore(body *conf.Body) (outputs.Store, error) {
	o := store.Options{Dir: filepath.Join(c.DataDir, StoreFolder), ByDataset: map[string]time.Duration{}}
	for _, kv := range body.Pairs("retention") {
		d, err := conf.ParseDuration(kv.Value)
		switch {
		case err != nil:
			body.Errorf("retention", "%s: %v", kv.Key, err)
		case kv.Key == "default":
			o.Retention = d
		default:
			o.ByDataset[kv.Key] = d
		}
	}
	return &embedded{options: o, logID: c.logID, log: c.log}, nil
}

// embedded is the store as an output sees it.
type embedded struct {
	options store.Options
	logID   string
	log     *slog.Logger

	mu    sync.Mutex
	s     *store.Store
	items []store.Item
	stop  context.CancelFunc
	prune sync.WaitGroup
}

// Append implements outputs.Store.
func (e *embedded) Append(ctx context.Context, batch []outputs.StoreItem) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.open(); err != nil {
		return err
	}
	e.items = e.items[:0]
	for _, i := range batch {
		seq, err := sequenceOf(i.Event.ID)
		if err != nil {
			return err
		}
		e.items = append(e.items, store.Item{Seq: seq, Doc: i.Document, Event: i.Event})
	}
	return e.s.Append(ctx, e.items, e.logID, e.items[len(e.items)-1].Seq)
}

// sequenceOf returns the second half of an event's id.
func sequenceOf(id string) (uint64, error) {
	_, digits, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("store event: its id %q has no sequence", id)
	}
	return n, nil
}

func (e *embedded) open() error {
	if e.s != nil {
		return nil
	}
	s, err := store.Open(e.options)
	if err != nil {
		return err
	}
	e.s = s
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	e.prune.Go(func() {
		tick := time.NewTicker(pruneEvery)
		defer tick.Stop()
		for {
			if n, err := s.Prune(ctx); err != nil && ctx.Err() == nil {
				e.log.Error("events past their retention could not be deleted; tried again in an hour", "error", err)
			} else if n > 0 {
				e.log.Info("events past their retention deleted", "events", n)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return nil
}

// Close implements outputs.Store.
func (e *embedded) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.s == nil {
		return nil
	}
	e.stop()
	e.prune.Wait()
	return e.s.Close()
}
