package outputs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// newEmail reads
//
//	output "email" "soc" {
//	  server         = "smtp.example.org:587"
//	  tls            = "starttls"              # "implicit"; "none": to this machine only
//	  from           = "Gatebook <gatebook@example.org>"
//	  to             = ["soc@example.org"]
//	  username       = "gatebook"
//	  password       = env("SMTP_PASSWORD")
//	  ca             = "/etc/gatebook/ca.pem"
//	  insecure       = false                   # tls = "none" to other machines
//	  states         = ["open", "close"]
//	  min_severity   = "high"                  # with a digest: "low"
//	  digest         = "15m"                   # what is below immediate_from, in one mail; "0s": none
//	  immediate_from = "high"
//	  subject_prefix = "[Gatebook]"
//	  rate           = "30/m"
//	  timeout        = "15s"
//	}
func newEmail(label string, body *conf.Body, env Env) (Output, Params) {
	digest := body.Duration("digest", 0, 0, 7*24*time.Hour)
	least := "high"
	if digest > 0 {
		least = "low"
	}
	sel := readSelectAlerts(body, least)
	p := Params{Workers: 1, BatchBytes: 1 << 20, BatchItems: 64, Idempotent: true, Match: sel.match}
	o := &emailOutput{
		sel: sel, digest: digest, immediate: severityNumber(body.Enum("immediate_from", "high", severityNames...)),
		prefix: cleanText(body.String("subject_prefix", "[Gatebook]"), 100), log: env.Logger.With("output", label, "kind", "email"),
		now: time.Now, gather: gathering{wait: gatherFor},
	}
	o.limit = newLimiter(readRate(body, "rate", rate{30, time.Minute}), time.Now)
	if body.Has("immediate_from") && digest == 0 {
		body.Warnf("immediate_from", `without digest = "15m" or another time every mail is sent at once`)
	}
	o.mailer = readMailer(body)
	if o.mailer == nil {
		return nil, p
	}
	return o, p
}

// readMailer reads how mail is sent; nil where something is wrong, which is noted.
func readMailer(body *conf.Body) *mailer {
	ok := true
	wrong := func(name, format string, args ...any) {
		body.Errorf(name, format, args...)
		ok = false
	}
	m := &mailer{timeout: body.Duration("timeout", 15*time.Second, time.Second, 5*time.Minute), mode: body.Enum("tls", "starttls", "starttls", "implicit", "none"),
		username: body.String("username", ""), password: body.String("password", "")}
	insecure := body.Bool("insecure", false)
	ok = m.readServer(body)
	ok = body.Require("from", `"Gatebook <gatebook@example.org>"`) && ok
	ok = body.Require("to", `["soc@example.org"]`) && ok
	if from, err := mail.ParseAddress(body.String("from", "")); err == nil {
		m.from = from
	} else if body.Has("from") {
		wrong("from", `wants an address such as "Gatebook <gatebook@example.org>"`)
	}
	for _, s := range body.Strings("to") {
		to, err := mail.ParseAddress(s)
		if err != nil {
			wrong("to", `wants addresses such as "soc@example.org"`)
			break
		}
		m.to = append(m.to, to)
	}
	if body.Has("to") && len(body.Strings("to")) == 0 {
		wrong("to", "wants one address or more")
	}
	if body.Has("username") != body.Has("password") {
		wrong("username", "username and password go together")
	}
	if body.Has("password") && !body.Sensitive("password") {
		body.Warnf("password", "a secret in the config is read by all who may read the config; better env(\"NAME\") or file(\"PATH\")")
	}
	if m.mode == "none" && m.username != "" {
		wrong("tls", "a password is not sent without TLS")
	}
	m.localOnly = m.mode == "none" && !insecure
	var err error
	if m.tls, err = hookTLS(body.String("ca", ""), body.String("cert", ""), body.String("key", "")); err != nil {
		wrong("ca", "%v", err)
	} else if m.tls != nil {
		m.tls.ServerName = m.host
	}
	if !ok {
		return nil
	}
	return m
}

