package outputs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// A Responder carries out what rules ask for beside an alert: it posts signed requests to the webhooks that the config names, and
// takes them back after a time. It is an Output on the log of alerts:
//
//	alert -> Write -> pending/  -- Approve --> due/ -- post "do" --> active/ -- ttl, post "undo" --> done/
//	              \-> due/ (approve = "auto")
//	              \-> done/ (dry_run, never, denied, expired, refused)
//
// It promises: nothing is asked of a webhook before a file says so durably, and what was asked for is taken back, over any
// restart; at most, each phase is sent more than once, with the same id. The target is the user or the address of the alert
// and nothing else; those under never are never touched. Every step is told as an event of dataset gatebook.respond.
type Responder struct {
	dir     string
	actions map[string]*respondAction
	tell    func(ctx context.Context, fill func(*event.Event)) error
	log     *slog.Logger
	now     func() time.Time

	mu       sync.Mutex
	requests map[string]*respondRequest // all that files tell of
	wake     chan struct{}
	stop     context.CancelFunc
	stopped  chan struct{}
	pruned   time.Time
}

// respondDataset is where steps are told.
const respondDataset = event.DatasetPrefix + "respond"

// RespondDir is where requests are kept; Approvals, Approve and Deny want it.
func RespondDir(dataDir string) string { return filepath.Join(dataDir, "respond") }

// respondAction is a block of the config.
type respondAction struct {
	hook   *hook
	user   bool // the target is a user, else an address
	ttlMax time.Duration
	never  neverList
	dryRun bool
	auto   bool
	rate   rate
}

// RespondFromConfig reads the blocks
//
//	respond "disable_user" {
//	  url     = "https://iam.example.org/hooks/gatebook"   # and method, headers, secret, timeout, ca, cert, key, allow, proxy, as webhooks
//	  target  = "user"                 # or "address"
//	  ttl_max = "24h"                  # longest time before it is undone
//	  never   = ["root", "admin@example.org", "192.0.2.0/24"]
//	  dry_run = true                   # only tell what would be done
//	  approve = "manual"               # "auto": where the rule says so too
//	  rate    = "10/h"                 # automatic ones; others wait for approval
//	}
//
// nil where there are none, or where something is wrong, which is noted.
func RespondFromConfig(blocks []*conf.Block, env Env) (*Responder, Params) {
	p := Params{Workers: 1, BatchBytes: 1 << 20, BatchItems: 256, Idempotent: true, Required: true, Match: asksResponse}
	if env.Logger == nil {
		env.Logger = slog.Default()
	}
	r := &Responder{dir: RespondDir(env.DataDir), actions: map[string]*respondAction{}, tell: env.Tell, log: env.Logger.With("output", "respond"),
		now: time.Now, requests: map[string]*respondRequest{}, wake: make(chan struct{}, 1)}
	ok := true
	for _, k := range blocks {
		if !validAction(k.Labels[0]) {
			k.LabelErrorf(0, "wants letters, digits and _")
			ok = false
		}
		a := readRespondAction(k.Body, env)
		k.Body.Close()
		ok = ok && a != nil
		r.actions[k.Labels[0]] = a
	}
	if !ok || len(blocks) == 0 {
		return nil, p
	}
	return r, p
}

