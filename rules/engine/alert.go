package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
)

// AlertState is gatebook.alert.state.
type AlertState string

// The states of an alert's records. A merged alert turned out to be part of another one; it closes with no hits.
const (
	StateOpen   AlertState = "open"
	StateUpdate AlertState = "update"
	StateClose  AlertState = "close"
)

// Alert is one record of an alert. It is valid during the call that tells of it; its texts and lists may be kept.
type Alert struct {
	Rule     *rules.Rule
	ID       string // joins the records of one alert
	EventID  string // of this record
	State    AlertState
	Merged   bool // with State close: it was no alert of its own
	Shadow   bool
	Revision int64
	By       string   // grouping, as the rule has it
	Key      []string // values of its terms
	First    event.Time
	Last     event.Time
	Hits     int64 // firings folded so far
	Count    int64 // what the window or the steps of the latest firing held
	Title    string
	Summary  string
	Trigger  string   // event.id of the event that fired; "" where time did
	Evidence []string // event.id, oldest first, the latest ones

	about about
}

// emit tells a record of an alert. After a restart records are told again, under the same id.
func (e *Engine) emit(ep *episode, t *told, state AlertState, first, last event.Time, hits int64, h *hit) {
	t.revision++
	a := e.alertOf(ep, t, state, first, last, hits, h)
	e.tellAlert(ep.run, &a)
}

func (e *Engine) emitMerged(ep *episode, t *told) {
	t.revision++
	a := e.alertOf(ep, t, StateClose, ep.first, ep.last, 0, &ep.latest)
	a.Merged, a.Summary = true, "part of alert "+ep.told.id+", as events that came later show"
	e.tellAlert(ep.run, &a)
}

func (e *Engine) tellAlert(x *run, a *Alert) {
	e.stats.Alerts++
	x.stats.Alerts++
	e.options.Alert(a)
}

func (e *Engine) alertOf(ep *episode, t *told, state AlertState, first, last event.Time, hits int64, h *hit) Alert {
	a := Alert{Rule: ep.run.rule, ID: t.id, EventID: alertEventID(t.id, t.revision), State: state, Shadow: t.shadow, Revision: t.revision,
		By: byText(ep.run.rule, ep.area), First: first, Last: last, Hits: hits, Count: h.count, Title: h.title,
		Trigger: e.names.text(h.id), about: h.about}
	if ep.key.text != "" || len(ep.run.rule.By) > 0 {
		a.Key = strings.Split(ep.key.text, keySeparator)
	}
	for _, id := range h.evidence {
		if s := e.names.text(id); s != "" {
			a.Evidence = append(a.Evidence, s)
		}
	}
	a.about.complete(ep.run.rule, ep.area, a.Key)
	a.Summary = a.summary()
	return a
}

// complete fills what is not known of the event from the key: of a hit that an event brought about which came late, only that is at hand.
func (a *about) complete(r *rules.Rule, grouping int, key []string) {
	if grouping >= len(r.By) || len(r.By[grouping]) != len(key) {
		return
	}
	for i, term := range r.By[grouping] {
		f, ok := term.(*rules.Field)
		if !ok {
			continue
		}
		for _, known := range [...]struct {
			field event.FieldID
			text  *string
		}{{event.FieldUserName, &a.user}, {event.FieldGatebookUserKey, &a.userKey}, {event.FieldSourceIp, &a.address}, {event.FieldHostName, &a.host},
			{event.FieldEventDataset, &a.dataset}, {event.FieldUserTargetName, &a.userTarget}} {
			if f.Field.ID == known.field && f.Field.Key == "" && *known.text == "" {
				*known.text = key[i]
			}
		}
	}
}

// alertEventID is no id of the log's form: it is the same whenever the record is made again.
func alertEventID(id string, revision int64) string {
	return "alert-" + id + "-" + strconv.FormatInt(revision, 10)
}

func byText(r *rules.Rule, grouping int) string {
	if grouping < len(r.ByText) {
		return r.ByText[grouping]
	}
	return ""
}

// summary says in words what the alert stands on.
func (a *Alert) summary() string {
	var b strings.Builder
	b.WriteString(a.Title)
	if a.By != "" {
		fmt.Fprintf(&b, "; %s = %s", a.By, strings.Join(a.Key, ", "))
	}
	if a.Hits > 1 {
		fmt.Fprintf(&b, "; fired %d times from %s to %s", a.Hits, a.First, a.Last)
	} else {
		fmt.Fprintf(&b, "; fired at %s", a.First)
	}
	if a.Count > 0 {
		fmt.Fprintf(&b, " on %d event", a.Count)
		if a.Count != 1 {
			b.WriteByte('s')
		}
	}
	return b.String()
}

