package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/store"
)

func queryCommand() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query [QUESTION]",
		Short: "Ask the embedded store",
		Long: `query shows the records of the embedded store that match: words of the form FIELD=VALUE (also != < <= > >= and ~ for "contains"),
all of which have to hold, and since= and until= with a time, a date, or a length before now. Fields go by their names
(docs/fields.md) or by what people call them: user, ip, action, outcome, host. It may run beside the agent.`,
		Example: `  gatebook query 'action=login outcome=failure since=-24h'
  gatebook query --store ./data/store --output json 'ip=203.0.113.9' | jq .message
  gatebook query 'user=root source.ip!=null since=2026-11-01 until=2026-11-08'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, strings.Join(args, " "))
		},
	}
	f := cmd.Flags()
	configFlag(cmd, &o.config)
	f.StringVar(&o.store, "store", "", "folder of the store, in place of the config's")
	f.StringVarP(&o.output, "output", "o", "table", "table, json or csv")
	f.IntVarP(&o.limit, "limit", "n", 100, "most records to show; 0 for all")
	f.StringVar(&o.now, "now", "", "RFC 3339 time that since=-24h counts from (default: now)")
	f.BoolVar(&o.count, "count", false, "show only how many there are")
	return cmd
}

type queryOptions struct {
	config, store, output, now string
	limit                      int
	count                      bool
}

func ask(cmd *cobra.Command, o queryOptions, question string) error {
	write, ok := map[string]func(io.Writer) recordWriter{"table": newTable, "json": newJSON, "csv": newCSV}[o.output]
	if !ok {
		return usageError{fmt.Errorf("--output %q: want table, json or csv", o.output)}
	}
	now := time.Now()
	if o.now != "" {
		var err error
		if now, err = time.Parse(time.RFC3339, o.now); err != nil {
			return usageError{fmt.Errorf("--now: %w", err)}
		}
	}
	loc := time.Local
	if o.store == "" {
		c, err := loadConfig(cmd, o.config, agent.LoadOptions{Logger: logger(cmd), SkipRules: true})
		if err != nil {
			return err
		}
		o.store, loc = filepath.Join(c.DataDir, outputs.StoreDir), c.Location
	}
	where, err := query.ParseSimple(question, now, loc)
	if err != nil {
		if at := (*query.SyntaxError)(nil); errors.As(err, &at) {
			fmt.Fprintln(cmd.ErrOrStderr(), printableLines(at.Caret()))
		}
		return usageError{err}
	}
	s, err := store.Open(store.Options{Dir: o.store, ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if o.count {
		n, err := s.Count(cmd.Context(), where, store.QueryOptions{})
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), n)
		return nil
	}
	w := write(cmd.OutOrStdout())
	n := 0
	for doc, err := range s.Query(cmd.Context(), where, store.QueryOptions{Limit: o.limit}) {
		if err != nil {
			return err
		}
		if err := w.record(doc); err != nil {
			return err
		}
		n++
	}
	if err := w.end(); err != nil {
		return err
	}
	if o.limit > 0 && n == o.limit {
		fmt.Fprintf(cmd.ErrOrStderr(), "the newest %d are shown; --limit shows more\n", n)
	}
	return nil
}

// recordWriter shows records in one form.
type recordWriter interface {
	record(doc []byte) error
	end() error
}

// columns of the forms that have columns.
var queryColumns = []event.FieldID{event.FieldTimestamp, event.FieldHostName, event.FieldEventAction, event.FieldEventOutcome,
	event.FieldUserName, event.FieldSourceIp, event.FieldSourceGeoCountryIsoCode, event.FieldEventReason, event.FieldMessage}

var queryTitles = []string{"TIME", "HOST", "ACTION", "OUTCOME", "USER", "ADDRESS", "IN", "REASON", "MESSAGE"}

type tableWriter struct {
	w  *tabwriter.Writer
	ev event.Event
	n  int
}

func newTable(w io.Writer) recordWriter {
	return &tableWriter{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

func (t *tableWriter) record(doc []byte) error {
	if t.n++; t.n == 1 {
		fmt.Fprintln(t.w, strings.Join(queryTitles, "\t"))
	}
	cells, err := cellsOf(doc, &t.ev)
	if err != nil {
		return err
	}
	for i, c := range cells {
		limit := 32
		if i == len(cells)-1 {
			limit = 100
		}
		cells[i] = printable(c, limit)
	}
	_, err = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	return err
}

func (t *tableWriter) end() error {
	if t.n == 0 {
		fmt.Fprintln(t.w, "nothing matches")
	}
	return t.w.Flush()
}

func cellsOf(doc []byte, ev *event.Event) ([]string, error) {
	if err := event.FromJSON(doc, ev); err != nil {
		return nil, err
	}
	cells := make([]string, len(queryColumns))
	for i, id := range queryColumns {
		cells[i] = ev.Get(id).Text()
	}
	return cells, nil
}

// printable makes a text safe for a terminal: what a log line says must not steer it.
func printable(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > limit {
			b.WriteString("…")
			break
		}
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			r = '\ufffd'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// printableLines is printable line by line.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = printable(l, 1000)
	}
	return strings.Join(lines, "\n")
}

type jsonWriter struct{ w io.Writer }

func newJSON(w io.Writer) recordWriter { return jsonWriter{w} }

func (j jsonWriter) record(doc []byte) error {
	_, err := j.w.Write(append(doc[:len(doc):len(doc)], '\n'))
	return err
}

func (j jsonWriter) end() error { return nil }

type csvWriter struct {
	w  *csv.Writer
	ev event.Event
}

func newCSV(w io.Writer) recordWriter {
	c := &csvWriter{w: csv.NewWriter(w)}
	var names []string
	for _, id := range queryColumns {
		names = append(names, id.Info().Name)
	}
	_ = c.w.Write(names) // an error stays with the writer and comes out of end
	return c
}

func (c *csvWriter) record(doc []byte) error {
	cells, err := cellsOf(doc, &c.ev)
	if err != nil {
		return err
	}
	for i, s := range cells {
		// A spreadsheet would run what begins like a formula.
		if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			cells[i] = "'" + s
		}
	}
	return c.w.Write(cells)
}

func (c *csvWriter) end() error {
	c.w.Flush()
	return c.w.Error()
}