func validAction(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func readRespondAction(body *conf.Body, env Env) *respondAction {
	a := &respondAction{hook: readHook(body, env), ttlMax: body.Duration("ttl_max", 24*time.Hour, time.Second, 0), dryRun: body.Bool("dry_run", true)}
	ok := a.hook != nil
	ok = body.Require("target", `"user"`) && ok
	a.user = body.Enum("target", "user", "user", "address") == "user"
	a.auto = body.Enum("approve", "manual", "manual", "auto") == "auto"
	a.rate = readRate(body, "rate", rate{10, time.Hour})
	for _, s := range body.Strings("never") {
		if strings.TrimSpace(s) == "" {
			body.Errorf("never", "wants users, addresses and networks")
			return nil
		}
		a.never.add(s)
	}
	if !a.dryRun && !body.Has("secret") {
		body.Errorf("secret", "a webhook that acts has to know who asks: secret = env(\"NAME\")")
		ok = false
	}
	if !ok {
		return nil
	}
	a.hook.header.Set("Content-Type", "application/json")
	return a
}

// neverList holds who is never touched.
type neverList struct {
	users    map[string]bool
	networks []netip.Prefix
}

func (l *neverList) add(s string) {
	if p, err := parsePrefix(s); err == nil {
		l.networks = append(l.networks, p)
	}
	if l.users == nil {
		l.users = map[string]bool{}
	}
	l.users[foldUser(s)] = true
}

func foldUser(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// holds tells whether a target is never to be touched. A user is known by name and by key, and the key is made of realm and name.
func (l *neverList) holds(t *respondTarget) bool {
	if t.Type == "user" {
		return l.users[foldUser(t.Name)] || t.Key != "" && l.users[foldUser(t.Key)]
	}
	a, err := netip.ParseAddr(t.Address)
	if err != nil {
		return true
	}
	a = a.WithZone("").Unmap()
	if localAddress(a) {
		return true
	}
	for _, p := range l.networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// asksResponse tells whether an alert asks for actions: when it opens.
func asksResponse(ev *event.Event) bool {
	return isAlert(ev) && ev.Alert.State == "open" && len(ev.Alert.Respond) > 0
}

// Start reads the requests of earlier runs and begins to carry them out.
func (r *Responder) Start(context.Context) error {
	if r.stop != nil {
		return nil
	}
	if err := r.load(); err != nil {
		return &RequestError{Host: "respond", Err: fmt.Errorf("read requests: %w", err), Remedy: "check the disk and the rights of " + r.dir}
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.stopped = stop, make(chan struct{})
	go func() {
		defer close(r.stopped)
		r.run(ctx)
	}()
	return nil
}

// Close ends what Start began.
func (r *Responder) Close() error {
	if r.stop != nil {
		r.stop()
		<-r.stopped
		r.stop = nil
	}
	for _, a := range r.actions {
		if a != nil {
			a.hook.close()
		}
	}
	return nil
}

// Write notes durably what alerts ask for. An alert that comes again changes nothing.
func (r *Responder) Write(ctx context.Context, b *Batch) error {
	alerts, err := readAlerts(b, asksResponse)
	if err != nil {
		return err
	}
	for i := range alerts {
		ev := &alerts[i].event
		for _, ask := range ev.Alert.Respond[:min(len(ev.Alert.Respond), mostAsked)] {
			if err := r.asked(ctx, ev, ask); err != nil {
				return &RequestError{Host: "respond", Err: err, Remedy: "check the disk and the rights of " + r.dir}
			}
		}
	}
	return nil
}

// mostAsked bounds the actions of one alert, mostPending those that wait for a person.
const (
	mostAsked   = 10
	mostPending = 1000
)

// asked takes in one action that an alert asks for.
func (r *Responder) asked(ctx context.Context, ev *event.Event, ask string) error {
	name, ttl, auto := parseAsk(ask)
	q := &respondRequest{
		Action: cleanText(name, 64), Rule: cleanText(ev.Rule.ID, mostName), Title: cleanText(ev.Message, mostTitle), Alert: cleanText(ev.Alert.ID, mostName),
		Created: r.now().UTC(),
	}
	a := r.actions[name]
	if a == nil {
		q.ID = requestID(q)
		return r.finish(ctx, q, "refused", fmt.Sprintf("the config has no action %q", q.Action))
	}
	q.Target = targetOf(a, ev)
	q.ID = requestID(q)
	r.mu.Lock()
	_, known := r.requests[q.ID]
	r.mu.Unlock()
	if known {
		return nil
	}
	if ttl <= 0 || ttl > a.ttlMax {
		ttl = a.ttlMax
	}
	q.TTL = int64(ttl / time.Second)
	switch {
	case q.Target.empty():
		return r.finish(ctx, q, "refused", "the alert names no such target")
	case a.never.holds(&q.Target):
		return r.finish(ctx, q, "refused", "the target is never to be touched")
	case a.dryRun:
		return r.finish(ctx, q, "dry-run", "dry_run = true: nothing was asked")
	}
	if auto && a.auto {
		if r.withinRate(name, a.rate) {
			q.Auto = true
			q.Decided = q.Created
			return r.move(ctx, q, stateDue, "automatic", "")
		}
		q.Reason = "more automatic ones than rate allows"
	}
	if r.count(statePending) >= mostPending {
		return r.finish(ctx, q, "refused", "too many requests wait for approval")
	}
	return r.move(ctx, q, statePending, "pending", q.Reason)
}

// parseAsk reads "disable_user ttl=1h approve=auto".
func parseAsk(s string) (name string, ttl time.Duration, auto bool) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return "", 0, false
	}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "ttl":
			if d, err := conf.ParseDuration(v); err == nil {
				ttl = d
			}
		case "approve":
			auto = v == "auto"
		}
	}
	return words[0], ttl, auto
}

func targetOf(a *respondAction, ev *event.Event) respondTarget {
	if a.user {
		return respondTarget{Type: "user", Name: targetText(ev.User.Name), Key: targetText(ev.UserKey)}
	}
	t := respondTarget{Type: "address"}
	if addr, err := netip.ParseAddr(ev.Source.IP); err == nil {
		t.Address = addr.WithZone("").Unmap().String()
	}
	return t
}

// targetText is a name as it is; one that would have to be changed to be safe is no target.
func targetText(s string) string {
	if cleanText(s, mostName) != s {
		return ""
	}
	return strings.Clone(s)
}

// requestID is the same for an alert, an action and a target.
func requestID(q *respondRequest) string {
	h := sha256.New()
	for _, s := range []string{q.Alert, q.Action, q.Target.Type, q.Target.Name, q.Target.Key, q.Target.Address} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// withinRate tells whether one more automatic request is within the rate.
func (r *Responder) withinRate(action string, most rate) bool {
	if most.n == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n, since := 0, r.now().Add(-most.per)
	for _, q := range r.requests {
		if q.Auto && q.Action == action && q.Created.After(since) {
			n++
		}
	}
	return n < most.n
}

func (r *Responder) count(state string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, q := range r.requests {
		if q.state == state {
			n++
		}
	}
	return n
}
