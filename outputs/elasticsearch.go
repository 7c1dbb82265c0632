package outputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// newElasticsearch reads
//
//	output "elasticsearch" "siem" {
//	  hosts    = ["https://es1:9200", "https://es2:9200"]
//	  api_key  = env("ES_API_KEY")    # or username and password
//	  ca       = "/etc/gatebook/ca.pem"
//	  cert     = "/etc/gatebook/client.pem"
//	  key      = "/etc/gatebook/client.key"
//	  gzip     = true
//	  level    = 1
//	  timeout  = "90s"
//	  workers  = 2
//	  batch    = "2MiB"
//	  setup    = false
//	  retention = { default = "365d", "auth_service.audit" = "7y" }  # where it is set up, here or by gatebook setup
//	}
func newElasticsearch(label string, body *conf.Body, env Env) (Output, Params) {
	body.Require("hosts", `["https://localhost:9200"]`)
	c := elastic.Config{
		Hosts: body.Strings("hosts"), APIKey: body.String("api_key", ""), Username: body.String("username", ""), Password: body.String("password", ""),
		CA: body.String("ca", ""), Cert: body.String("cert", ""), Key: body.String("key", ""), Gzip: body.Bool("gzip", true),
		Level: body.Int("level", 1, 1, 9), Timeout: body.Duration("timeout", 90*time.Second, time.Second, 10*time.Minute),
		UserAgent: "gatebook/" + env.Version,
	}
	p := Params{
		Workers: body.Int("workers", 2, 1, 32), BatchBytes: body.Size("batch", 2<<20, 64<<10, 64<<20), BatchItems: 10000,
	}
	p.Latency, p.MostWorkers = time.Second, p.Workers
	if !body.Has("workers") {
		p.MostWorkers = 2 * p.Workers
	}
	c.Connections = p.MostWorkers + 1
	setup := body.Bool("setup", false)
	retention := elasticRetention(body)
	c.OnHost = hostTold(env.Logger.With("output", label, "kind", "elasticsearch"))
	bad := false
	wrong := func(name, format string, args ...any) {
		body.Errorf(name, format, args...)
		bad = true
	}
	if body.Has("api_key") && (body.Has("username") || body.Has("password")) {
		wrong("api_key", "api_key and username: one of them is enough")
	}
	if body.Has("username") != body.Has("password") {
		wrong("username", "username and password go together")
	}
	for _, name := range []string{"api_key", "password"} {
		if body.Has(name) && !body.Sensitive(name) {
			body.Warnf(name, "a secret in the config is read by all who may read the config; better env(\"NAME\") or file(\"PATH\")")
		}
	}
	if body.Has("hosts") {
		if _, err := elastic.ParseHosts(c.Hosts); err != nil {
			wrong("hosts", "%v", err)
		}
	}
	if bad || len(c.Hosts) == 0 {
		return nil, p
	}
	client, err := elastic.New(c)
	if err != nil {
		name := "ca"
		if c.Cert != "" && c.CA == "" {
			name = "cert"
		}
		body.Errorf(name, "%v", err)
		return nil, p
	}
	o := newElastic(label, client, c.Gzip, setup, env)
	o.config, o.retention = c, retention
	return o, p
}

// elasticOutput writes batches to Elasticsearch. It knows what a status means for an item; the client knows HTTP.
type elasticOutput struct {
	label  string
	client *elastic.Client
	gzip   bool
	setup  bool
	log    *slog.Logger
	state  elasticState

	config    elastic.Config
	retention elastic.Retention

	scratch sync.Pool
	denied  atomic.Bool // our key may not look ids up

	collisions, possible, lookups atomic.Int64
	alarm                         atomic.Int64 // Unix nanoseconds of the last one told
}

func newElastic(label string, client *elastic.Client, gzip, setup bool, env Env) *elasticOutput {
	o := &elasticOutput{label: label, client: client, gzip: gzip, setup: setup, log: env.Logger.With("output", label, "kind", "elasticsearch")}
	o.scratch.New = func() any { return &request{} }
	o.state.init()
	return o
}

// ElasticFigures are figures of an elasticsearch output, since the start of this process.
type ElasticFigures struct {
	Collisions         int64 // ids that somebody else had used: sent again under a new one
	PossibleDuplicates int64 // items that may be there twice: sent again across a rollover with a key that may not read
	Lookups            int64 // ids looked up before they were sent again
}

