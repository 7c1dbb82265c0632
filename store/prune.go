package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

const (
	pruneRows  = 2000 // of one step: a batch waits a few milliseconds at most
	prunePages = 64   // given back to the file system in one step
)

// Prune deletes what is older than its retention and gives the space back, in small steps between which Append comes through.
// It returns how many events went.
func (s *Store) Prune(ctx context.Context) (int64, error) {
	now, total := s.options.Now(), int64(0)
	short := slices.Sorted(maps.Keys(s.options.ByDataset))
	all := make([]string, len(short))
	for i, d := range short {
		all[i] = fullDataset(d)
		n, err := s.pruneWhere(ctx, "event_dataset = ?", []string{all[i]}, now.Add(-s.options.ByDataset[d]))
		total += n
		if err != nil {
			return total, err
		}
	}
	others := "1"
	if len(all) > 0 {
		others = "coalesce(event_dataset, '') NOT IN (?" + strings.Repeat(",?", len(all)-1) + ")"
	}
	n, err := s.pruneWhere(ctx, others, all, now.Add(-s.options.Retention))
	total += n
	if err == nil && total > 0 {
		s.options.Logger.Info("events past their retention deleted", "count", total)
		err = s.giveBack(ctx)
	}
	return total, err
}

func fullDataset(short string) string {
	if strings.HasPrefix(short, event.DatasetPrefix) {
		return short
	}
	return event.DatasetPrefix + short
}

func (s *Store) pruneWhere(ctx context.Context, where string, datasets []string, before time.Time) (total int64, err error) {
	text := "DELETE FROM event WHERE id IN (SELECT id FROM event INDEXED BY event_time WHERE timestamp < ? AND " + where + " LIMIT ?)"
	args := []driver.NamedValue{{Ordinal: 1, Value: before.UnixNano()}}
	for _, d := range datasets {
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: d})
	}
	args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: int64(pruneRows)})
	for {
		n, err := s.step(ctx, text, args)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// step runs one statement of its own transaction, within the writer's lock.
func (s *Store) step(ctx context.Context, text string, args []driver.NamedValue) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == nil {
		return 0, fmt.Errorf("prune store %s: %w", s.options.Dir, errNotWritable)
	}
	result, err := s.writer.conn.(driver.ExecerContext).ExecContext(context.Background(), text, args)
	if err != nil {
		return 0, fmt.Errorf("prune store %s: %w", s.options.Dir, explain(err, s.path))
	}
	return result.RowsAffected()
}

// giveBack shortens the file by its free pages.
func (s *Store) giveBack(ctx context.Context) error {
	for {
		var free int64
		if err := s.readers.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
			return s.queryError(err)
		}
		if free < prunePages { // new events take those
			return nil
		}
		if _, err := s.step(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", prunePages), nil); err != nil {
			return err
		}
		var left int64
		if err := s.readers.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&left); err != nil {
			return s.queryError(err)
		}
		if left >= free {
			return nil // a reader holds the pages
		}
	}
}

// shown renders a value of a column.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		if a, ok := netip.AddrFromSlice(v); ok {
			return a.String()
		}
	}
	return fmt.Sprint(v)
}