func (m *mailer) readServer(body *conf.Body) bool {
	if !body.Require("server", `"smtp.example.org:587"`) {
		return false
	}
	server := body.String("server", "")
	if !strings.Contains(server, ":") {
		server += map[string]string{"starttls": ":587", "implicit": ":465", "none": ":25"}[m.mode]
	}
	host, port, err := net.SplitHostPort(server)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || n < 1 || n > 65535 || host == "" || strings.ContainsAny(host, "/ \r\n\t") {
		body.Errorf("server", `wants a name and a port, such as "smtp.example.org:587"`)
		return false
	}
	m.host, m.port = host, n
	return true
}

// errNotLocal is a server of another machine that mail would go to unencrypted.
var errNotLocal = errors.New("tls = \"none\" sends to this machine only, and the name leads elsewhere")

// dialLocal connects to this machine only.
func (m *mailer) dialLocal(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !ap.Addr().Unmap().IsLoopback() {
			return errNotLocal
		}
		return nil
	}}
	return d.DialContext(ctx, network, address)
}

// emailOutput mails alerts: those that are urgent at once, one mail for each triggering event, the others in a digest. What the digest
// is going to say is part of the reader's state, stored with the cursor in one step; the first alert of a digest is put
// off until it is due, and so wakes it, after a restart too. It is at-least-once; what is sent again has the same Message-ID.
type emailOutput struct {
	mailer    *mailer
	sel       selectAlerts
	digest    time.Duration // 0: all at once
	immediate int64
	prefix    string
	limit     *limiter
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex // a probe of the driver comes beside its one worker
	gather  gathering
	trouble bool // the last attempt failed
	state   digestState

	sent, folded atomic.Int64
}

// Restore takes back the digest that is being gathered.
func (o *emailOutput) Restore(state string) error {
	if err := o.state.parse(state); err != nil {
		o.log.Warn("digest that was being gathered cannot be read: its alerts are in the log", "err", err)
		o.state = digestState{}
	}
	return nil
}

// Checkpoint returns it.
func (o *emailOutput) Checkpoint() (string, error) { return o.state.text(), nil }

// Urgent never asks for a commit.
func (o *emailOutput) Urgent() bool { return false }

// Committed has nothing to do here.
func (o *emailOutput) Committed() (bool, error) { return false, nil }

// Close has nothing to do: connections end with each Write.
func (o *emailOutput) Close() error { return nil }

// Write mails what is urgent, and the digest where it is due; what is left goes into the digest.
func (o *emailOutput) Write(ctx context.Context, b *Batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	alerts, err := readAlerts(b, o.sel.match)
	if err != nil {
		return err
	}
	urgent, calm := o.split(alerts)
	w := &mailing{o: o, alerts: map[int]*batchAlert{}}
	defer w.end()
	var folded int
	urgent, w.items, folded = o.gather.sift(urgent, o.now(), !b.Final && !o.trouble)
	o.folded.Add(int64(folded))
	seqs := map[int]uint64{}
	for i := range urgent {
		w.alerts[urgent[i].index], seqs[urgent[i].index] = &urgent[i], urgent[i].seq
	}
	for _, n := range groupAlerts(urgent) {
		a := w.send(ctx, func() (*letter, error) { return o.alertLetter(n) })
		for _, i := range n.items {
			w.note(a, w.alerts[i])
		}
		if a.ok() || a.refused {
			o.gather.done(n, seqs, a.ok())
			o.folded.Add(int64(max(0, len(n.items)-1)))
		}
	}
	w.calm(ctx, calm, b.Final)
	if w.stopped != nil && !w.any {
		return w.stopped
	}
	return partial(o.mailer.host, w.items)
}

