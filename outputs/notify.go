package outputs

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Notifies tells whether outputs of a kind tell people of alerts: they want a log of alerts alone.
func Notifies(kind string) bool { return kind == "webhook" || kind == "email" }

// Notification is what people are told of one triggering event: the alerts of one rule, in one state, that it opened or
// closed, one for each grouping of the rule. Its fields are the default payload of webhooks and the data of templates
// (docs/alerts.md). No text in it has a control character, all are bounded.
type Notification struct {
	Version  int           `json:"version"`
	ID       string        `json:"id"` // the same whenever it is sent again
	State    string        `json:"state"`
	Title    string        `json:"title"`
	Rule     NotifiedRule  `json:"rule"`
	Severity NotifiedLevel `json:"severity"`
	Risk     float64       `json:"risk_score"`
	Time     string        `json:"time"`            // of the triggering event, RFC 3339
	Event    string        `json:"event,omitempty"` // its id; none where time fired the rule
	Alerts   []Notified    `json:"alerts"`
	More     int           `json:"more_alerts,omitempty"` // how many there are beyond those listed
	User     string        `json:"user,omitempty"`
	UserKey  string        `json:"user_key,omitempty"`
	Source   string        `json:"source,omitempty"` // address
	Country  string        `json:"country,omitempty"`
	Host     string        `json:"host,omitempty"`
	Tactics  []string      `json:"tactics,omitempty"`
	Attack   []string      `json:"attack,omitempty"` // ids of techniques
	Tags     []string      `json:"tags,omitempty"`
	Runbook  string        `json:"runbook,omitempty"`
	URL      string        `json:"url,omitempty"` // where the evidence of the first alert can be looked at

	items []int // of the batch
}

// NotifiedRule is the rule of a notification.
type NotifiedRule struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"` // the title without the particulars of one alert
	Description string `json:"description,omitempty"`
	Reference   string `json:"reference,omitempty"`
}

// NotifiedLevel is a severity.
type NotifiedLevel struct {
	Name   string `json:"name"`
	Number int64  `json:"number"`
}

// Notified is one alert of a notification.
type Notified struct {
	ID       string   `json:"id"` // joins open and close
	Title    string   `json:"title"`
	By       string   `json:"by,omitempty"`
	Key      string   `json:"key,omitempty"`
	Summary  string   `json:"summary,omitempty"`
	Revision int64    `json:"revision"`
	Count    int64    `json:"count"`
	First    string   `json:"first,omitempty"`
	Last     string   `json:"last,omitempty"`
	Events   []string `json:"events,omitempty"` // ids of the evidence, the latest 20
}

// Bounds of what is sent.
const (
	mostAlerts = 20
	mostEvents = 20
	mostTitle  = 300
	mostURL    = 4000
	mostText   = 2000
	mostName   = 300
)

// The severities of alerts, as numbers of event.severity.
const (
	severityLow      = 21
	severityMedium   = 47
	severityHigh     = 73
	severityCritical = 99
)

var severityNames = []string{"low", "medium", "high", "critical"}

func severityNumber(name string) int64 {
	return []int64{severityLow, severityMedium, severityHigh, severityCritical}[max(slices.Index(severityNames, name), 0)]
}

func severityName(n int64) string {
	switch {
	case n >= severityCritical:
		return "critical"
	case n >= severityHigh:
		return "high"
	case n >= severityMedium:
		return "medium"
	}
	return "low"
}

// selectAlerts is what notifying outputs read alike: which alerts they tell of.
type selectAlerts struct {
	states []string
	least  int64
}

// backfillTag marks alerts on events that were old when they were read.
const backfillTag = "backfill"

func readSelectAlerts(body *conf.Body, least string) selectAlerts {
	s := selectAlerts{states: []string{"open", "close"}, least: severityNumber(body.Enum("min_severity", least, severityNames...))}
	if body.Has("states") {
		s.states = body.Strings("states")
		for _, state := range s.states {
			if state != "open" && state != "update" && state != "close" {
				body.Errorf("states", `wants some of "open", "update", "close"`)
				break
			}
		}
		if len(s.states) == 0 {
			body.Errorf("states", `wants some of "open", "update", "close"`)
		}
	}
	return s
}

