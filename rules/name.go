package rules

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// Name is the rule's title without the particulars of one alert: "${count()} failed logins for ${key}" is "Many failed logins for a user".
// It is the same for all alerts of the rule, and known before there is one.
func (r *Rule) Name() string {
	var b strings.Builder
	for i := range r.Title.Parts {
		p := &r.Title.Parts[i]
		switch {
		case p.Key:
			addNoun(&b, r.keyNouns())
		case p.Expr != nil:
			addNoun(&b, nouns(p.Expr))
		default:
			b.WriteString(p.Text)
		}
	}
	name := strings.Trim(spaces.ReplaceAllString(emptyBrackets.ReplaceAllString(b.String(), ""), " "), " :,;-")
	if who := strings.Join(r.keyNouns(), " or "); who != "" {
		// A key that stands apart says nothing here: "Second factor switched off: ${key}".
		name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSuffix(name, ": "+who), who+": "))
	}
	first, size := utf8.DecodeRuneInString(name)
	if name == "" {
		return r.ID
	}
	return string(unicode.ToUpper(first)) + name[size:]
}

var (
	emptyBrackets = regexp.MustCompile(`\(\s*\)`)
	spaces        = regexp.MustCompile(`\s+`)
	preposition   = regexp.MustCompile(`\s+(at|by|for|from|in|of|on|to|with)\s+$`)
)

// addNoun writes what stands for a value. Where the text before it says the same ("Job ", "the group ") nothing is to be added; where nothing is known, a
// preposition before it goes too.
func addNoun(b *strings.Builder, nouns []string) {
	if len(nouns) == 0 {
		text := preposition.ReplaceAllString(b.String(), "")
		b.Reset()
		b.WriteString(text)
		return
	}
	noun := strings.Join(nouns, " or ")
	_, head, _ := strings.Cut(noun, " ")
	before := strings.ToLower(strings.TrimSpace(b.String()))
	if head != "" && (before == head || strings.HasSuffix(before, " "+head)) {
		return
	}
	b.WriteString(noun)
}

// keyNouns says what the rule's keys are.
func (r *Rule) keyNouns() []string {
	by := r.By
	if len(by) == 0 && r.Sequence != nil && len(r.Sequence.Steps) > 0 {
		by = r.Sequence.Steps[0].By
	}
	var list []string
	for _, grouping := range by {
		for _, term := range grouping {
			for _, n := range nouns(term) {
				if !slices.Contains(list, n) {
					list = append(list, n)
				}
			}
		}
	}
	return list
}

// nouns says what an expression stands for; none where that is not known.
func nouns(e Expr) (list []string) {
	Walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *Aggregate:
			list = append(list, "many")
			return false
		case *Field:
			if n := fieldNoun(event.Fields[e.Field.ID].Name); n != "" && !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
		return true
	})
	return list
}

// fieldNoun says what a field names one of.
func fieldNoun(name string) string {
	switch name {
	case "user.name", "user.id", "user.email", "gatebook.user.key", "user.target.name", "user.target.email", "user.effective.name":
		return "a user"
	case "email.to.address":
		return "a recipient"
	case "source.ip", "gatebook.sender.ip", "source.domain":
		return "an address"
	case "host.name", "host.hostname":
		return "a host"
	case "group.name":
		return "a group"
	case "gatebook.job.name", "gatebook.job.id":
		return "a job"
	case "gatebook.client.name", "gatebook.client.id", "service.name":
		return "an application"
	case "gatebook.provider.name", "gatebook.provider.id":
		return "an identity provider"
	case "gatebook.session.id":
		return "a session"
	case "organization.name", "organization.id":
		return "an organization"
	case "source.geo.country_iso_code", "source.geo.country_name":
		return "a country"
	}
	return ""
}
