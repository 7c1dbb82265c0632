package rules

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// ListKind says how a list compares.
type ListKind string

// The kinds of lists. ListExact compares as the field does: user names ignore case.
const (
	ListExact ListKind = "exact"
	ListCIDR  ListKind = "cidr"
	ListRegex ListKind = "regex"
)

// List is a named set of values, inline or from a file beneath the folder of the rules. It is not changed once it is read.
type List struct {
	Name   string
	Kind   ListKind
	Values []string // as text, numbers too
	File   string   // "": inline
	Range  hcl.Range

	match, matchFold func(string) bool
}

// NewList makes a list outside of a rule file.
func NewList(name string, kind ListKind, values []string) (*List, error) {
	l := &List{Name: name, Kind: kind, Values: values}
	if at, err := l.compile(); err != nil {
		return nil, fmt.Errorf("list %s, value %d: %w", name, at+1, err)
	}
	return l, nil
}

// Contains tells whether a value, as text, is in the list. Safe for concurrent use.
func (l *List) Contains(text string) bool { return l.match != nil && l.match(text) }

// ContainsFold is Contains where letter case does not matter: for terms of which Folds holds.
func (l *List) ContainsFold(text string) bool { return l.matchFold != nil && l.matchFold(text) }

const (
	maxListValues   = 1_000_000
	maxListPatterns = 1000 // each is tried
	maxListValue    = 4096 // bytes of one value
)

// compile makes the list ready to be asked; at is the number of the value that is wrong.
func (l *List) compile() (at int, err error) {
	switch l.Kind {
	case ListCIDR:
		return l.compileNetworks()
	case ListRegex:
		return l.compilePatterns()
	}
	exact := make(map[string]struct{}, len(l.Values))
	folded := exact
	for _, v := range l.Values {
		if lower := strings.ToLower(v); lower != v {
			folded = make(map[string]struct{}, len(l.Values))
			break
		}
	}
	for _, v := range l.Values {
		exact[v] = struct{}{}
		folded[strings.ToLower(v)] = struct{}{}
		if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" { // however the address is written
			exact[a.Unmap().String()] = struct{}{}
			folded[a.Unmap().String()] = struct{}{}
		}
	}
	l.match = func(text string) bool { _, ok := exact[text]; return ok }
	l.matchFold = func(text string) bool { _, ok := folded[strings.ToLower(text)]; return ok }
	return 0, nil
}

// compileNetworks sorts the networks by their length, so that asking costs one look-up for each length that occurs.
func (l *List) compileNetworks() (at int, err error) {
	networks := make(map[netip.Prefix]struct{}, len(l.Values))
	var lengths4, lengths6 []int
	var has4, has6 [129]bool
	for i, v := range l.Values {
		p, err := parseNetwork(v)
		if err != nil {
			return i, err
		}
		networks[p] = struct{}{}
		n := p.Bits()
		switch {
		case p.Addr().Is4() && !has4[n]:
			has4[n], lengths4 = true, append(lengths4, n)
		case p.Addr().Is6() && !has6[n]:
			has6[n], lengths6 = true, append(lengths6, n)
		}
	}
	l.match = func(text string) bool {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return false
		}
		a = a.Unmap().WithZone("")
		lengths := lengths6
		if a.Is4() {
			lengths = lengths4
		}
		for _, n := range lengths {
			if p, err := a.Prefix(n); err == nil {
				if _, ok := networks[p]; ok {
					return true
				}
			}
		}
		return false
	}
	l.matchFold = l.match
	return 0, nil
}

// parseNetwork reads a network; an address is the network of itself, and IPv4 within IPv6 is IPv4.
func parseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%q is not a network", cutText(text))
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q holds more than IPv4 within IPv6", cutText(text))
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func (l *List) compilePatterns() (at int, err error) {
	if len(l.Values) > maxListPatterns {
		return maxListPatterns, fmt.Errorf("more than %d patterns", maxListPatterns)
	}
	exact, folded := make([]*regexp.Regexp, len(l.Values)), make([]*regexp.Regexp, len(l.Values))
	for i, v := range l.Values {
		if exact[i], err = regexp.Compile(v); err != nil {
			return i, fmt.Errorf("%q is not a regular expression (RE2): %w", cutText(v), err)
		}
		if folded[i], err = regexp.Compile("(?i)" + v); err != nil {
			return i, fmt.Errorf("%q is not a regular expression (RE2): %w", cutText(v), err)
		}
	}
	anyOf := func(patterns []*regexp.Regexp) func(string) bool {
		return func(text string) bool {
			for _, re := range patterns {
				if re.MatchString(text) {
					return true
				}
			}
			return false
		}
	}
	l.match, l.matchFold = anyOf(exact), anyOf(folded)
	return 0, nil
}

// looksLikeNetworks tells whether a list without a kind holds networks: all of its values are, and one at least is written as one.
func looksLikeNetworks(values []string) bool {
	written := false
	for _, v := range values {
		if _, err := parseNetwork(v); err != nil {
			return false
		}
		written = written || strings.Contains(v, "/")
	}
	return written
}

// cutText keeps what is shown of a value short.
func cutText(s string) string {
	const longest = 60
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}