// match tells whether an event is an alert that is to be told.
func (s *selectAlerts) match(ev *event.Event) bool {
	return isAlert(ev) && ev.Severity.Valid && ev.Severity.N >= s.least && slices.Contains(s.states, ev.Alert.State)
}

// isAlert tells whether an event is an alert that anybody is to hear of: neither one in shadow nor one about old events.
func isAlert(ev *event.Event) bool {
	return ev.Kind == event.KindAlert && ev.Alert != nil && ev.Rule != nil && ev.Alert.Mode != "shadow" && !slices.Contains(ev.Tags, backfillTag)
}

// batchAlert is an alert of a batch. Its event lives as long as the batch.
type batchAlert struct {
	index  int
	seq    uint64
	stream string
	event  event.Event
}

// readAlerts decodes the alerts of a batch; what is no alert is left out: it counts as taken.
func readAlerts(b *Batch, match func(*event.Event) bool) ([]batchAlert, error) {
	var out []batchAlert
	n := 0
	for k := range b.Parts {
		p := &b.Parts[k]
		items, err := p.Items()
		if err != nil {
			return nil, err
		}
		var dec event.Decoder
		dec.Reset(p.Typed)
		for i := range p.Ends {
			item := p.Item(items, i)
			a := batchAlert{index: n, seq: p.Seq(i)}
			n++
			if err := dec.Next(item, &a.event); err != nil || !match(&a.event) {
				continue
			}
			a.stream = string(StreamOf(item))
			if a.event.ID == "" {
				a.event.ID = string(IDOf(item))
			}
			out = append(out, a)
		}
	}
	return out, nil
}

// groupAlerts makes notifications: one of the alerts of one rule with the same triggering event and state.
func groupAlerts(alerts []batchAlert) []*Notification {
	var out []*Notification
	byID := map[string]*Notification{}
	for i := range alerts {
		a := &alerts[i]
		id := notificationID(&a.event)
		n := byID[id]
		if n == nil {
			n = newNotification(id, &a.event)
			byID[id] = n
			out = append(out, n)
		}
		n.items = append(n.items, a.index)
		n.add(&a.event)
	}
	return out
}

