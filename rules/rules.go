// Package rules is the language in which detections are written: HCL files become a checked Set of rules, and package rules/engine
// runs them. docs/rules.md explains the language.
//
//	*.hcl -> conf (size, nesting, syntax) -> Load: rules, lists, defines -> expressions (expr.go) -> Set -> rules/engine
//	                                              test blocks --------------> Test -> rules/ruletest
//
// What it promises: whatever is wrong is told with file:line:column and what was probably meant; a rule that loads can be run;
// nothing in a rule file reads the environment or a file outside the folder of the rules; what an expression says about one event
// alone is a query.Expr, so that it means the same in a question, in SQL and in Elasticsearch.
package rules

import (
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/internal/conf"
)

// Set is what the rule files say together.
type Set struct {
	Rules    []*Rule          // in the order of the files; those with Enabled false too
	Lists    map[string]*List // by name; one of a later file takes the place of an earlier one's
	Problems conf.Diagnostics // nothing may run where it holds an error

	names   []namedUse        // lists and defines, for Lint
	sources map[string][]byte // texts by the name of the file, for Lint's messages
	tests   bool              // test blocks were decoded
}

// Rule is one detection. What each member means is settled in docs/rules.md.
type Rule struct {
	ID             string // label of its block: letters, digits, '_', '-' and '.'
	Title          *Template
	Description    string
	Severity       Severity
	Risk           float64 // 0 to 100; where the file says nothing it is the severity's number
	Attack         []Technique
	Mode           Mode
	ShadowFor      time.Duration // alerts are in shadow until the rule has run so long (event time)
	Scope          Scope
	Enabled        bool
	Runbook        string
	FalsePositives []string
	References     []string
	Tags           []string

	// When is what counts; nil for a sequence or a session. Where the file does not name event.kind, a Match that asks for
	// event.kind == "event" was put before it, whose range is empty; so too in steps and sessions.
	When        Expr
	By          [][]Expr      // groupings, each a list of terms; none: one group of everything
	ByText      []string      // each grouping as written: "source.ip, gatebook.user.key"
	Window      time.Duration // 0: none
	Fire        Expr          // nil: each event that When takes
	ExpectEvery time.Duration // fires when no event came for so long; 0: not such a rule
	Sequence    *Sequence     // nil: not such a rule; By is that of its first step where the rule itself has none
	Session     *Session      // nil: not such a rule
	Learn       Learn
	Except      []*Except
	Quiet       time.Duration // folds hits that are no further apart into one alert
	Respond     []*Respond

	// OverAlerts tells that alerts of other enabled rules of the set may be something to the rule.
	OverAlerts bool

	Tests   []*Test
	Library bool // shipped with Gatebook
	File    string
	Range   hcl.Range // of its block's header
	Source  []byte    // text of its file, which ranges point into

	// Meaning identifies what the rule detects: a rule whose Meaning did not change keeps its state over a reload. Titles, severities,
	// texts, modes, tests and the contents of lists are no part of it.
	Meaning string
}

// Severity is event.severity in words.
type Severity string

// The severities and their numbers.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Number is event.severity: low 21, medium 47, high 73, critical 99.
func (s Severity) Number() int64 {
	switch s {
	case Critical:
		return 99
	case High:
		return 73
	case Medium:
		return 47
	}
	return 21
}

// Mode is what becomes of a rule's alerts.
type Mode string

// The modes. Shadow is stored and marked, and neither notified nor seen by other rules.
const (
	ModeShadow  Mode = "shadow"
	ModeAlert   Mode = "alert"
	ModeRespond Mode = "respond" // as alert, and its respond blocks are carried out
)

// Scope is where a rule runs: events relayed by another Gatebook skip rules of the host.
type Scope string

// The scopes.
const (
	ScopeHost  Scope = "host"
	ScopeFleet Scope = "fleet"
	ScopeBoth  Scope = "both"
)

// Technique is a technique of MITRE ATT&CK, with its names filled in.
type Technique struct {
	ID, Name               string // T1110.001 or T1110
	ParentID, ParentName   string // of a sub-technique
	TacticIDs, TacticNames []string
}

// Sequence is ordered steps on one key.
type Sequence struct {
	Within time.Duration // from the first step to the last
	Steps  []*Step
}

// Step is one step of a sequence. Without marks one that must not come: between its neighbours, or, as the last one, before Within is over.
type Step struct {
	Name    string
	Without bool
	When    Expr // may refer to earlier steps
	Times   int  // how many events make the step; 1 unless said otherwise
	By      [][]Expr
	Range   hcl.Range
}

// Session follows sessions of a key; Fire asks for active_distinct over those that are open.
type Session struct {
	Open, Close Expr
	ID          Expr // nil: key and source.ip
	Idle        time.Duration
}

// Learn keeps a rule with first_seen, rarity or baseline quiet until enough is known.
type Learn struct {
	For       time.Duration // since the first event
	MinEvents int64
	OfRule    bool // counted over the rule as a whole, not for each key
}

// Except is a known harmless case.
type Except struct {
	Name    string
	When    Expr
	Reason  string
	Expires time.Time // zero: never
	Range   hcl.Range
}

// Respond names an action of the config that the alert asks for.
type Respond struct {
	Name    string
	TTL     time.Duration // 0: for good
	Approve string        // "manual" or "auto"
	Range   hcl.Range
}

// Template is a text with expressions in it: "${count()} failed logins for ${key}".
type Template struct {
	Parts []TemplatePart
	Range hcl.Range
}

// TemplatePart is a piece of text, or an expression, or the key.
type TemplatePart struct {
	Text string
	Expr Expr // nil: Text
	Key  bool // the key of the grouping, joined
}
