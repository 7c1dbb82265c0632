package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/internal/conf"
)

const (
	day        = 24 * time.Hour
	maxWindow  = 366 * day
	maxHorizon = 730 * day
)

// ruleReader reads one rule block.
type ruleReader struct {
	*loader
	source *ruleSource
	file   *conf.File
	block  *conf.Block
	body   *conf.Body
	rule   *Rule
	kind   ruleKind
	steps  []string // names of the steps of a sequence; "" of those that must not come
}

// ruleKind says what fires a rule.
type ruleKind string

const (
	kindEvents   ruleKind = "when"
	kindSequence ruleKind = "sequence"
	kindSession  ruleKind = "session"
	kindExpect   ruleKind = "expect_every"
)

func (l *loader) readRule(s *ruleSource, b *conf.Block) *Rule {
	x := &ruleReader{loader: l, source: s, file: s.file, block: b, body: b.Body,
		rule: &Rule{ID: b.Labels[0], Library: s.Library, File: s.Name, Range: b.Range, Source: s.Text}}
	x.about()
	x.readKind()
	if x.body.Has("by") && x.rule.By == nil {
		x.rule.By, x.rule.ByText = l.reader(s).groupings(x.body.Expr("by"))
	}
	switch x.kind {
	case kindSequence:
		x.sequence()
	case kindSession:
		x.session()
	default:
		x.events()
	}
	x.title()
	x.exceptions()
	x.learning()
	x.quiet()
	x.responses()
	x.tests()
	x.body.Close()
	x.rule.Meaning = meaning(x.rule)
	return x.rule
}

// about reads what a rule says of itself.
func (x *ruleReader) about() {
	r, b := x.rule, x.body
	r.Description = strings.TrimSpace(b.String("description", ""))
	r.Severity = Severity(b.Enum("severity", string(Medium), string(Low), string(Medium), string(High), string(Critical)))
	r.Risk = b.Float("risk", float64(r.Severity.Number()), 0, 100)
	r.Mode = Mode(b.Enum("mode", string(ModeAlert), string(ModeShadow), string(ModeAlert), string(ModeRespond)))
	r.ShadowFor = b.Duration("shadow_for", 0, 0, maxWindow)
	r.Scope = Scope(b.Enum("scope", string(ScopeBoth), string(ScopeHost), string(ScopeFleet), string(ScopeBoth)))
	r.Enabled = b.Bool("enabled", true)
	r.Runbook = strings.TrimSpace(b.String("runbook", ""))
	r.FalsePositives = b.Strings("false_positives")
	r.References = b.Strings("references")
	r.Tags = b.Strings("tags")
	x.attack()
}

func (x *ruleReader) attack() {
	ids := x.body.Strings("attack")
	var places []hcl.Range
	if len(ids) > 0 {
		if t, ok := x.body.Expr("attack").(*hclsyntax.TupleConsExpr); ok && len(t.Exprs) == len(ids) {
			for _, e := range t.Exprs {
				places = append(places, e.Range())
			}
		}
	}
	seen := map[string]bool{}
	for i, id := range ids {
		at := x.body.Range("attack")
		if i < len(places) {
			at = places[i]
		}
		if !validTechnique(id) {
			remedy := `write "T1110", or "T1110.001" for a sub-technique`
			if up := strings.ToUpper(strings.TrimSpace(id)); validTechnique(up) {
				remedy = fmt.Sprintf("did you mean %q?", up)
			}
			x.file.ErrorAt(at, fmt.Sprintf("attack: %q is no id of an ATT&CK technique", cutText(id)), remedy)
			continue
		}
		if seen[id] {
			x.file.WarnAt(at, fmt.Sprintf("attack: %s stands here twice", id), "")
			continue
		}
		seen[id] = true
		t, known := TechniqueByID(id)
		if !known {
			x.file.WarnAt(at, fmt.Sprintf("attack: the technique %s is not known here: alerts carry it without its name", id), "see that it is the id of https://attack.mitre.org")
		}
		x.rule.Attack = append(x.rule.Attack, t)
	}
}

