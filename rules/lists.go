package rules

import "github.com/hashicorp/hcl/v2"

// ListKind says how a list compares.
type ListKind string

// The kinds of lists. ListExact compares as the field does: user names ignore case.
const (
	ListExact ListKind = "exact"
	ListCIDR  ListKind = "cidr"
	ListRegex ListKind = "regex"
)

// List is a named set of values, inline or from a file beneath the folder of the rules.
type List struct {
	Name   string
	Kind   ListKind
	Values []string // as text, numbers too
	File   string
	Range  hcl.Range

	match func(string) bool
}

// Contains tells whether a value, as text, is in the list.
func (l *List) Contains(text string) bool { return l.match != nil && l.match(text) }
