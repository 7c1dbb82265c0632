package inputs

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// hookConfig is a decoded `input "http"` block.
type hookConfig struct {
	listenerConfig
	path string
}

func decodeHTTP(label string, b *conf.Body) Config {
	defer b.Close()
	c := &hookConfig{listenerConfig: decodeListener(label, b, "9298", "max_body", 8<<20), path: b.String("path", "/")}
	if !strings.HasPrefix(c.path, "/") {
		b.Errorf("path", "%q does not begin with /", c.path)
	}
	c.decodeKeys(b, keyOptions{hmac: true})
	for _, k := range c.keys {
		if k.path == "" {
			k.path = c.path
		}
	}
	if len(c.keys) == 0 {
		if beyondLoopback(c.address) {
			b.Errorf("", "there is no key, so whoever reaches %s could write records; add api_key = file(\"...\"), hmac { ... }, or key \"NAME\" { ... }", c.address)
		}
		c.keys = append(c.keys, &senderKey{name: c.path, path: c.path, source: c.source, counts: &keyCounts{}})
		c.keys[0].source.Key = c.path
	}
	return c
}

func (c *hookConfig) New(env Env) (Input, error) {
	l, err := newListener(&c.listenerConfig, env)
	if err != nil {
		return nil, err
	}
	h := &hookInput{listener: l, strangers: budget{bytes: c.maxBody + 1, requests: max(1, c.maxConnections/2)}}
	h.strangers.whole = h.strangers.bytes
	return h, nil
}

// hookInput is the input "http": JSON posted by webhooks.
//
//	POST path -> key, or signature over the body -> objects -> batches -> log -> fsync -> {"accepted":n}
type hookInput struct {
	*listener
	strangers    budget // of requests whose signature is still to be checked: they cannot use up what the others have
	unauthorized atomic.Int64
}

// Run serves until ctx ends.
func (h *hookInput) Run(ctx context.Context, sink Sink) error { return h.serve(ctx, sink, h) }

// ServeHTTP answers one request.
func (h *hookInput) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signed, known := false, false
	for _, k := range h.config.keys {
		known = known || k.path == r.URL.Path
		signed = signed || k.path == r.URL.Path && k.signature != nil
	}
	k := h.sender(r)
	switch {
	case !known:
		h.refuse(w, r, nil, &refusal{status: http.StatusNotFound, reason: "nothing is taken at this path"})
	case k == nil && !signed:
		h.refuse(w, r, nil, h.stranger())
	case k != nil && k.open() && r.Header.Get("Origin") != "":
		// Any page that a browser of this machine shows could post here.
		h.refuse(w, r, nil, &refusal{status: http.StatusForbidden, reason: "without a key nothing is taken from web pages"})
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		w.Header().Set("Allow", "POST, PUT")
		h.refuse(w, r, k, &refusal{status: http.StatusMethodNotAllowed, reason: "send records by POST"})
	default:
		if k, refused := h.take(w, r, k); refused != nil {
			h.refuse(w, r, k, refused)
		}
	}
}

// sender is the key that the request shows before its body is read; nil where it shows none.
func (h *hookInput) sender(r *http.Request) *senderKey {
	if k := authenticate(h.config.keys, r); k != nil {
		return k
	}
	if k := h.config.keys[0]; len(h.config.keys) == 1 && k.open() && k.allows(r) {
		return k
	}
	return nil
}

// open says that the key asks for no secret: nothing but loopback may be without.
func (k *senderKey) open() bool { return k.token == nil && k.user == nil && k.signature == nil }

func (h *hookInput) stranger() *refusal {
	h.unauthorized.Add(1)
	return &refusal{status: http.StatusUnauthorized, reason: "missing or unknown key or signature"}
}

// refuse answers with a reason.
func (h *hookInput) refuse(w http.ResponseWriter, r *http.Request, k *senderKey, f *refusal) {
	if k == nil {
		hangUp(w)
	}
	switch {
	case f.status == http.StatusUnauthorized:
		w.Header().Add("WWW-Authenticate", `Bearer realm="gatebook"`)
		w.Header().Add("WWW-Authenticate", `Basic realm="gatebook", charset="UTF-8"`)
	case k != nil:
		k.counts.refused(f.status)
	}
	if f.status == http.StatusTooManyRequests && k != nil {
		h.discard(r)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retry))
	}
	answer(w, r, f.status, append(event.AppendQuoted([]byte(`{"error":`), f.reason), '}'))
}

