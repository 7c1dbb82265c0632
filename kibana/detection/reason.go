package detection

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// text is an expression as a rule file has it.
func (r *reader) text(e rules.Expr) string {
	text := rules.Canonical(e)
	for i, name := range r.steps {
		text = strings.ReplaceAll(text, "step["+itoa(i)+"].", name+".")
	}
	text = wholeHours.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.ParseDuration(s)
		if err != nil {
			return s
		}
		return conf.FormatDuration(d)
	})
	if len(text) > 1 && text[0] == '(' && text[len(text)-1] == ')' {
		text = text[1 : len(text)-1]
	}
	return text
}

var wholeHours = regexp.MustCompile(`\b[0-9]+h0m0s\b`)

func quoted(s string) string { return code(shortened(s, 160)) }

// reason says why an expression has no place in a rule of Kibana: of the first node in it that is the cause.
func (r *reader) reason(e rules.Expr) error {
	var why error
	rules.Walk(e, func(node rules.Expr) bool {
		if why == nil {
			why = r.nodeReason(node)
		}
		return why == nil
	})
	if why == nil {
		why = cannotf("%s has no counterpart in Kibana's rules", quoted(r.text(e)))
	}
	return why
}

func (r *reader) nodeReason(e rules.Expr) error {
	switch e := e.(type) {
	case *rules.Aggregate:
		if why := aggregateReasons[e.Kind]; why != "" {
			return cannotf("%s %s", quoted(r.text(e)), why)
		}
	case *rules.Field:
		switch {
		case e.From == rules.FromPrev:
			return cannotf("%s is of the preceding event, and no rule of Kibana compares an event with the one before it", quoted(r.text(e)))
		case e.From >= 0:
			return cannotf("%s is of another step, and EQL joins steps by fields that are equal in all of them and compares them in no other way", quoted(r.text(e)))
		}
	case *rules.Compare:
		_, left := plainField(e.Left)
		_, right := plainField(e.Right)
		if left && right {
			return cannotf("%s compares two fields of an event, which no query of Kibana's rules does", quoted(r.text(e)))
		}
	case *rules.Call:
		switch e.Name {
		case "domain_of":
			return cannotf("%s is worked out of the event, and is in no field of its own", quoted(r.text(e)))
		case "contains", "startswith", "endswith", "matches", "cidr":
			return cannotf("%s asks for what is worked out of the event, and is in no field of its own", quoted(r.text(e)))
		}
	}
	return nil
}

// aggregateReasons say of what is worked out over several events why Kibana has no word for it. The others depend on where they stand.
var aggregateReasons = map[rules.AggregateKind]string{
	rules.Rarity:         "is a share of what the key did before, and Kibana's rules learn nothing",
	rules.Baseline:       "is learnt from the counts of weeks, and Kibana's rules learn nothing",
	rules.Since:          "asks for the preceding event of the key, however long ago that was",
	rules.GapKM:          "is a distance to the preceding event: no rule of Kibana compares an event with the one before it",
	rules.SpeedKMH:       "is the speed of travel since the preceding event: no rule of Kibana compares an event with the one before it",
	rules.ActiveDistinct: "asks for the sessions that are open, and Kibana's rules have no memory of what was opened and not closed",
}

// unsayable is why no query of Elasticsearch says a condition: of the first question in it that is the cause.
func unsayable(c condition) error {
	switch c := c.(type) {
	case allOf:
		return firstUnsayable(c)
	case anyOf:
		return firstUnsayable(c)
	case notOf:
		return unsayable(c.of)
	case asked:
		_, err := query.DSL(c.Expr)
		var wrong *query.FieldError
		if !errors.As(err, &wrong) {
			return err
		}
		why := wrong.Message // the question, and what is the matter with it
		if _, after, ok := cutLast(why, "): "); ok {
			why = after
		} else if _, after, ok := cutLast(why, `": `); ok {
			why = after
		} else {
			why = escape(why)
		}
		return cannotf("%s: %s", quoted(conditionText(c)), why)
	}
	return nil
}

func firstUnsayable(list []condition) error {
	for _, c := range list {
		if err := unsayable(c); err != nil {
			return err
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
