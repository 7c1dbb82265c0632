package outputs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// digestState is what the next digest is going to say, small enough to be stored with the cursor (buffer.Reader.SetMeta). What
// does not fit is counted.
type digestState struct {
	Since     int64        `json:"since,omitempty"` // Unix nanoseconds
	Due       int64        `json:"due,omitempty"`
	Alarm     string       `json:"alarm,omitempty"` // event.id of the alert that is put off until Due; "": nothing to say
	LastAlarm string       `json:"last,omitempty"`  // that of the digest before
	Rules     []digestRule `json:"rules,omitempty"`
	Others    int64        `json:"others,omitempty"` // alerts of rules that have no room
}

type digestRule struct {
	ID       string      `json:"id"`
	Severity int64       `json:"sev"`
	Opened   int64       `json:"o,omitempty"`
	Updated  int64       `json:"u,omitempty"`
	Closed   int64       `json:"c,omitempty"`
	Keys     []digestKey `json:"k,omitempty"`
	Others   int64       `json:"x,omitempty"` // alerts of keys that have no room
}

type digestKey struct {
	Key   string `json:"k"`
	Count int64  `json:"n"`
}

// Bounds of the state.
const (
	mostDigest      = 7 << 10
	mostDigestRules = 40
	mostDigestKeys  = 8
	mostDigestText  = 64
)

func (s *digestState) parse(text string) error {
	*s = digestState{}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), s)
}

func (s *digestState) text() string {
	if s.Alarm == "" && s.LastAlarm == "" {
		return ""
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return "" // there is nothing in it that cannot be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (s *digestState) clone() digestState {
	c := *s
	c.Rules = slices.Clone(s.Rules)
	for i := range c.Rules {
		c.Rules[i].Keys = slices.Clone(c.Rules[i].Keys)
	}
	return c
}

func (s *digestState) isAlarm(id string) bool {
	return id != "" && (id == s.Alarm || id == s.LastAlarm)
}

func (s *digestState) begin(alarm string, now time.Time, wait time.Duration) {
	s.Alarm, s.Since, s.Due = strings.Clone(alarm), now.UnixNano(), now.Add(wait).UnixNano()
}

// fold adds an alert. An alert's key is counted when it opens.
func (s *digestState) fold(ev *event.Event) {
	id := cleanText(ev.Rule.ID, mostDigestText)
	i := slices.IndexFunc(s.Rules, func(r digestRule) bool { return r.ID == id })
	if i < 0 {
		if len(s.Rules) == mostDigestRules {
			s.Others++
			return
		}
		i = len(s.Rules)
		s.Rules = append(s.Rules, digestRule{ID: id})
	}
	r := &s.Rules[i]
	r.Severity = max(r.Severity, ev.Severity.N)
	switch ev.Alert.State {
	case "close":
		r.Closed++
		return
	case "update":
		r.Updated++
		return
	}
	r.Opened++
	key := cleanText(ev.Alert.Key, mostDigestText)
	if k := slices.IndexFunc(r.Keys, func(k digestKey) bool { return k.Key == key }); k >= 0 {
		r.Keys[k].Count++
	} else if len(r.Keys) < mostDigestKeys {
		r.Keys = append(r.Keys, digestKey{key, 1})
	} else {
		r.Others++
	}
}

// shrink gives up keys, then rules, until the state can be stored.
func (s *digestState) shrink() {
	for len(s.text()) > mostDigest {
		most := 0
		for i := range s.Rules {
			if len(s.Rules[i].Keys) >= len(s.Rules[most].Keys) {
				most = i
			}
		}
		r := &s.Rules[most]
		if n := len(r.Keys); n > 0 {
			r.Others += r.Keys[n-1].Count
			r.Keys = r.Keys[:n-1]
			continue
		}
		s.Others += r.Opened + r.Updated + r.Closed
		s.Rules = slices.Delete(s.Rules, most, most+1)
	}
}

func (s *digestState) total() int64 {
	n := s.Others
	for i := range s.Rules {
		n += s.Rules[i].Opened + s.Rules[i].Updated + s.Rules[i].Closed
	}
	return n
}

// sorted returns the rules as a reader wants them: the severe ones first, then the frequent ones.
func (s *digestState) sorted() []digestRule {
	out := s.clone().Rules
	slices.SortStableFunc(out, func(a, b digestRule) int {
		if a.Severity != b.Severity {
			return int(b.Severity - a.Severity)
		}
		return int(b.Opened - a.Opened)
	})
	for i := range out {
		slices.SortStableFunc(out[i].Keys, func(a, b digestKey) int { return int(b.Count - a.Count) })
	}
	return out
}