// split parts the alerts that are mailed at once from those of the digest.
func (o *emailOutput) split(alerts []batchAlert) (urgent, calm []batchAlert) {
	for _, a := range alerts {
		if o.digest > 0 && a.event.Severity.N < o.immediate || o.state.isAlarm(a.event.ID) {
			calm = append(calm, a)
		} else {
			urgent = append(urgent, a)
		}
	}
	return urgent, calm
}

// mailing is the state of one Write.
type mailing struct {
	o       *emailOutput
	alerts  map[int]*batchAlert
	items   []ItemError
	stopped *RequestError // the server is not to be asked any more
	any     bool          // something was taken, or refused for good
	session *mailSession
}

// send sends one mail, over the connection of this Write.
func (w *mailing) send(ctx context.Context, compose func() (*letter, error)) answer {
	o := w.o
	if w.stopped != nil {
		return answer{request: w.stopped, status: w.stopped.Status, reason: w.stopped.Error()}
	}
	fail := func(e *RequestError) answer {
		o.trouble, w.stopped = true, e
		return answer{request: e, status: e.Status, reason: e.Error()}
	}
	if err := o.limit.wait(ctx); err != nil {
		return fail(&RequestError{Host: o.mailer.host, Err: err})
	}
	l, err := compose()
	if err != nil {
		w.any = true
		return answer{refused: true, reason: fmt.Sprintf("compose mail: %v", err)}
	}
	if w.session == nil {
		s, err := o.mailer.dial(ctx)
		if err != nil {
			return fail(o.mailer.dialError(err))
		}
		w.session = s
	}
	a := w.session.send(l, o.log)
	switch {
	case a.request != nil:
		w.end()
		return fail(a.request)
	case a.again:
		o.trouble = true
		return a
	case !a.refused:
		o.sent.Add(1)
	}
	o.trouble, w.any = false, true
	return a
}

func (w *mailing) end() {
	if w.session != nil {
		w.session.close()
		w.session = nil
	}
}

// note says what becomes of an alert.
func (w *mailing) note(a answer, alert *batchAlert) {
	if !a.ok() {
		w.items = append(w.items, a.item(alert.index, alert.stream, alert.event.ID))
	}
}

// calm folds alerts into the digest and sends it where it is due. The state changes only where the alerts are settled by it.
func (w *mailing) calm(ctx context.Context, alerts []batchAlert, final bool) {
	o, now := w.o, w.o.now()
	if w.stopped != nil {
		for i := range alerts {
			w.note(answer{request: w.stopped, reason: w.stopped.Error()}, &alerts[i])
		}
		return
	}
	next := o.state.clone()
	var alarm *batchAlert
	folded := 0
	for i := range alerts {
		a := &alerts[i]
		switch a.event.ID {
		case next.Alarm:
			alarm = a
		case next.LastAlarm:
		default:
			if next.Alarm == "" {
				next.begin(a.event.ID, now, o.digest)
				alarm = a
			}
			next.fold(&a.event)
			folded++
		}
	}
	if next.Alarm == "" {
		return
	}
	next.shrink()
	if due := time.Unix(0, next.Due); !final && o.digest > 0 && now.Before(due) {
		o.state = next
		o.folded.Add(int64(folded))
		if alarm != nil {
			w.items = append(w.items, ItemError{Index: alarm.index, Verdict: Later, Until: due, Stream: alarm.stream, ID: alarm.event.ID})
		}
		return
	}
	a := w.send(ctx, func() (*letter, error) { return o.digestLetter(&next) })
	switch {
	case a.ok():
		o.folded.Add(int64(folded))
		o.state = digestState{LastAlarm: next.Alarm}
	case a.refused:
		o.log.Error("digest of alerts is refused for good: they are in the log", "alerts", next.total(), "reason", a.reason)
		o.state = digestState{LastAlarm: next.Alarm}
		if alarm != nil {
			w.note(a, alarm)
		}
	default:
		for i := range alerts {
			w.note(a, &alerts[i])
		}
	}
}
