package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/enrich"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs"
	"github.com/gatebook/gatebook/parsers"
	"github.com/gatebook/gatebook/rules"
)

// Config is a decoded config file. It is complete only where Problems holds no error.
type Config struct {
	Path      string
	DataDir   string
	Namespace string
	Name      string // agent.name, and host.name of lines that name no host
	Location  *time.Location
	Original  bool
	Buffer    BufferConfig
	Inputs    []InputConfig
	Outputs   []OutputConfig
	Parsers   *parsers.Set
	Enrichers *enrich.Chain
	Rules     *RulesConfig  // nil: no rules run
	Metrics   string        // address to listen on; empty for none
	Health    time.Duration // between records of how this Gatebook does; 0 for none
	Problems  conf.Diagnostics
}

// BufferConfig is the buffer block.
type BufferConfig struct {
	MaxBytes     int64
	OnFull       buffer.Policy
	Flush        time.Duration
	SegmentBytes int64
	Reserve      int64
}

// InputConfig is one input block.
type InputConfig struct {
	Kind, Label string
	Config      inputs.Config
}

// OutputConfig is one output block.
type OutputConfig struct {
	Kind, Label string
	body        *conf.Body
	respond     []*conf.Block // of kind respondKind, in place of body
}

// respondKind is the output that the blocks `respond` make together.
const respondKind = "respond"

