package inputs

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// bulkConfig is a decoded `input "bulk"` block.
type bulkConfig struct {
	listenerConfig
	remember int
	version  string
}

var versionText = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

func decodeBulk(label string, b *conf.Body) Config {
	defer b.Close()
	c := &bulkConfig{listenerConfig: decodeListener(label, b, "9299", "max_request", 32<<20)}
	c.source.Envelope = "ecs"
	c.decodeKeys(b, keyOptions{gatebook: true})
	if len(c.keys) == 0 && !b.HasBlock("key") && !b.Has("username") && !b.Has("password") {
		b.Errorf("", "there is no key, so any user of this machine could write records; add api_key = file(\"/etc/gatebook/bulk.key\"), or key \"NAME\" { api_key = ... }")
	}
	c.remember = b.Int("remember", 200_000, 0, 2_000_000)
	c.version = b.String("version", "8.17.0")
	if !versionText.MatchString(c.version) {
		b.Errorf("version", "%q is no version of Elasticsearch; write one such as \"8.17.0\"", c.version)
	}
	return c
}

func (c *bulkConfig) New(env Env) (Input, error) {
	l, err := newListener(&c.listenerConfig, env)
	if err != nil {
		return nil, err
	}
	h := &bulkInput{listener: l, about: aboutText(c.label, c.version)}
	h.ids = newIDMemory(PositionPrefix("bulk", c.label), c.remember, env.Positions)
	return h, nil
}

// bulkInput is the input "bulk": Elasticsearch's API as shippers use it.
//
//	POST /_bulk -> items -> repeats found out -> batches with the ids as positions -> log -> fsync -> answer, item by item
type bulkInput struct {
	*listener
	ids          *idMemory
	about        []byte
	unauthorized atomic.Int64
}

// Run serves until ctx ends.
func (h *bulkInput) Run(ctx context.Context, sink Sink) error { return h.serve(ctx, sink, h) }

// ServeHTTP answers one request.
func (h *bulkInput) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch") // clients ask for it
	k := authenticate(h.config.keys, r)
	if k == nil {
		h.unauthorized.Add(1)
		w.Header().Add("WWW-Authenticate", `Basic realm="gatebook", charset="UTF-8"`)
		w.Header().Add("WWW-Authenticate", "ApiKey")
		refuse(w, r, &refusal{status: http.StatusUnauthorized, typ: "security_exception", reason: "missing or unknown key: send it as Authorization: ApiKey, Bearer or Basic"})
		return
	}
	index, isBulk := strings.CutSuffix(r.URL.Path, "/_bulk")
	index = strings.TrimPrefix(index, "/")
	if !isBulk || strings.Contains(index, "/") || len(index) > maxIndex {
		h.probe(w, r)
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		refuse(w, r, &refusal{status: http.StatusMethodNotAllowed, typ: "illegal_argument_exception", reason: "send bulk requests by POST or PUT"})
		return
	}
	k.counts.requests.Add(1)
	if refused := h.bulk(w, r, k, index); refused != nil {
		k.counts.refused(refused.status)
		if refused.status == http.StatusTooManyRequests {
			h.discard(r)
		}
		refuse(w, r, refused)
	}
}

