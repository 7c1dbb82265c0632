// Package detection makes rules of Kibana's detection engine out of Gatebook's rules, for the engine's import API. docs/kibana-rules.md explains what comes of it.
//
//	rules.Rule -> condition (lists and defines written out) -> query         KQL, with filters for what KQL cannot say
//	           -> alternatives of fire, groupings                threshold     count, distinct
//	                                                             new_terms     first_seen
//	                                                             eql           sequence
//	                                                             esql          what is left
//	                                                             why it cannot be said
//
// What it promises: the simplest kind that says what the rule says; where one says it with a difference, the difference is named in the report and in the
// rule's investigation guide; what no kind says is named with the reason, which comes from the node of the rule's expression that cannot be said. Nothing of
// a rule file becomes part of a query, a script or Markdown unescaped.
//
// Queries, filters, thresholds, new terms and ES|QL are run against a real server in the tests, beside the local engine. EQL is not: there is no server for it to
// be had, and it is written after the documentation of Elasticsearch 8.
package detection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatebook/gatebook/rules"
)

// Kind is what a rule became: the type of Kibana's rule, an EQL rule being a sequence.
type Kind string

// The kinds.
const (
	Query     Kind = "query"
	Threshold Kind = "threshold"
	NewTerms  Kind = "new_terms"
	EQL       Kind = "eql"
	ESQL      Kind = "esql"
)

// Executed tells whether rules of the kind are run against a real server in the tests of this package.
func (k Kind) Executed() bool { return k != EQL }

// Options say how rules are exported. The zero value is of use.
type Options struct {
	Namespace     string    // of the data streams; "" is all
	Now           time.Time // exceptions that have expired by then are left out; zero: none has
	NoSuppression bool      // leave out alert_suppression, which needs a licence of its own
	LongestList   int       // a list with more values is not written into a query; 0 is 1000
}

// Difference is a way in which an exported rule differs from Gatebook's own engine.
type Difference struct {
	Why  Why
	Text string // Markdown: a sentence without its full stop
}

// Why names a difference.
type Why string

// The differences.
const (
	Window  Why = "window"  // Kibana looks every few minutes over the window and that much more
	Weight  Why = "weight"  // gatebook.count is not counted
	Learn   Why = "learn"   // Kibana does not learn
	Letters Why = "letters" // values of a key that differ by letter case are apart
	Order   Why = "order"   // conditions of the event that fires hold of any event of the window
	Repeat  Why = "repeat"  // alerts fold otherwise, or do not
	About   Why = "about"   // figures are approximate
	Early   Why = "early"   // what comes late is not waited for
)

// Part is one rule of Kibana. A rule of Gatebook with several groupings or alternatives becomes several.
type Part struct {
	Kind        Kind
	Rule        *Rule
	By          [][]rules.Expr // groupings of the rule that this part is of
	Differences []Difference

	window     time.Duration
	firing     rules.Expr // alternative of the rule's fire that this part is
	conditions []condition
}

// Result is what became of one rule.
type Result struct {
	Rule    *rules.Rule
	Parts   []Part
	Missing []string // why the rule, or a part of it, is not exported: Markdown, sentences without full stops
}

// Kind tells in a word or two: "threshold", "query and threshold", "threshold, in part"; "" where nothing is exported.
func (r *Result) Kind() string {
	var words []string
	for _, p := range r.Parts {
		if word := strings.ReplaceAll(string(p.Kind), "_", " "); len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	text := strings.Join(words, " and ")
	if len(r.Parts) > 0 && len(r.Missing) > 0 {
		text += ", in part"
	}
	return text
}

// Export translates the rules of a set. Rules that are switched off are in the report only. The set should hold the test blocks: they become part of the
// investigation guides.
func Export(set *rules.Set, o Options) (ndjson []byte, report []Result, err error) {
	if o.LongestList == 0 {
		o.LongestList = 1000
	}
	if strings.ContainsAny(o.Namespace, "-,*? /\\\"<>|:#") { // what a namespace cannot have; most of it would name other indices
		return nil, nil, fmt.Errorf("namespace %q: there is no such", o.Namespace)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, r := range set.Rules {
		t := translator{reader: reader{longer: o.LongestList}, rule: r, options: o}
		result := t.translate()
		for i := range result.Parts {
			t.complete(&result, &result.Parts[i])
			if err := enc.Encode(result.Parts[i].Rule); err != nil {
				return nil, nil, fmt.Errorf("write rule %s: %w", result.Parts[i].Rule.RuleID, err)
			}
		}
		report = append(report, result)
	}
	return b.Bytes(), report, nil
}