// readKind finds out what fires the rule.
func (x *ruleReader) readKind() {
	b := x.body
	var kinds []ruleKind
	if b.HasBlock("sequence") {
		kinds = append(kinds, kindSequence)
	}
	if b.HasBlock("session") {
		kinds = append(kinds, kindSession)
	}
	if b.Has("expect_every") {
		kinds = append(kinds, kindExpect)
	}
	switch {
	case len(kinds) == 0:
		x.kind = kindEvents
		if !b.Has("when") && !b.Has("expect_every") {
			b.Require("when", `event.action == "login"`)
		}
		return
	case len(kinds) > 1:
		x.file.ErrorAt(x.block.Range, fmt.Sprintf("%s: a rule has one of %s and %s, not both", x.title0(), kinds[0], kinds[1]), "write two rules")
	}
	x.kind = kinds[0]
	for _, name := range []string{"window", "fire", "when"} {
		var remedy string
		switch {
		case x.kind == kindExpect && name == "when", x.kind == kindSession && name == "fire", !b.Has(name):
			continue
		case name == "when" && x.kind == kindSequence:
			remedy = "write the condition into the steps"
		case name == "when":
			remedy = "write the conditions as open and close of the session"
		case name == "window" && x.kind == kindSequence:
			remedy = "the sequence has within"
		case name == "window" && x.kind == kindSession:
			remedy = "sessions have idle"
		case name == "window":
			remedy = "expect_every says how long"
		case x.kind == kindSequence:
			remedy = "a sequence fires on its last step: write the condition there"
		default:
			remedy = "the rule fires when no event came for so long"
		}
		x.file.ErrorAt(b.Range(name), fmt.Sprintf("%s: a rule with %s has none", name, x.kind), remedy)
		if name != "window" {
			b.Expr(name)
		}
	}
}

func (x *ruleReader) title0() string { return fmt.Sprintf("rule %q", x.rule.ID) }

// events reads a rule of a filter and a condition, or one that expects events.
func (x *ruleReader) events() {
	r, b := x.rule, x.body
	if b.Has("when") {
		r.When = withKind(x.reader(x.source).condition(b.Expr("when")))
		x.onlyOf(r.When, "when")
	} else if x.kind == kindExpect {
		b.Require("when", `event.action == "job-run"`)
	}
	if x.kind == kindExpect {
		r.ExpectEvery = b.Duration("expect_every", 0, time.Second, maxWindow)
		return
	}
	r.Window = b.Duration("window", 0, time.Second, maxWindow)
	if b.Has("fire") {
		r.Fire = x.expressions().condition(b.Expr("fire"))
		x.onlyOf(r.Fire, "fire")
	}
}

// expressions makes a reader for fire, exceptions and the title.
func (x *ruleReader) expressions() *exprReader {
	e := x.reader(x.source)
	e.aggregates, e.prev, e.steps = x.kind != kindExpect, x.kind == kindEvents, x.steps
	return e
}

// onlyOf checks that the aggregates of an expression have a meaning in this kind of rule.
func (x *ruleReader) onlyOf(e Expr, place string) {
	Walk(e, func(e Expr) bool {
		a, ok := e.(*Aggregate)
		if !ok {
			return true
		}
		message, remedy := x.refuses(a, place)
		if message != "" {
			x.file.ErrorAt(x.inThisFile(a.Range()), message, remedy)
		} else if a.Horizon > maxHorizon {
			x.file.ErrorAt(x.inThisFile(a.Range()), fmt.Sprintf("%s() looks back at most %s", a.Kind, conf.FormatDuration(maxHorizon)), "")
		}
		return true
	})
}

// inThisFile keeps ranges of defines of other files out of this file's messages.
func (x *ruleReader) inThisFile(at hcl.Range) hcl.Range {
	if at.Filename != x.source.Name {
		return x.block.Range
	}
	return at
}

func (x *ruleReader) refuses(a *Aggregate, place string) (message, remedy string) {
	name := string(a.Kind) + "()"
	switch x.kind {
	case kindSession:
		if a.Kind != ActiveDistinct {
			return name + " is not available in a rule with a session", "active_distinct() looks at the open sessions"
		}
	case kindSequence:
		switch {
		case place == "step" && a.Kind != FirstSeen:
			return name + " is not available in steps", "first_seen() is; for several events write times = 5"
		case place == "title" && (a.Kind != Count || a.Cond != nil):
			return name + " is not available in a rule with a sequence", "count() alone is the number of events of the steps"
		case place == "except":
			return name + " is not available in a rule with a sequence", "ask for it in a step"
		}
	default:
		switch a.Kind {
		case ActiveDistinct:
			return name + " needs a session", "write session { open = ..., close = ... }"
		case Count, Distinct, Sum, Min, Max, Rate, Ratio:
			if !x.body.Has("window") {
				return name + " needs a window", `write window = "15m"`
			}
		}
	}
	return "", ""
}