// take deals with the records of a request. It answers where it refuses nothing.
func (h *hookInput) take(w http.ResponseWriter, r *http.Request, k *senderKey) (*senderKey, *refusal) {
	start := time.Now()
	if k != nil {
		k.counts.requests.Add(1)
	}
	if h.full() {
		return k, &refusal{status: http.StatusTooManyRequests, reason: "the buffer is full", retry: 5}
	}
	if !isJSONType(r.Header.Get("Content-Type")) {
		return k, &refusal{status: http.StatusUnsupportedMediaType, reason: "only JSON is taken: application/json or application/x-ndjson"}
	}
	if k == nil && r.Header.Get("Content-Encoding") != "" {
		return k, &refusal{status: http.StatusUnsupportedMediaType, reason: "a signed body is not compressed"}
	}
	room := &h.budget
	if k == nil {
		if room = &h.strangers; !h.signable(r, start) {
			return nil, h.stranger()
		}
	}
	if !room.enter() {
		return k, busy("too many requests are in flight")
	}
	text, taken, refused := h.readBody(r, room)
	if refused == nil && k == nil {
		if k = h.signer(r, text, start); k == nil {
			refused = h.stranger()
		} else {
			k.counts.requests.Add(1)
		}
	}
	var lines []string
	if refused == nil {
		k.counts.bytes.Add(int64(len(text)))
		lines, refused = splitJSON(text, h.config.maxLine)
	}
	if refused == nil && !room.charge(&taken, len(lines), lineMemory) {
		refused = busy("too many bytes of requests are in flight")
	}
	if refused != nil {
		room.leave(taken)
		return k, refused
	}
	ctx, cancel := context.WithTimeout(h.flights.ctx, h.config.timeout)
	defer cancel()
	own := &flight{done: make(chan struct{})}
	err := h.submit(ctx, own, sender(k, r), start, lines)
	h.flights.settle(own, func(error) { room.leave(taken) })
	if err == nil {
		err = h.flights.wait(ctx, own)
	}
	if err != nil {
		return k, unavailable()
	}
	k.counts.taken.Add(int64(len(lines)))
	answer(w, r, http.StatusOK, append(strconv.AppendInt([]byte(`{"accepted":`), int64(len(lines)), 10), '}'))
	return k, nil
}

// lineMemory is what a record takes beside its text.
const lineMemory = 96

// signable says that a request has what a signature needs, before its body is read.
func (h *hookInput) signable(r *http.Request, now time.Time) bool {
	for _, k := range h.config.keys {
		if k.signature == nil || !k.allows(r) {
			continue
		}
		if _, _, ok := k.signature.given(r.Header, now); ok {
			return true
		}
	}
	return false
}

// signer is the key whose signature the body bears.
func (h *hookInput) signer(r *http.Request, body string, now time.Time) (found *senderKey) {
	for _, k := range h.config.keys {
		if k.signature != nil && k.allows(r) && k.signature.verify(r.Header, body, now) {
			found = k
		}
	}
	return found
}

// submit gives the lines to the log, batch by batch.
func (h *hookInput) submit(ctx context.Context, own *flight, src *Source, received time.Time, lines []string) error {
	if err := h.flights.enter(ctx); err != nil {
		return err
	}
	defer h.flights.leave()
	var b *Batch
	for i, text := range lines {
		if b == nil {
			b = NewBatch()
			b.Source, b.Received = src, received
		}
		b.Lines = append(b.Lines, Line{Text: text})
		b.Size += len(text) + postCost
		if b.Size >= postBytes || len(b.Lines) >= postLines || i == len(lines)-1 {
			if err := h.flights.send(ctx, own, b); err != nil {
				return err
			}
			b = nil
		}
	}
	return nil
}

// isJSONType says whether a Content-Type is of JSON; none is taken for it.
func isJSONType(s string) bool {
	if s == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(s)
	if err != nil {
		return false
	}
	switch t {
	case "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "text/json":
		return true
	}
	return strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
}
