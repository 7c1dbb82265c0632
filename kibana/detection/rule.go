package detection

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// Rule is a rule of Kibana's detection engine as its import API takes it. Members that a type of rule does not have are left out.
type Rule struct {
	RuleID         string     `json:"rule_id"`
	Name           string     `json:"name"`
	Description    string     `json:"description"`
	Type           string     `json:"type"`
	Language       string     `json:"language,omitempty"`
	Index          []string   `json:"index,omitempty"`
	Query          string     `json:"query"`
	Filters        []filter   `json:"filters,omitempty"`
	Threshold      *threshold `json:"threshold,omitempty"`
	NewTermsFields []string   `json:"new_terms_fields,omitempty"`
	HistoryStart   string     `json:"history_window_start,omitempty"`

	Suppression *suppression `json:"alert_suppression,omitempty"`

	Interval   string `json:"interval"`
	From       string `json:"from"`
	To         string `json:"to"`
	MaxSignals int    `json:"max_signals"`
	Enabled    bool   `json:"enabled"`
	Version    int    `json:"version"`
	Immutable  bool   `json:"immutable"`

	NameOverride      string `json:"rule_name_override,omitempty"`
	TimestampOverride string `json:"timestamp_override"`
	NoFallback        bool   `json:"timestamp_override_fallback_disabled"`

	Severity        string   `json:"severity"`
	SeverityMapping []any    `json:"severity_mapping"`
	RiskScore       int      `json:"risk_score"`
	RiskMapping     []any    `json:"risk_score_mapping"`
	Threat          []threat `json:"threat"`
	Tags            []string `json:"tags"`
	FalsePositives  []string `json:"false_positives"`
	References      []string `json:"references"`
	Author          []string `json:"author"`
	License         string   `json:"license"`

	Note           string          `json:"note"`
	Setup          string          `json:"setup"`
	RequiredFields []requiredField `json:"required_fields"`
	Related        []any           `json:"related_integrations"`
	Exceptions     []any           `json:"exceptions_list"`
	Actions        []any           `json:"actions"`
}

type threshold struct {
	Field       []string      `json:"field"`
	Value       int64         `json:"value"`
	Cardinality []cardinality `json:"cardinality"`
}

type cardinality struct {
	Field string `json:"field"`
	Value int64  `json:"value"`
}

// suppression folds alerts; a threshold rule folds by its own fields, and has a duration only.
type suppression struct {
	GroupBy  []string `json:"group_by,omitempty"`
	Duration length   `json:"duration"`
	Missing  string   `json:"missing_fields_strategy,omitempty"`
}

type length struct {
	Value int64  `json:"value"`
	Unit  string `json:"unit"`
}

type requiredField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// threat is a tactic of MITRE ATT&CK and the techniques of the rule that serve it.
type threat struct {
	Framework string      `json:"framework"`
	Tactic    tactic      `json:"tactic"`
	Technique []technique `json:"technique"`
}

type tactic struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Reference string `json:"reference"`
}

type technique struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Reference    string   `json:"reference"`
	Subtechnique []tactic `json:"subtechnique"`
}

const attackSite = "https://attack.mitre.org/"

// threats orders the techniques by tactic. One that is unknown belongs to none, and stays a tag.
func threats(list []rules.Technique) []threat {
	out := []threat{}
	for _, t := range list {
		for i, id := range t.TacticIDs {
			at := slices.IndexFunc(out, func(have threat) bool { return have.Tactic.ID == id })
			if at < 0 {
				at = len(out)
				out = append(out, threat{Framework: "MITRE ATT&CK", Tactic: tactic{id, t.TacticNames[i], attackSite + "tactics/" + id + "/"}})
			}
			out[at].Technique = withTechnique(out[at].Technique, t)
		}
	}
	return out
}

func withTechnique(list []technique, t rules.Technique) []technique {
	id, name := t.ID, t.Name
	if t.ParentID != "" {
		id, name = t.ParentID, t.ParentName
	}
	at := slices.IndexFunc(list, func(have technique) bool { return have.ID == id })
	if at < 0 {
		at = len(list)
		list = append(list, technique{ID: id, Name: name, Reference: attackSite + "techniques/" + id + "/", Subtechnique: []tactic{}})
	}
	if t.ParentID != "" {
		sub := tactic{t.ID, t.Name, attackSite + "techniques/" + t.ParentID + "/" + t.ID[len(t.ParentID)+1:] + "/"}
		if !slices.Contains(list[at].Subtechnique, sub) {
			list[at].Subtechnique = append(list[at].Subtechnique, sub)
		}
	}
	return list
}

// spanText writes a length of time as Kibana has it: the largest unit that holds it whole.
func spanText(d time.Duration) string {
	l := lengthOf(d)
	return strconv.FormatInt(l.Value, 10) + l.Unit
}

func lengthOf(d time.Duration) length {
	seconds := int64(math.Ceil(d.Seconds()))
	switch {
	case seconds%3600 == 0 && seconds > 0:
		return length{seconds / 3600, "h"}
	case seconds%60 == 0 && seconds > 0:
		return length{seconds / 60, "m"}
	}
	return length{seconds, "s"}
}

// intervalOf is how often a rule over a window looks: a fifth of the window, from one minute, below which Kibana does not go, to five.
func intervalOf(window time.Duration) time.Duration {
	if window == 0 {
		return 5 * time.Minute
	}
	return min(max((window/5).Truncate(time.Minute), time.Minute), 5*time.Minute)
}

// required are the fields that the rule reads, in the order of their names.
func required(fields []query.Field) []requiredField {
	list := []requiredField{}
	for _, f := range fields {
		one := requiredField{f.Name(), string(f.Type())}
		if f.Key != "" {
			one = requiredField{event.Fields[f.ID].Name, string(event.Fields[f.ID].Type)}
		}
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b requiredField) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}

func names(fields []query.Field) []string {
	list := []string{}
	for _, f := range fields {
		if name := f.Name(); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// marshal writes what always can be written: maps, lists, texts, numbers, and JSON that is JSON.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []byte(`{"match_none":{}}`) // none of it cannot be written; were there something, the rule finds nothing rather than too much
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func itoa(n int) string { return strconv.Itoa(n) }