// title reads the title; without one it is the words of the id.
func (x *ruleReader) title() {
	if !x.body.Has("title") {
		words := strings.Join(strings.FieldsFunc(x.rule.ID, func(c rune) bool { return c == '.' || c == '_' || c == '-' }), " ")
		if words != "" {
			words = strings.ToUpper(words[:1]) + words[1:]
		}
		x.rule.Title = &Template{Parts: []TemplatePart{{Text: words}}, Range: x.block.Range}
		return
	}
	x.rule.Title = x.expressions().template(x.body.Expr("title"))
	if x.rule.Title == nil { // in error
		x.rule.Title = &Template{Parts: []TemplatePart{{Text: x.rule.ID}}, Range: x.body.Range("title")}
	}
	for _, p := range x.rule.Title.Parts {
		x.onlyOf(p.Expr, "title")
	}
}

func (x *ruleReader) exceptions() {
	for _, b := range x.body.Blocks("except", 1) {
		e := &Except{Name: b.Labels[0], Range: b.Range, Reason: strings.TrimSpace(b.Body.RequiredString("reason"))}
		if b.Body.Require("when", `source.ip == "192.0.2.1"`) {
			e.When = x.expressions().condition(b.Body.Expr("when"))
			x.onlyOf(e.When, "except")
		}
		if text := b.Body.String("expires", ""); b.Body.Has("expires") {
			e.Expires = x.date(b.Body, text)
		}
		b.Body.Close()
		x.rule.Except = append(x.rule.Except, e)
	}
}

// date reads a day, which counts from its beginning, or a time.
func (x *ruleReader) date(b *conf.Body, text string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, x.options.Zone); err == nil {
			return t
		}
	}
	if text != "" {
		b.Errorf("expires", `want a day such as "2027-03-01" or a time such as "2027-03-01T12:00:00Z"`)
	}
	return time.Time{}
}

// learning reads learn; rules with first_seen, rarity or baseline learn without being told to.
func (x *ruleReader) learning() {
	uses := false
	x.rule.expressions(func(e Expr) {
		Walk(e, func(e Expr) bool {
			if a, ok := e.(*Aggregate); ok {
				uses = uses || a.Kind == FirstSeen || a.Kind == Rarity || a.Kind == Baseline
			}
			return !uses
		})
	})
	learn := Learn{For: 14 * day, MinEvents: 5}
	b := x.body.Block("learn")
	if b != nil {
		learn.For = b.Body.Duration("for", learn.For, 0, maxHorizon)
		learn.MinEvents = int64(b.Body.Int("min_events", int(learn.MinEvents), 0, 1_000_000))
		learn.OfRule = b.Body.Enum("of", "key", "key", "rule") == "rule"
		b.Body.Close()
		if !uses {
			x.file.WarnAt(b.Range, "learn has no effect: the rule asks for no first_seen(), rarity() or baseline()", "")
		}
	}
	if uses {
		x.rule.Learn = learn
	}
}

// quiet is the window where the rule does not say, or the within of its sequence, or an hour at most.
func (x *ruleReader) quiet() {
	r := x.rule
	quiet := time.Hour
	switch {
	case r.Window > 0:
		quiet = r.Window
	case r.Sequence != nil && r.Sequence.Within > 0:
		quiet = r.Sequence.Within
	case r.ExpectEvery > 0:
		quiet = min(quiet, r.ExpectEvery)
	}
	r.Quiet = x.body.Duration("quiet", quiet, 0, maxWindow)
}

func (x *ruleReader) responses() {
	for _, b := range x.body.Blocks("respond", 1) {
		x.rule.Respond = append(x.rule.Respond, &Respond{Name: b.Labels[0], Range: b.Range,
			TTL: b.Body.Duration("ttl", 0, time.Second, maxWindow), Approve: b.Body.Enum("approve", "manual", "manual", "auto")})
		b.Body.Close()
	}
	if x.rule.Mode == ModeRespond && len(x.rule.Respond) == 0 {
		x.body.Errorf("mode", `a rule in mode respond needs a block: respond "NAME" { ... }`)
	}
}

// expressions calls f for every expression that decides or tells something; some may be nil.
func (r *Rule) expressions(f func(Expr)) {
	f(r.When)
	for _, by := range r.By {
		for _, t := range by {
			f(t)
		}
	}
	f(r.Fire)
	if s := r.Sequence; s != nil {
		for _, step := range s.Steps {
			f(step.When)
			for _, by := range step.By {
				for _, t := range by {
					f(t)
				}
			}
		}
	}
	if s := r.Session; s != nil {
		f(s.Open)
		f(s.Close)
		f(s.ID)
	}
	for _, e := range r.Except {
		f(e.When)
	}
	if r.Title != nil {
		for _, p := range r.Title.Parts {
			f(p.Expr)
		}
	}
}
