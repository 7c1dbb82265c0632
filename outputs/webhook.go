package outputs

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// newWebhook reads
//
//	output "webhook" "pager" {
//	  url          = env("PAGER_URL")
//	  method       = "POST"                           # or "PUT", "PATCH"
//	  headers      = { Authorization = env("TOKEN") }
//	  template     = "default"                        # "slack", "teams", or the path of a file
//	  body         = "{\"text\": {{json .Title}}}"    # in place of template
//	  secret       = env("PAGER_SECRET")              # signs each body
//	  states       = ["open", "close"]
//	  min_severity = "high"
//	  rate         = "60/m"
//	  timeout      = "10s"
//	  ca, cert, key                                   # paths
//	  allow        = ["127.0.0.0/8"]                  # local addresses that may be dialled
//	  proxy        = "http://proxy.example.com:3128"
//	}
func newWebhook(label string, body *conf.Body, env Env) (Output, Params) {
	sel := readSelectAlerts(body, "high")
	p := Params{Workers: 1, BatchBytes: 1 << 20, BatchItems: 64, Idempotent: true, Match: sel.match}
	r := readRate(body, "rate", rate{60, time.Minute})
	h := readHook(body, env)
	isJSON := h == nil || jsonType(h.header.Get("Content-Type"))
	t := readTemplate(body, isJSON)
	if h == nil || t == nil {
		return nil, p
	}
	return newWebhookOutput(h, t, isJSON, sel, newLimiter(r, time.Now), env.Logger.With("output", label, "kind", "webhook")), p
}

func jsonType(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return t == "application/json" || strings.HasSuffix(t, "+json")
}

// webhookOutput posts a notification for each triggering event. It is at-least-once: what was sent when the power went is sent again,
// under the same id. The driver writes with one worker, so that an alert is opened before it is closed.
type webhookOutput struct {
	hook     *hook
	template *hookTemplate
	json     bool
	sel      selectAlerts
	limit    *limiter
	log      *slog.Logger
	now      func() time.Time

	mu      sync.Mutex // a probe of the driver comes beside its one worker
	gather  gathering
	trouble bool // the last attempt failed
	badAt   time.Time

	sent, folded, fallbacks atomic.Int64
}

func newWebhookOutput(h *hook, t *hookTemplate, json bool, sel selectAlerts, l *limiter, log *slog.Logger) *webhookOutput {
	return &webhookOutput{hook: h, template: t, json: json, sel: sel, limit: l, log: log, now: time.Now, gather: gathering{wait: gatherFor}}
}

// NotifyFigures are figures of an output that notifies, since the start of this process.
type NotifyFigures struct {
	Sent      int64 // notifications or mails
	Folded    int64 // alerts told with another one of the same event, or in a digest
	Fallbacks int64 // bodies that were no JSON and were sent in the default form
}

// Notify returns the figures of an output that notifies.
func Notify(o Output) (NotifyFigures, bool) {
	switch o := o.(type) {
	case *webhookOutput:
		return NotifyFigures{o.sent.Load(), o.folded.Load(), o.fallbacks.Load()}, true
	case *emailOutput:
		return NotifyFigures{Sent: o.sent.Load(), Folded: o.folded.Load()}, true
	}
	return NotifyFigures{}, false
}

// Write posts the notifications of a batch.
func (o *webhookOutput) Write(ctx context.Context, b *Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	alerts, err := readAlerts(b, o.sel.match)
	if err != nil {
		return err
	}
	w := &posting{o: o, alerts: map[int]*batchAlert{}}
	hold := !b.Final && !o.trouble // what has failed has waited long enough
	var folded int
	alerts, w.items, folded = o.gather.sift(alerts, o.now(), hold)
	o.folded.Add(int64(folded))
	seqs := map[int]uint64{}
	for i := range alerts {
		w.alerts[alerts[i].index] = &alerts[i]
		seqs[alerts[i].index] = alerts[i].seq
	}
	for _, n := range groupAlerts(alerts) {
		if w.stopped == nil {
			w.post(ctx, n)
		} else {
			w.leave(n, answer{reason: w.stopped.Error(), status: w.stopped.Status})
		}
		if !w.left {
			o.gather.done(n, seqs, w.told)
		}
	}
	if w.stopped != nil && !w.any {
		return w.stopped
	}
	return partial(o.hook.host, w.items)
}

// Close closes the connections.
func (o *webhookOutput) Close() error {
	o.hook.close()
	return nil
}

// posting is the state of one Write.
type posting struct {
	o          *webhookOutput
	alerts     map[int]*batchAlert
	items      []ItemError
	stopped    *RequestError // the server is not to be asked any more
	any        bool          // something was taken, or refused for good
	left, told bool          // of the last notification: it is to be sent again; it was taken
}

func (w *posting) post(ctx context.Context, n *Notification) {
	o := w.o
	if err := o.limit.wait(ctx); err != nil {
		w.stopped = &RequestError{Host: o.hook.host, Err: err}
		w.leave(n, answer{reason: err.Error()})
		return
	}
	a := o.hook.post(ctx, n.ID, o.render(n))
	w.left, w.told = false, a.ok()
	switch {
	case a.request != nil:
		o.trouble, w.stopped = true, a.request
		w.leave(n, answer{reason: a.request.Error(), status: a.status})
		return
	case a.again:
		o.trouble = true
		w.leave(n, a)
		return
	case a.refused:
		for _, i := range n.items {
			w.items = append(w.items, a.item(i, w.alerts[i].stream, w.alerts[i].event.ID))
		}
	default:
		o.sent.Add(1)
		o.folded.Add(int64(len(n.items) - 1))
	}
	o.trouble, w.any = false, true
}

// leave notes that the items of a notification are to come again.
func (w *posting) leave(n *Notification, a answer) {
	w.left, w.told = true, false
	for _, i := range n.items {
		w.items = append(w.items, a.item(i, w.alerts[i].stream, w.alerts[i].event.ID))
	}
}

// render makes the body. One that should be JSON and is not is replaced by the default form: better told in another form
// than not at all.
func (o *webhookOutput) render(n *Notification) []byte {
	body, err := o.template.render(n, o.json)
	if err == nil {
		return body
	}
	o.fallbacks.Add(1)
	if now := o.now(); now.Sub(o.badAt) >= time.Minute {
		o.badAt = now
		o.log.Error("template of a notification fails, the default form is sent", "rule", n.Rule.ID, "err", err,
			"remedy", "write each value as {{json .Title}}, and see docs/alerts.md")
	}
	return defaultBody(n)
}

func defaultBody(n *Notification) []byte {
	body, err := json.Marshal(n)
	if err != nil { // numbers that JSON does not have
		m := *n
		m.Risk = 0
		body, _ = json.Marshal(&m)
	}
	return body
}