// open makes the output; the block has been checked.
func (o OutputConfig) open(env outputs.Env) (outputs.Output, outputs.Params) {
	if o.Kind == respondKind {
		r, p := outputs.RespondFromConfig(o.respond, env)
		if r == nil {
			return nil, p
		}
		return r, p
	}
	return outputs.New(o.Kind, o.Label, o.body, env)
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.]{0,99}$`)

// ValidNamespace tells whether a text may be a namespace of data streams.
func ValidNamespace(s string) bool { return namespacePattern.MatchString(s) }

// LoadOptions are what the command line says about a config.
type LoadOptions struct {
	Logger   *slog.Logger
	Location *time.Location // in place of the config's
	Year     int            // of times that carry none; 0 is the nearest

	SkipRules bool           // leaves rule files unread, for what runs no rules: the set is empty
	RuleTests bool           // reads the tests of rules
	MoreRules []rules.Source // on top of those that the block rules names
}

// LoadConfig reads and decodes a config file. All that is wrong with it is in Problems.
func LoadConfig(path string, o LoadOptions) *Config {
	f, _ := conf.Load(path)
	return decode(f, o)
}

// ParseConfig is LoadConfig for a text at hand.
func ParseConfig(name string, src []byte, o LoadOptions) *Config {
	f, _ := conf.Parse(name, src)
	return decode(f, o)
}

func decode(f *conf.File, o LoadOptions) *Config {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := f.Body()
	c := &Config{Path: f.Name()}
	c.DataDir = b.String("data_dir", "/var/lib/gatebook")
	if !filepath.IsAbs(c.DataDir) {
		if abs, err := filepath.Abs(c.DataDir); err == nil {
			c.DataDir = abs
		}
	}
	c.Namespace = b.String("namespace", "default")
	if !namespacePattern.MatchString(c.Namespace) {
		b.Errorf("namespace", "may hold lower-case letters, digits, '_' and '.', and no '-' (it becomes part of data stream names)")
	}
	c.Location = b.Location("timezone", time.Local)
	c.Name = b.String("agent_name", hostname())
	c.Original = b.Bool("original", true)
	if c.Health = b.Duration("health", 5*time.Minute, 0, 24*time.Hour); c.Health != 0 && c.Health < time.Second {
		b.Errorf("health", "want at least a second, or 0 for no records of health")
	}
	c.decodeBuffer(b)
	if o.Location != nil {
		c.Location = o.Location
	}
	var err error
	if c.Parsers, err = parsers.Build(b.Blocks("parser", 2), parsers.Options{Location: c.Location, Year: o.Year}); err != nil {
		b.Errorf("", "%v", err)
	}
	c.decodeInputs(b)
	c.Enrichers = enrich.FromConfig(enrich.Blocks{GeoIP: bodyOf(b.Block("geoip")), Redact: bodyOf(b.Block("redact")), Users: bodyOf(b.Block("users"))},
		filepath.Dir(f.Name()), o.Logger)
	c.decodeOutputs(b)
	ruleProblems := c.decodeRules(b, o)
	if m := b.Block("metrics"); m != nil {
		c.Metrics = m.Body.String("listen", "127.0.0.1:9600")
		m.Body.Close()
	}
	b.Close()
	c.Problems = append(f.Diagnostics(), ruleProblems...)
	return c
}

func (c *Config) decodeBuffer(b *conf.Body) {
	c.Buffer = BufferConfig{MaxBytes: 2 << 30, Flush: 100 * time.Millisecond}
	k := b.Block("buffer")
	if k == nil {
		return
	}
	defer k.Body.Close()
	c.Buffer.MaxBytes = k.Body.Size("max_bytes", c.Buffer.MaxBytes, 16<<20, 0)
	if k.Body.Enum("on_full", "block", "block", "drop-oldest") == "drop-oldest" {
		c.Buffer.OnFull = buffer.DropOldest
	}
	c.Buffer.Flush = k.Body.Duration("flush", c.Buffer.Flush, time.Millisecond, time.Minute)
	c.Buffer.SegmentBytes = k.Body.Size("segment", 0, 1<<20, 1<<30)
	c.Buffer.Reserve = k.Body.Size("reserve", 0, 1<<20, 1<<30)
}

func (c *Config) decodeInputs(b *conf.Body) {
	for _, k := range b.Blocks("input", 2) {
		spec, ok := inputs.Registry[k.Labels[0]]
		if !ok {
			unknownKind(k, "input", inputs.Registry)
			continue
		}
		in := InputConfig{Kind: k.Labels[0], Label: k.Labels[1], Config: spec.Decode(k.Labels[1], k.Body)}
		for _, name := range parserNames(in.Config) {
			if _, err := c.Parsers.Get(name); err != nil {
				k.Body.Errorf("parser", "%v", err)
			}
		}
		if limit := c.Buffer.MaxBytes / 64; in.Config.MaxLine() > limit {
			k.Body.Errorf("max_line", "the buffer's max_bytes allows lines of %s at most (a 64th); make the buffer larger or the lines shorter", conf.FormatSize(limit))
		}
		c.Inputs = append(c.Inputs, in)
	}
}

// parserNames are the parsers that an input names: one, or one of each of its keys.
func parserNames(c inputs.Config) []string {
	if keyed, ok := c.(interface{ ParserNames() []string }); ok {
		return keyed.ParserNames()
	}
	return []string{c.ParserName()}
}

func (c *Config) decodeOutputs(b *conf.Body) {
	for _, k := range b.Blocks("output", 2) {
		if _, ok := outputs.Registry[k.Labels[0]]; !ok {
			unknownKind(k, "output", outputs.Registry)
			continue
		}
		if !outputs.ValidLabel(k.Labels[1]) {
			k.LabelErrorf(1, "a label may hold letters, digits, '_', '-' and '.', not first: it becomes part of a file name")
			continue
		}
		o := OutputConfig{Kind: k.Labels[0], Label: k.Labels[1], body: k.Body}
		o.open(outputs.Env{DataDir: c.DataDir, Namespace: c.Namespace, Compile: compileWhen})
		c.Outputs = append(c.Outputs, o)
	}
	if blocks := b.Blocks(respondKind, 1); len(blocks) > 0 {
		o := OutputConfig{Kind: respondKind, Label: "actions", respond: blocks}
		o.open(outputs.Env{DataDir: c.DataDir, Namespace: c.Namespace, Compile: compileWhen})
		c.Outputs = append(c.Outputs, o)
	}
	if len(c.Outputs) == 0 && !b.HasBlock("output") {
		b.Errorf("", `there is no output: add output "store" "local" {}`)
	}
}

// onAlerts tells whether the output reads the log of alerts.
func (o OutputConfig) onAlerts() bool { return o.Kind == respondKind || outputs.Notifies(o.Kind) }

func bodyOf(k *conf.Block) *conf.Body {
	if k == nil {
		return nil
	}
	return k.Body
}

// unknownKind notes a first label that names no component, with what was probably meant.
func unknownKind[S any](k *conf.Block, what string, registry map[string]S) {
	known := make([]string, 0, len(registry))
	for name := range registry {
		known = append(known, name)
	}
	sort.Strings(known)
	if s := conf.Suggest(k.Labels[0], known); s != "" {
		k.LabelErrorf(0, "there is no %s %q; did you mean %q?", what, k.Labels[0], s)
	} else {
		k.LabelErrorf(0, "there is no %s %q; there are %q", what, k.Labels[0], known)
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

// restartNeeded names what a reload cannot change.
func (c *Config) restartNeeded(next *Config) []string {
	var names []string
	if c.DataDir != next.DataDir {
		names = append(names, "data_dir")
	}
	if c.Buffer != next.Buffer {
		names = append(names, "buffer")
	}
	if c.Metrics != next.Metrics {
		names = append(names, "metrics")
	}
	return names
}

// readerNames names the readers of the logs that the outputs and the rules use.
func (c *Config) readerNames() []string {
	var names []string
	for _, o := range c.Outputs {
		names = append(names, readerName(o.Kind, o.Label))
	}
	if c.Rules != nil {
		names = append(names, rulesReader)
	}
	slices.Sort(names)
	return names
}

func readerName(kind, label string) string { return kind + "." + label }

// logProblems writes warnings to the log, and errors too.
func logProblems(log *slog.Logger, ds conf.Diagnostics) {
	for _, d := range ds {
		if d.Severity == conf.Warning {
			log.Warn("config", "problem", d.String())
		} else {
			log.Error("config", "problem", d.String())
		}
	}
}
