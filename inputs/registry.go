package inputs

import (
	"log/slog"

	"github.com/gatebook/gatebook/internal/conf"
)

// Env is what the agent lends to an input.
type Env struct {
	Logger    *slog.Logger
	Host      string            // name of this machine
	Once      bool              // read what is there, then end
	Positions map[string][]byte // last position of every key of this input, prefix taken off
	Dir       string            // folder that relative paths of the config start from
	Sockets   *Sockets          // through which listeners outlive a reload
	Full      func() bool       // the log takes nothing more at present: a sender that can wait is told so
}

// Measured is an input that counts for itself: senders, refusals, drops. It is safe for concurrent use.
type Measured interface {
	// Figures returns the figures of now. Names and labels are of a bounded set and hold nothing from an event.
	Figures() []Figure
}

// Figure is one number that an input tells: of metrics and status.
type Figure struct {
	Name   string // without prefix: "syslog_kernel_drops_total"; a counter where it ends in _total, else a gauge
	Help   string
	Labels []Label // beside the input's own label
	Value  float64
}

// PositionPrefix stands before the keys of an input's positions in the log.
func PositionPrefix(kind, label string) string { return kind + "/" + label + "/" }

// Config is one decoded input block: everything about it has been checked but what only opening can tell.
type Config interface {
	// ParserName is the parser's name or label as configured.
	ParserName() string
	// MaxLine is the most bytes of one line.
	MaxLine() int64
	// New makes the input.
	New(env Env) (Input, error)
}

// lineConfig is what the blocks of all inputs have in common.
type lineConfig struct {
	source  Source
	maxLine int
}

// ParserName is the parser of lines for which nothing else is said.
func (c *lineConfig) ParserName() string { return c.source.Parser }

// MaxLine is the most bytes of one line.
func (c *lineConfig) MaxLine() int64 { return int64(c.maxLine) }

// decodeLines reads it; the option for the longest line has a name and bounds of its own with some inputs.
func decodeLines(label string, b *conf.Body, longest string, def, least int64) lineConfig {
	c := lineConfig{source: Source{Input: label, Parser: b.String("parser", "auto"), Realm: b.String("realm", "")}}
	c.maxLine = int(b.Size(longest, def, least, 4<<20))
	c.source.Labels = decodeLabels(b)
	return c
}

// decodeLocalLines reads it for inputs whose lines need not name their host.
func decodeLocalLines(label string, b *conf.Body, longest string, least int64) lineConfig {
	c := decodeLines(label, b, longest, 64<<10, least)
	c.source.Host = b.String("host", "")
	return c
}

func decodeLabels(b *conf.Body) (labels []Label) {
	for _, kv := range b.Pairs("labels") {
		labels = append(labels, Label{kv.Key, kv.Value})
	}
	return labels
}

// Spec is one kind of input.
type Spec struct {
	// Decode reads the block and closes it; problems are noted on the body at their place.
	Decode  func(label string, body *conf.Body) Config
	Summary string
}

// Registry lists the kinds of input by the first label of their block.
var Registry = map[string]Spec{
	"bulk":     {Decode: decodeBulk, Summary: "takes what shippers and other Gatebooks send to Elasticsearch's bulk API"},
	"http":     {Decode: decodeHTTP, Summary: "takes JSON posted by webhooks"},
	"journald": {Decode: decodeJournald, Summary: "reads the systemd journal through journalctl"},
	"stdin":    {Decode: decodeStdin, Summary: "reads standard input"},
	"file":     {Decode: decodeFile, Summary: "follows files through rotation, truncation and compression"},
	"syslog":   {Decode: decodeSyslog, Summary: "listens for syslog over UDP, TCP, TLS and Unix sockets"},
}