// bulk deals with a bulk request. It answers where it returns nil.
func (h *bulkInput) bulk(w http.ResponseWriter, r *http.Request, k *senderKey, index string) *refusal {
	start := time.Now()
	if h.full() {
		return &refusal{status: http.StatusTooManyRequests, typ: "es_rejected_execution_exception", reason: "the buffer is full", retry: 5}
	}
	if !h.budget.enter() {
		return busy("too many requests are in flight")
	}
	text, taken, refused := h.readBody(r, &h.budget)
	k.counts.bytes.Add(int64(len(text)))
	var items []bulkItem
	switch {
	case refused != nil:
	case !h.budget.charge(&taken, min(strings.Count(text, "\n")/2, maxItems), itemMemory):
		refused = busy("too many bytes of requests are in flight")
	default:
		items, refused = readBulk(text, index)
	}
	if refused != nil {
		h.budget.leave(taken)
		return refused
	}
	for i := range items {
		items[i].judge(k, h.config.maxLine)
	}
	ctx, cancel := context.WithTimeout(h.flights.ctx, h.config.timeout)
	defer cancel()
	d := &bulkDelivery{input: h, key: k, source: sender(k, r), received: start, own: &flight{done: make(chan struct{})}}
	err := d.submit(ctx, items)
	h.flights.settle(d.own, func(err error) {
		if err == nil {
			h.ids.settled(d.hashes)
		}
		h.budget.leave(taken)
	})
	if err == nil {
		err = h.flights.wait(ctx, append(d.others, d.own)...)
	}
	if err != nil {
		return unavailable()
	}
	k.counts.items(items)
	answer(w, r, http.StatusOK, appendAnswer(make([]byte, 0, 64+96*len(items)), items, time.Since(start).Milliseconds()))
	return nil
}

// itemMemory is what an item takes beside its text: itself, its line and id, its answer.
const itemMemory = 320

// Bounds of one batch: many make use of all workers.
const (
	postBytes = 256 << 10
	postLines = 2000
	postCost  = 64 // bytes of memory beside the text
)

// bulkDelivery is the way of one request's documents into the log.
type bulkDelivery struct {
	input    *bulkInput
	key      *senderKey
	source   *Source
	received time.Time

	own    *flight
	others []*flight // that carry ids which came again
	hashes []idHash  // of all new ids
	batch  *Batch
	fresh  []idHash // of the batch at hand
	seen   map[idHash]struct{}
}

// submit gives the new documents to the log and finds out the repeats.
func (d *bulkDelivery) submit(ctx context.Context, items []bulkItem) error {
	f := &d.input.flights
	if err := f.enter(ctx); err != nil {
		return err
	}
	defer f.leave()
	for i := range items {
		item := &items[i]
		if item.fate != fateTaken {
			continue
		}
		line := Line{Text: item.doc}
		if item.id != "" {
			line.ID = d.key.name + ":" + item.id
			if d.repeat(line.ID) {
				item.fate = fateRepeat
				continue
			}
		}
		if d.batch == nil {
			d.batch = NewBatch()
			d.batch.Source, d.batch.Received = d.source, d.received
		}
		d.batch.Lines = append(d.batch.Lines, line)
		d.batch.Size += len(line.Text) + postCost
		if d.batch.Size >= postBytes || len(d.batch.Lines) >= postLines {
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
	}
	return d.flush(ctx)
}

// repeat says whether the id was taken before, by this request or another; a new one is noted.
func (d *bulkDelivery) repeat(id string) bool {
	if len(d.input.ids.slots) == 0 {
		return false
	}
	h := hashID(id)
	if _, twice := d.seen[h]; twice {
		return true
	}
	if known, on := d.input.ids.lookup(h); known {
		if on != nil && on != d.own && (len(d.others) == 0 || d.others[len(d.others)-1] != on) {
			d.others = append(d.others, on)
		}
		return true
	}
	if d.seen == nil {
		d.seen = map[idHash]struct{}{}
	}
	d.seen[h] = struct{}{}
	d.fresh = append(d.fresh, h)
	return false
}

// flush submits the batch at hand.
func (d *bulkDelivery) flush(ctx context.Context) error {
	b := d.batch
	if b == nil {
		return nil
	}
	d.batch = nil
	plan := d.input.ids.plan(d.fresh)
	b.Positions = d.input.ids.positions(b.Positions, plan)
	if err := d.input.flights.send(ctx, d.own, b); err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	d.input.ids.commit(plan, d.own)
	d.hashes, d.fresh = append(d.hashes, d.fresh...), d.fresh[:0]
	return nil
}