// Elastic returns the figures of an elasticsearch output.
func Elastic(o Output) (ElasticFigures, bool) {
	e, ok := o.(*elasticOutput)
	if !ok {
		return ElasticFigures{}, false
	}
	return ElasticFigures{e.collisions.Load(), e.possible.Load(), e.lookups.Load()}, true
}

// ElasticSetup returns where an elasticsearch output sends to, and how long it is kept there: what gatebook setup has to know.
func ElasticSetup(o Output) (elastic.Config, elastic.Retention, bool) {
	e, ok := o.(*elasticOutput)
	if !ok {
		return elastic.Config{}, elastic.Retention{}, false
	}
	return e.config, e.retention, true
}

// ForwardsGzip tells whether blocks that are gzip already are sent as they are: then they are best compressed once, for disk and
// wire.
func (o *elasticOutput) ForwardsGzip() bool { return o.gzip }

// Start installs the templates, where that is wanted.
func (o *elasticOutput) Start(ctx context.Context) error {
	if !o.setup {
		return nil
	}
	steps, err := o.client.Setup(ctx, elastic.SetupOptions{Retention: o.retention, Quick: true})
	for _, s := range steps {
		o.log.Info("elasticsearch setup", "what", s.Path, "did", s.Did)
	}
	if err == nil {
		return nil
	}
	e := requestError(err)
	if e.Status == http.StatusForbidden {
		e.Remedy = "this key may not install templates: run gatebook setup with credentials that have manage_index_templates, manage_ingest_pipelines and manage_ilm, and take setup out of the config"
	}
	return e
}

// Restore takes back what is known of backing indices and of ids that had to be changed.
func (o *elasticOutput) Restore(state string) error {
	o.state.parse(state)
	return nil
}

// Checkpoint returns it.
func (o *elasticOutput) Checkpoint() (string, error) { return o.state.text(), nil }

// Urgent tells that it has changed in a way that a crash must not forget.
func (o *elasticOutput) Urgent() bool { return o.state.changed() }

// Committed has nothing to do here.
func (o *elasticOutput) Committed() (bool, error) { return false, nil }

// Close closes the connections.
func (o *elasticOutput) Close() error { return o.client.Close() }

// requestError says of a failed request what is to be done.
func requestError(err error) *RequestError {
	var re *elastic.RequestError
	if !errors.As(err, &re) {
		return &RequestError{Unknown: true, Err: err}
	}
	e := &RequestError{Host: re.Host, Status: re.Status, Unknown: re.Unknown, Elsewhere: re.Elsewhere, Err: err, Remedy: elastic.Remedy(err)}
	switch s := re.Status; {
	case s == 0:
		e.Hold = elastic.IsTLS(err)
	case s < 300 || re.Err != nil: // the answer broke off
	case s == http.StatusRequestEntityTooLarge:
		e.TooLarge = true
	case s == http.StatusBadRequest:
		e.Suspect, e.Hold = true, true
	case s == http.StatusTooManyRequests || s >= 500 || s == http.StatusRequestTimeout:
	default: // 401, 403, 404, redirects: it will not mend itself
		e.Hold = true
	}
	return e
}

// hostTold tells of hosts whose place others take: nothing else would, for the output works.
func hostTold(log *slog.Logger) func(string, error) {
	return func(host string, err error) {
		if err != nil {
			log.Warn("a host fails, the others are used", "host", host, "err", err)
		} else {
			log.Info("the host works again", "host", host)
		}
	}
}

// alarmEvery is how often a collision is told of.
const alarmEvery = time.Minute

// collision counts an id that is taken by somebody else, and raises the alarm.
func (o *elasticOutput) collision(id string) {
	n := o.collisions.Add(1)
	now := time.Now().UnixNano()
	last := o.alarm.Load()
	if last != 0 && now-last < int64(alarmEvery) || !o.alarm.CompareAndSwap(last, now) {
		return
	}
	o.log.Error("an id of ours is in use by another Gatebook: is this machine a clone that runs? sent again under a new id",
		"id", id, "collisions", n, "remedy", fmt.Sprintf("stop one of the two, and remove the data_dir of the clone of %q", o.label))
}