// linkMargin is added to both ends of Span: a source's clock may be off, and late events count.
const linkMargin = event.Time(time.Hour)

// Span is the time that the evidence is of, with some margin.
func (a *Alert) Span() (first, last event.Time) {
	r := a.Rule
	before := r.Window
	if r.Sequence != nil {
		before = max(before, r.Sequence.Within)
	}
	if r.Session != nil {
		before = max(before, r.Session.Idle)
	}
	return a.First - event.Time(before) - linkMargin, a.Last + linkMargin
}

// Fill makes the alert an event.
func (a *Alert) Fill(ev *event.Event) {
	r := a.Rule
	ev.Kind, ev.Dataset = event.KindAlert, event.DatasetPrefix+"alert"
	ev.Time, ev.Start, ev.End = a.Last, a.First, a.Last
	ev.ID = a.EventID
	ev.DocID = a.EventID
	ev.Message = a.Title
	ev.Severity, ev.Risk = event.LongOf(r.Severity.Number()), event.Float{F: r.Risk, Valid: true}
	ev.Category, ev.Type = "intrusion_detection", "info"
	for _, tag := range r.Tags {
		ev.Tag(tag)
	}
	rule := ev.NeedRule()
	rule.ID, rule.Name, rule.Description, rule.Ruleset, rule.Version = r.ID, r.Name(), r.Description, ruleset(r), r.Meaning
	if len(r.References) > 0 {
		rule.Reference = r.References[0]
	}
	if area, _, ok := strings.Cut(r.ID, "."); ok {
		rule.Category = area
	}
	a.fillThreat(ev)
	w := &a.about
	ev.User.Name, ev.UserKey, ev.Source.IP, ev.Host.Name = w.user, w.userKey, w.address, w.host
	ev.Source.Geo.CountryISO = w.country
	if w.userTarget != "" {
		ev.NeedUserTarget().Name = w.userTarget
	}
	if w.dataset != "" {
		ev.Label("dataset", w.dataset)
	}
	if w.action != "" {
		ev.Label("action", w.action)
	}
	n := ev.NeedAlert()
	n.ID, n.State, n.Summary, n.By, n.Event, n.Runbook = a.ID, string(a.State), a.Summary, a.By, a.Trigger, r.Runbook
	n.Key, n.Events = strings.Join(a.Key, ", "), a.Evidence
	n.Revision, n.Count, n.Mode = event.LongOf(a.Revision), event.LongOf(a.Hits), string(r.Mode)
	if a.Merged {
		ev.Tag("merged")
	}
	if a.Shadow {
		n.Mode = string(rules.ModeShadow)
	} else if r.Mode == rules.ModeRespond {
		for _, respond := range r.Respond {
			n.Respond = append(n.Respond, fmt.Sprintf("%s ttl=%s approve=%s", respond.Name, respond.TTL, respond.Approve))
		}
	}
}

func ruleset(r *rules.Rule) string {
	if r.Library {
		return "gatebook"
	}
	return "site"
}

func (a *Alert) fillThreat(ev *event.Event) {
	if len(a.Rule.Attack) == 0 {
		return
	}
	t := ev.NeedThreat()
	t.Framework = "MITRE ATT&CK"
	add := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, k := range a.Rule.Attack {
		for i, id := range k.TacticIDs {
			add(&t.TacticID, id)
			add(&t.TacticName, k.TacticNames[i])
		}
		if k.ParentID == "" {
			add(&t.TechniqueID, k.ID)
			add(&t.TechniqueName, k.Name)
			continue
		}
		add(&t.TechniqueID, k.ParentID)
		add(&t.TechniqueName, k.ParentName)
		add(&t.SubID, k.ID)
		add(&t.SubName, k.Name)
	}
}

func aboutOf(ev *event.Event) about {
	a := about{user: ev.User.Name, userKey: ev.UserKey, address: ev.Source.IP, host: ev.Host.Name, dataset: ev.Dataset,
		country: ev.Source.Geo.CountryISO, action: ev.Action.String()}
	if ev.UserTarget != nil {
		a.userTarget = ev.UserTarget.Name
	}
	return a
}

// feed gives a new alert to the rules over alerts; shadow ones are seen by none.
func (e *Engine) feed(ep *episode) {
	if ep.told.shadow || !e.overAlerts {
		return
	}
	a := e.alertOf(ep, ep.told, StateOpen, ep.first, ep.first, 1, &ep.latest)
	ev := &event.Event{}
	a.Fill(ev)
	ev.Time = ep.first
	e.fed = append(e.fed, fedAlert{ev, e.names.of(a.EventID)})
}

type fedAlert struct {
	event *event.Event
	id    eventID
}