// notificationID is the same for alerts that are told together, and whenever they are told again. An update is told by itself.
func notificationID(ev *event.Event) string {
	h := sha256.New()
	part := func(s string) {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	part(ev.Rule.ID)
	part(ev.Alert.State)
	if ev.Alert.Event != "" && ev.Alert.State != "update" {
		part("event")
		part(ev.Alert.Event)
	} else {
		part("alert")
		part(ev.Alert.ID)
		part(strconv.FormatInt(ev.Alert.Revision.N, 10))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func newNotification(id string, ev *event.Event) *Notification {
	n := &Notification{
		Version: 1, ID: id, State: ev.Alert.State, Title: cleanText(ev.Message, mostTitle), URL: cleanText(ev.Link, mostURL),
		Rule:     NotifiedRule{cleanText(ev.Rule.ID, mostName), cleanText(ev.Rule.Name, mostTitle), cleanText(ev.Rule.Description, mostText), cleanText(ev.Rule.Reference, mostText)},
		Severity: NotifiedLevel{severityName(ev.Severity.N), ev.Severity.N}, Risk: ev.Risk.F,
		Time: timeText(ev.Time), Event: cleanText(ev.Alert.Event, mostName),
		User: cleanText(ev.User.Name, mostName), UserKey: cleanText(ev.UserKey, mostName), Source: cleanText(ev.Source.IP, mostName),
		Country: cleanText(ev.Source.Geo.CountryISO, mostName), Host: cleanText(ev.Host.Name, mostName),
		Tags: cleanList(ev.Tags), Runbook: cleanText(ev.Alert.Runbook, mostText),
	}
	if n.Title == "" {
		n.Title = n.Rule.ID
	}
	if t := ev.Threat; t != nil {
		n.Tactics, n.Attack = cleanList(t.TacticName), cleanList(append(slices.Clone(t.TechniqueID), t.SubID...))
	}
	return n
}

func (n *Notification) add(ev *event.Event) {
	if len(n.Alerts) == mostAlerts {
		n.More++
		return
	}
	a := ev.Alert
	n.Alerts = append(n.Alerts, Notified{
		ID: cleanText(a.ID, mostName), Title: cleanText(ev.Message, mostTitle), By: cleanText(a.By, mostName), Key: cleanText(a.Key, mostName),
		Summary: cleanText(a.Summary, mostText), Revision: a.Revision.N, Count: a.Count.N,
		First: timeText(ev.Start), Last: timeText(ev.End), Events: cleanList(a.Events),
	})
}

// Keys are the keys of all alerts, with what they are keys of.
func (n *Notification) Keys() []string {
	var out []string
	for i := range n.Alerts {
		if a := &n.Alerts[i]; a.By != "" || a.Key != "" {
			out = append(out, a.By+" = "+a.Key)
		}
	}
	return out
}

func timeText(t event.Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

func cleanList(list []string) []string {
	list = list[max(0, len(list)-mostEvents):]
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, cleanText(s, mostName))
	}
	return out
}

// cleanText copies a text of an event, with blanks for control characters and line breaks, without what turns the direction of
// writing or cannot be seen, cut to so many bytes.
func cleanText(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Co, r):
			r = '\uFFFD'
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			r = ' '
		case unicode.Is(unicode.Cf, r): // directions, joiners, tags, a byte order mark
			continue
		}
		if b.Len()+utf8.RuneLen(r) > most-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// gatherFor is how long a notification waits for the alerts of the same event in other groupings: the rules tell of them one after
// the other.
const gatherFor = 500 * time.Millisecond

// gathering remembers which alerts have waited, and what was told lately.
type gathering struct {
	wait  time.Duration
	seen  map[uint64]time.Time // by sequence of the item
	told  map[string]struct{}  // ids of notifications
	order []string             // of told, oldest first
}

// mostGathered bounds both; where too many wait, others are told without waiting.
const mostGathered = 4096

// sift takes out those alerts whose notification was sent already and, where hold is set, those that are to wait, which it names.
func (g *gathering) sift(alerts []batchAlert, now time.Time, hold bool) (ready []batchAlert, wait []ItemError, folded int) {
	if g.seen == nil {
		g.seen, g.told = map[uint64]time.Time{}, map[string]struct{}{}
	}
	due := map[string]bool{}
	ids := make([]string, len(alerts))
	for i := range alerts {
		ids[i] = notificationID(&alerts[i].event)
		if _, ok := g.seen[alerts[i].seq]; ok {
			due[ids[i]] = true
		}
	}
	for i, a := range alerts {
		if _, ok := g.told[ids[i]]; ok {
			delete(g.seen, a.seq)
			folded++
			continue
		}
		if due[ids[i]] || !hold || !g.room(now) {
			ready = append(ready, a)
			continue
		}
		g.seen[a.seq] = now
		wait = append(wait, ItemError{Index: a.index, Verdict: Later, Until: now.Add(g.wait), Stream: a.stream, ID: a.event.ID})
	}
	return ready, wait, folded
}

func (g *gathering) room(now time.Time) bool {
	if len(g.seen) < mostGathered {
		return true
	}
	for seq, at := range g.seen { // those that the log dropped meanwhile
		if now.Sub(at) > time.Minute {
			delete(g.seen, seq)
		}
	}
	return len(g.seen) < mostGathered
}

// done forgets the alerts of a notification that is settled; told ones are remembered, for alerts that come after all.
func (g *gathering) done(n *Notification, seqs map[int]uint64, told bool) {
	for _, i := range n.items {
		delete(g.seen, seqs[i])
	}
	if _, ok := g.told[n.ID]; ok || !told || g.told == nil {
		return
	}
	if len(g.order) == mostGathered {
		delete(g.told, g.order[0])
		g.order = g.order[1:]
	}
	g.told[n.ID] = struct{}{}
	g.order = append(g.order, n.ID)
}

// partial names the items that were not taken; nil where there are none.
func partial(host string, items []ItemError) error {
	if len(items) == 0 {
		return nil
	}
	slices.SortFunc(items, func(a, b ItemError) int { return a.Index - b.Index })
	return &PartialError{Host: host, Items: items}
}
