package sigma

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// clause is a condition of the rule language: an atom as text, or clauses joined. The zero clause stands for what could not be translated; the
// document has a report of it then.
type clause struct {
	op   clauseOp
	of   []clause
	text string
}

type clauseOp uint8

const (
	atom clauseOp = iota
	allOf
	anyOf
	noneOf // not, of one
)

func atomOf(parts ...string) clause { return clause{text: strings.Join(parts, "")} }

func join(op clauseOp, of ...clause) clause {
	var list []clause
	for _, c := range of {
		if c.op == op {
			list = append(list, c.of...)
		} else {
			list = append(list, c)
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return clause{op: op, of: list}
}

func negate(c clause) clause {
	if c.op == noneOf {
		return c.of[0]
	}
	return clause{op: noneOf, of: []clause{c}}
}

// size is the number of atoms, and the bytes of their texts.
func (c clause) size() (atoms, bytes int) {
	if c.op == atom {
		return 1, len(c.text)
	}
	for _, one := range c.of {
		a, b := one.size()
		atoms, bytes = atoms+a, bytes+b
	}
	return atoms, bytes
}

// The most that a condition may be, its selections written out: the rule language takes 1000 operators and 2000 parts.
const (
	maxAtoms = 900
	maxBytes = 256 << 10
)

const tooLarge = "with its selections written out the condition is too large: make several rules of it"

func (c clause) tooLarge() bool {
	atoms, bytes := c.size()
	return atoms > maxAtoms || bytes > maxBytes
}

// line writes the clause on one line; within tells the operator around it.
func (c clause) line(within clauseOp) string {
	switch c.op {
	case atom:
		return c.text
	case noneOf:
		if c.of[0].op == atom && !strings.Contains(c.of[0].text, " == ") && !strings.Contains(c.of[0].text, " != ") {
			return "!" + c.of[0].text
		}
		return "!(" + c.of[0].line(atom) + ")"
	}
	parts := make([]string, len(c.of))
	for i, one := range c.of {
		parts[i] = one.line(c.op)
	}
	text := strings.Join(parts, c.operator())
	if within != atom {
		return "(" + text + ")"
	}
	return text
}

func (c clause) operator() string {
	if c.op == allOf {
		return " && "
	}
	return " || "
}

const wide = 120

// lines writes the clause for the right side of an attribute, over several lines where it is long.
func (c clause) lines() string {
	if text := c.line(atom); len(text) <= wide || c.op == atom {
		return text
	}
	return c.broken()
}

func (c clause) broken() string {
	text := c.line(c.op)
	if len(text) <= wide || c.op == atom || c.op == noneOf && c.of[0].op == atom {
		return text
	}
	if c.op == noneOf {
		return "!" + c.of[0].broken()
	}
	parts := make([]string, len(c.of))
	for i, one := range c.of {
		parts[i] = one.broken()
		if len(parts[i]) <= wide {
			parts[i] = one.line(c.op)
		}
	}
	return "(\n" + strings.Join(parts, strings.TrimRight(c.operator(), " ")+"\n") + "\n)"
}

// quoted is a text as HCL writes it: nothing in it has a meaning.
func quoted(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

// quotedList is ["a", "b"].
func quotedList(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = quoted(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// fieldText is a field as the rule language writes it.
func fieldText(f query.Field) string {
	switch {
	case f.Key != "" && !hclsyntax.ValidIdentifier(f.Key):
		return "labels[" + quoted(f.Key) + "]"
	case f.ID == event.FieldTimestamp && f.Key == "":
		return "time"
	}
	return f.Name()
}

func numberText(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
