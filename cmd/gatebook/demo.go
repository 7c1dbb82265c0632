package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/agent"
	"github.com/gatebook/gatebook/configs"
	"github.com/gatebook/gatebook/enrich/demogeo"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/store"
)

// demoMark is in every folder that demo made: only such a folder is emptied.
const demoMark = "made-by-gatebook-demo"

func demoCommand() *cobra.Command {
	var dir string
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the agent on shipped sample logs",
		Long: `demo runs the real agent on sample logs of a small invented company (Linux logins, a payment portal, a loyalty platform, identity
providers, web servers), with a tiny GeoIP database over documentation networks and the embedded store. It prints what is in them, then keeps writing new lines to the logs and shows
the records that they become, until ctrl-c. Everything is in one folder, config included, for you to look at.`,
		Example: "  gatebook demo\n  gatebook demo --once --dir /tmp/demo",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, dir, once) },
	}
	cmd.Flags().StringVar(&dir, "dir", "gatebook-demo", "folder for logs, config, buffer and store; begun anew at each run")
	cmd.Flags().BoolVar(&once, "once", false, "end after the summary")
	return cmd
}

func runDemo(cmd *cobra.Command, dir string, once bool) error {
	out := cmd.OutOrStdout()
	d, err := prepareDemo(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Gatebook reads %d lines of sample logs in %s ...\n", d.lines, d.logs)
	c, err := loadConfig(cmd, d.config, agent.LoadOptions{Logger: logger(cmd)})
	if err != nil {
		return err
	}
	messages, err := os.Create(filepath.Join(d.dir, "agent.log"))
	if err != nil {
		return err
	}
	defer messages.Close()
	a, err := agent.Open(c, agent.Options{Version: version, Once: once, Logger: textLogger(messages), Stdout: out})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	if once {
		if err := <-ended; err != nil {
			return err
		}
		return errors.Join(d.summary(cmd.Context(), out), d.alerts(cmd.Context(), out))
	}
	if err := d.live(ctx, out, ended); err != nil {
		return err
	}
	stop()
	fmt.Fprintln(out, "\nThe agent drains and ends; what it kept stays in", d.dir)
	return <-ended
}

// demo is the folder of a demo.
type demo struct {
	dir, logs, config, store string
	lines                    int
}

// prepareDemo makes the folder: sample logs, GeoIP database, config.
func prepareDemo(dir string) (*demo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d := &demo{dir: abs, logs: filepath.Join(abs, "logs"), config: filepath.Join(abs, "gatebook.hcl"), store: filepath.Join(abs, "data", outputs.StoreDir)}
	entries, err := os.ReadDir(abs)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(abs, demoMark)); err != nil {
			return nil, fmt.Errorf("%s is not empty and not of an earlier demo; name another folder with --dir", abs)
		}
		if err := os.RemoveAll(abs); err != nil {
			return nil, err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(d.logs, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(abs, demoMark), nil, 0o644); err != nil {
		return nil, err
	}
	for _, sample := range samples {
		b, err := configs.Samples.ReadFile("samples/" + sample.file)
		if err != nil {
			return nil, err
		}
		b = shiftDates(b, samplesEnd, time.Now().UTC().AddDate(0, 0, -1))
		if err := os.WriteFile(filepath.Join(d.logs, sample.file), b, 0o644); err != nil {
			return nil, err
		}
		d.lines += bytes.Count(b, []byte("\n"))
	}
	city, asn, err := demogeo.Write(abs)
	if err != nil {
		return nil, err
	}
	return d, os.WriteFile(d.config, []byte(d.text(city, asn)), 0o644)
}

// samples are the shipped logs: one of each source, with the parser that reads it.
var samples = []struct{ file, input, parser string }{
	{"auth.log", "auth", "linux_auth"},
	{"payment_portal.csv", "portal", "payment_portal"},
	{"activity_log.json", "loyalty", "activity_log"},
	{"user_activity.log", "accounts", "user_activity"},
	{"auth_service.json", "auth-service", "auth_service"},
	{"keycloak.log", "keycloak", "keycloak"},
	{"auth0.json", "auth0", "auth0"},
	{"okta.json", "okta", "okta"},
	{"nginx_access.log", "web", "nginx"},
	{"apache_error.log", "intranet", "apache"},
}

// samplesEnd is the last day of the sample logs.
var samplesEnd = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// sampleTime finds the dates of the sample logs, each written after one of sampleLayouts.
var (
	sampleTime = regexp.MustCompile(`(?m)^[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d-\d\dT|^\d{4}-\d\d-\d\d |\[\d\d/[A-Z][a-z]{2}/\d{4}:|` +
		`^\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d [\d:.]{15} \d{4}\]`)
	sampleLayouts = []string{"2006-01-02T", "Jan _2 ", "2006-01-02 ", "[02/Jan/2006:", "[Mon Jan 02 15:04:05.000000 2006]"}
)

// shiftDates moves all dates by whole days, so that the samples end on the day to, whenever the demo runs.
func shiftDates(log []byte, from, to time.Time) []byte {
	days := int(to.Truncate(24*time.Hour).Sub(from) / (24 * time.Hour))
	return sampleTime.ReplaceAllFunc(log, func(m []byte) []byte {
		for _, layout := range sampleLayouts {
			t, err := time.Parse(layout, string(m))
			if err != nil {
				continue
			}
			if t.Year() == 0 {
				t = t.AddDate(from.Year(), 0, 0)
			}
			return t.AddDate(0, 0, days).AppendFormat(nil, layout)
		}
		return m
	})
}

// text is the demo's config.
func (d *demo) text(city, asn string) string {
	q := func(elem ...string) string { return hclString(filepath.Join(elem...)) }
	var inputs strings.Builder
	for _, s := range samples {
		fmt.Fprintf(&inputs, "input \"file\" %q {\n  paths  = [%s]\n  parser = %q\n}\n", s.input, q(d.logs, s.file), s.parser)
	}
	return `# The config that "gatebook demo" runs with. Change it and try: gatebook run --config ` + d.config + `
data_dir = ` + q(d.dir, "data") + `
timezone = "UTC"

` + inputs.String() + `geoip { # invented places on documentation networks
  city = ` + q(city) + `
  asn  = ` + q(asn) + `
}
rules { # the shipped detections: gatebook rules list
  library = true
}
output "store" "local" {
  retention = { default = "365d" }
}
`
}

// hclString quotes a text for HCL, where ${ and %{ begin templates.
func hclString(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

// live waits until the samples are stored, prints the summary, then writes new lines and shows their records until ctx ends.
func (d *demo) live(ctx context.Context, out io.Writer, ended <-chan error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var shown time.Time
	began, told, alerts := time.Now(), false, false
	feed := newDemoFeed(d)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return fmt.Errorf("the agent ended: %w", err)
		case <-tick.C:
		}
		if !told {
			n, err := d.count(ctx)
			if err != nil || n < int64(d.lines) {
				continue // the store is not there yet, or not all of it
			}
			if err := d.summary(ctx, out); err != nil {
				return err
			}
			fmt.Fprintf(out, "\nLive: new lines are written to %s, and this is what they become (ctrl-c ends)\n\n", d.logs)
			told, shown = true, time.Now()
			continue
		}
		if !alerts && time.Since(began) > alertsAfter {
			if err := d.alerts(ctx, out); err != nil && ctx.Err() == nil {
				return err
			}
			fmt.Fprintln(out)
			alerts = true
		}
		if err := feed.write(time.Now()); err != nil {
			return err
		}
		var err error
		if shown, err = d.showNew(ctx, out, shown); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (d *demo) open() (*store.Store, error) {
	return store.Open(store.Options{Dir: d.store, ReadOnly: true})
}

// fromLines are events as lines made them; rules make the others.
var fromLines = query.Compare{Field: query.Field{ID: event.FieldEventKind}, Value: query.Value{Kind: event.Str, Str: string(event.KindEvent)}}

func (d *demo) count(ctx context.Context) (int64, error) {
	s, err := d.open()
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return s.Count(ctx, fromLines, store.QueryOptions{})
}

// showNew prints the records that are newer than since, oldest first, and returns the time of the newest.
func (d *demo) showNew(ctx context.Context, out io.Writer, since time.Time) (time.Time, error) {
	s, err := d.open()
	if err != nil {
		return since, err
	}
	defer s.Close()
	var ev event.Event
	for doc, err := range s.Query(ctx, query.And{}, store.QueryOptions{From: since.Add(time.Millisecond), OldestFirst: true, Limit: 50}) {
		if err != nil {
			return since, err
		}
		if err := event.FromJSON(doc, &ev); err != nil {
			return since, err
		}
		since = ev.Time.Std()
		place := ev.Source.Geo.CityName
		if c := ev.Source.Geo.CountryName; place == "" {
			place = c
		} else if c != "" {
			place += ", " + c
		}
		fmt.Fprintf(out, "  %s  %-8s %-14s %-8s %-10s %-16s %s\n", ev.Time.Std().Format(time.TimeOnly), printable(ev.Host.Name, 8), ev.Action, ev.Outcome,
			printable(ev.User.Name, 10), printable(ev.Source.IP, 16), printable(place, 30))
	}
	return since, nil
}

// summary prints what the store holds and what to do next.
func (d *demo) summary(ctx context.Context, out io.Writer) error {
	s, err := d.open()
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Stats(ctx, fromLines)
	if err != nil {
		return err
	}
	where, err := query.ParseSimple("event.action=login event.outcome=failure", time.Now(), time.UTC)
	if err != nil {
		return err
	}
	failed, err := s.Stats(ctx, where)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "\n%d records from %s to %s, each line one record\n\n", all.Rows, all.Oldest.Format(time.DateOnly), all.Newest.Format(time.DateOnly))
	tallies(w, "what happened", all.Outcomes, 8, "failed logins by user", failed.Users, "failed logins by address", failed.Addresses)
	fmt.Fprintf(w, "\nNext, in another terminal:\n\n")
	exe := "gatebook"
	if path, err := os.Executable(); err == nil {
		exe = path
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, exe); err == nil && !strings.HasPrefix(rel, "..") {
			exe = "./" + rel
		}
	}
	config := d.config
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, config); err == nil && !strings.HasPrefix(rel, "..") {
			config = rel
		}
	}
	for _, q := range []string{
		"event.kind=alert severity>=73",
		"ip=203.0.113.66",
		"action=login outcome=failure user=ops",
		"entry=1 outcome=failure since=-10d",
		"user=mchan ip=203.0.113.201",
		"action=delete ip=203.0.113.215",
	} {
		fmt.Fprintf(w, "  %s query --config %s '%s'\n", exe, config, q)
	}
	fmt.Fprintf(w, "  %s users --config %s\n  %s sessions --config %s --status active\n", exe, config, exe, config)
	fmt.Fprintf(w, "\n  %s    the config that runs here\n  %s    the logs: append lines of your own and see\n", config, d.logs)
	return w.Flush()
}

// tallies prints lists of counts side by side.
func tallies(w io.Writer, title string, first []store.Tally, rows int, rest ...any) {
	columns := [][]string{tallyColumn(title, first, rows)}
	for i := 0; i+1 < len(rest); i += 2 {
		columns = append(columns, tallyColumn(rest[i].(string), rest[i+1].([]store.Tally), rows))
	}
	for row := range rows + 1 {
		line := "  "
		for _, c := range columns {
			cell := ""
			if row < len(c) {
				cell = c[row]
			}
			line += fmt.Sprintf("%-36s", cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func tallyColumn(title string, list []store.Tally, rows int) []string {
	c := []string{strings.ToUpper(title)}
	for i, t := range list {
		if i == rows {
			break
		}
		c = append(c, fmt.Sprintf("%6d  %s", t.Count, printable(t.Name, 26)))
	}
	return c
}
