package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/outputs"
)

// serveMetrics listens where the config says so: /metrics for Prometheus, /healthz for whoever asks whether all is well.
func (a *Agent) serveMetrics() (stop func(), err error) {
	if a.config.Metrics == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", a.config.Metrics)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w; change metrics { listen }", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{a})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/healthz", a.health)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("metrics end", "error", err)
		}
	}()
	a.log.Info("metrics", "url", "http://"+l.Addr().String()+"/metrics")
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}, nil
}

// health answers 200 while every output takes what it gets and the log takes what it is given, else 503 with the reasons.
func (a *Agent) health(w http.ResponseWriter, _ *http.Request) {
	troubles := a.troubles()
	if len(troubles) == 0 {
		fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, t := range troubles {
		fmt.Fprintln(w, t)
	}
}

func (a *Agent) running() *generation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// collector reads the figures when they are asked for. Nothing that comes from an event is a label.
type collector struct{ agent *Agent }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatebook_"+name, help, labels, nil)
}

var (
	descRead      = describe("lines_read_total", "Lines read by inputs since the start or the last reload.")
	descAppended  = describe("events_appended_total", "Events appended to the buffer since the start or the last reload.")
	descFailures  = describe("parse_failures_total", "Lines that no parser knew; they are kept, tagged parse-failure.")
	descTruncated = describe("lines_truncated_total", "Lines over max_line; they are cut and tagged line-truncated.")
	descBytes     = describe("buffer_bytes", "Bytes of the buffer on disk.")
	descMaxBytes  = describe("buffer_max_bytes", "Most bytes that the buffer may take.")
	descFull      = describe("buffer_full", "1 while inputs wait because the buffer or the disk is full.")
	descDropped   = describe("buffer_dropped_items_total", "Items dropped by on_full = drop-oldest.")
	descDamaged   = describe("buffer_damaged_total", "Damaged stretches of the buffer that were set aside.")
	descFsyncs    = describe("buffer_fsyncs_total", "Checked fsyncs of the buffer.")
	descLag       = describe("input_lag_bytes", "Bytes of files not read yet.", "input")
	descFiles     = describe("input_files", "Files that are followed.", "input")
	descUnread    = describe("input_failing_files", "Files that cannot be read.", "input")
	descDelivered = describe("output_delivered_total", "Items that the output took.", "output")
	descFiltered  = describe("output_filtered_total", "Items that `when` left out.", "output")
	descDead      = describe("output_dead_letters_total", "Items refused for good.", "output")
	descRetried   = describe("output_retried_total", "Items sent again.", "output")
	descSkipped   = describe("output_skipped_total", "Items skipped by max_lag or drop-oldest.", "output")
	descWaiting   = describe("output_waiting", "Items in the buffer that the output has not taken yet.", "output")
	descPossible  = describe("output_possible_duplicates_total", "Items that may be there twice: sent again across a rollover with a key that may not read.", "output")
	descLookups   = describe("output_lookups_total", "Ids looked up because their items may have been written already, once for each backing index asked.", "output")
	descCollision = describe("output_collisions_total", "Ids that somebody else had used; the items were sent again under a new id.", "output")
	descSent      = describe("output_notifications_total", "Notifications or mails sent since the start or the last reload.", "output")
	descFolded    = describe("output_notifications_folded_total", "Alerts told with another one of the same event, or in a digest.", "output")
	descFallbacks = describe("output_notification_fallbacks_total", "Bodies of a template that were no JSON and were sent in the default form.", "output")
	descRequest   = describe("output_request_bytes", "What a request comes to at present where there is enough to send, before compression.", "output")
	descHeld      = describe("output_problem", "1 while the output does not take what it gets.", "output")
)

// Describe leaves the metrics to Collect: they depend on the config.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.agent.buffer.Stats()
	gauge(descBytes, float64(s.Bytes))
	gauge(descMaxBytes, float64(s.MaxBytes))
	gauge(descFull, truth(s.Full != ""))
	counter(descDropped, float64(s.DroppedItems))
	counter(descDamaged, float64(s.Damaged))
	counter(descFsyncs, float64(s.Fsyncs))
	g := c.agent.running()
	if g == nil {
		return
	}
	for _, l := range g.logs {
		for _, r := range l.Readers() {
			if r.Open {
				gauge(descWaiting, float64(r.Waiting), r.Name)
				counter(descSkipped, float64(r.Skipped), r.Name)
			}
		}
	}
	if g.detector != nil {
		g.detector.collect(counter, gauge)
	}
	n := g.pipeline.Counters()
	counter(descRead, float64(n.Read.Load()))
	counter(descAppended, float64(n.Appended.Load()))
	counter(descFailures, float64(n.ParseFailures.Load()))
	counter(descTruncated, float64(n.Truncated.Load()))
	for i, in := range g.inputs {
		if m, ok := in.(inputs.Measured); ok {
			measured(ch, g.config.Inputs[i].Label, m)
		}
		if files, ok := filesOf(in); ok {
			lag, failing := behind(files)
			label := g.config.Inputs[i].Label
			gauge(descLag, float64(lag), label)
			gauge(descFiles, float64(len(files)), label)
			gauge(descUnread, float64(failing), label)
		}
	}
	for _, o := range g.outputs {
		f := o.stats.Figures()
		name := readerName(o.kind, o.label)
		counter(descDelivered, float64(f.Delivered), name)
		counter(descFiltered, float64(f.Filtered), name)
		counter(descDead, float64(f.DeadLettered), name)
		counter(descRetried, float64(f.Retried), name)
		if e, ok := outputs.Elastic(o.Output); ok {
			counter(descPossible, float64(e.PossibleDuplicates), name)
			counter(descLookups, float64(e.Lookups), name)
			counter(descCollision, float64(e.Collisions), name)
			gauge(descRequest, float64(f.RequestBytes), name)
		}
		if n, ok := outputs.Notify(o.Output); ok {
			counter(descSent, float64(n.Sent), name)
			counter(descFolded, float64(n.Folded), name)
			counter(descFallbacks, float64(n.Fallbacks), name)
		}
		gauge(descHeld, truth(f.State != outputs.StateOK), name)
	}
}

// measured emits what an input counts for itself. Its word is trusted that a name always has the same help and labels.
func measured(ch chan<- prometheus.Metric, input string, m inputs.Measured) {
	for _, f := range m.Figures() {
		names, values := []string{"input"}, []string{input}
		for _, l := range f.Labels {
			names, values = append(names, l.Key), append(values, l.Value)
		}
		kind := prometheus.GaugeValue
		if strings.HasSuffix(f.Name, "_total") {
			kind = prometheus.CounterValue
		}
		metric, err := prometheus.NewConstMetric(describe(f.Name, f.Help, names...), kind, f.Value, values...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(describe(f.Name, f.Help), err)
		}
		ch <- metric
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
