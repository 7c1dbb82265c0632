// Package query is the one expression tree that a question and a rule's condition become, with its front ends and back ends.
//
//	field=value ...  -> ParseSimple \                / Compile -> func(*event.Event) bool
//	HCL expression   -> FromHCL      > Expr (tree) -- SQL     -> where, args for the embedded store
//	                                                 \ DSL     -> query of Elasticsearch and OpenSearch, JSON
//	                                                  \ KQL    -> Kibana query language, text
//
// What it promises: all back ends answer alike on the same events (tests compare them on random trees and events: Compile and SQL in package
// store, DSL and KQL against real servers in outputs/elastic), and what a front end does not understand is an error that points at the word,
// never a guess. So is what a back end cannot say: DSL and KQL name the part, and what the index does not hold is listed at DSL.
//
// How values compare: a missing field makes every comparison false except != (true); == null asks for absence; "not" has two
// values; a field with several values matches == if any does and != if none does; user names and e-mail addresses ignore case,
// as does a field within lower(); a dataset may be written short ("linux.auth").
package query

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Expr is a node of the tree: And, Or, Not, Const, Compare, In, Text, CIDR or Exists. Trees are not changed once built.
type Expr interface{ isExpr() }

// And is true where all of its parts are; an empty one is true.
type And struct{ Of []Expr }

// Or is true where any of its parts is; an empty one is false.
type Or struct{ Of []Expr }

// Not is true where its part is false.
type Not struct{ Of Expr }

// Const is always true or always false.
type Const struct{ True bool }

// Compare holds a field against a value.
type Compare struct {
	Field Field
	Op    Op
	Value Value
}

// In is true where any value of the field equals any of the list.
type In struct {
	Field  Field
	Values []Value
}

// Text looks into texts. An empty text is in every text, of a field that is there.
type Text struct {
	Field Field
	How   How
	Text  string         // for Matches: the pattern, RE2 syntax, not anchored
	Re    *regexp.Regexp // for Matches
}

// CIDR is true where an address of the field is in any of the networks. An IPv4 address within IPv6 counts as IPv4.
type CIDR struct {
	Field    Field
	Networks []netip.Prefix
}

// Exists is true where the field has a value.
type Exists struct{ Field Field }

func (And) isExpr()     {}
func (Or) isExpr()      {}
func (Not) isExpr()     {}
func (Const) isExpr()   {}
func (Compare) isExpr() {}
func (In) isExpr()      {}
func (Text) isExpr()    {}
func (CIDR) isExpr()    {}
func (Exists) isExpr()  {}

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	Eq Op = iota
	Ne
	Lt
	Le
	Gt
	Ge
)

var opNames = [...]string{"==", "!=", "<", "<=", ">", ">="}

func (o Op) String() string { return opNames[o] }

var mirrored = [...]Op{Eq: Eq, Ne: Ne, Lt: Gt, Le: Ge, Gt: Lt, Ge: Le}

// Mirrored is the comparison with its sides exchanged.
func (o Op) Mirrored() Op { return mirrored[o] }

// How is the way Text looks.
type How uint8

// The ways.
const (
	Contains How = iota
	StartsWith
	EndsWith
	Matches
)

var howNames = [...]string{"contains", "startswith", "endswith", "matches"}

func (h How) String() string { return howNames[h] }

// Field is what a comparison reads: a field of the table, or one label.
type Field struct {
	ID   event.FieldID
	Key  string // of labels
	Fold bool   // letter case does not matter
}

// Name is the field as questions write it.
func (f Field) Name() string {
	if f.Key != "" {
		return event.Fields[f.ID].Name + "." + f.Key
	}
	return event.Fields[f.ID].Name
}

// Many tells that the field can have several values.
func (f Field) Many() bool { return f.Key != "" || event.Fields[f.ID].Array }

// Type is the type of its values.
func (f Field) Type() event.Type {
	if f.Key != "" {
		return event.Keyword
	}
	return event.Fields[f.ID].Type
}

// Value is what a field is held against. Kind is Str, Int (also of dates, in nanoseconds, and booleans, 0 or 1), Num, or JSON for an
// address.
type Value struct {
	Kind event.ValueKind
	Str  string // lower case where the field folds
	Int  int64
	Num  float64
	IP   netip.Addr
}

// FieldError says what is wrong with a field or its value; Remedy may be empty.
type FieldError struct{ Message, Remedy string }

func (e *FieldError) Error() string {
	if e.Remedy == "" {
		return e.Message
	}
	return e.Message + "; " + e.Remedy
}

func wrong(remedy, format string, args ...any) *FieldError {
	return &FieldError{fmt.Sprintf(format, args...), remedy}
}

// FieldNamed finds a field by its name in the table, or labels.KEY.
func FieldNamed(name string) (Field, error) {
	switch name {
	case "time":
		name = "@timestamp"
	case "data_stream.dataset":
		name = "event.dataset"
	}
	if key, ok := strings.CutPrefix(name, "labels."); ok && key != "" {
		return Field{ID: event.FieldLabels, Key: event.LabelKey(key)}, nil
	}
	id, ok := event.FieldByName(name)
	if !ok {
		return Field{}, unknownField(name)
	}
	f := event.Fields[id]
	if f.Go == "" || strings.HasPrefix(name, "agent.") {
		return Field{}, wrong("", "%s cannot be asked for: it is the same for all events of a Gatebook", name)
	}
	if f.Type == event.Stored {
		return Field{}, wrong("", "%s cannot be asked for: it is stored and not indexed", name)
	}
	return Field{ID: id, Fold: folds(f.Name)}, nil
}

func unknownField(name string) error {
	if id, ok := alias(name); ok {
		return wrong(fmt.Sprintf("did you mean %q?", event.Fields[id].Name), "unknown field %q", name)
	}
	if near := conf.Suggest(name, event.FieldNames()); near != "" {
		return wrong(fmt.Sprintf("did you mean %q?", near), "unknown field %q", name)
	}
	return wrong("the fields are listed in docs/fields.md; what has no field of its own is labels.NAME", "unknown field %q", name)
}

// folds tells which fields hold user names and e-mail addresses.
func folds(name string) bool {
	switch name {
	case "related.user", "gatebook.user.key":
		return true
	}
	return strings.HasPrefix(name, "user.") && (strings.HasSuffix(name, ".name") || strings.HasSuffix(name, ".email")) ||
		strings.HasPrefix(name, "email.") && strings.HasSuffix(name, ".address")
}

// alias finds a field by what people call it, whatever the letter case and the separators.
func alias(name string) (event.FieldID, bool) {
	id, ok := aliases[squeeze(name)]
	return id, ok
}

var aliases = func() map[string]event.FieldID {
	m := map[string]event.FieldID{}
	add := func(name string, id int) {
		if _, taken := m[squeeze(name)]; !taken {
			m[squeeze(name)] = event.FieldID(id)
		}
	}
	for i := range event.Fields {
		for _, name := range event.Fields[i].Names() {
			add(name, i)
		}
	}
	for i := range event.Fields { // after what people say: "event_type" is the action, "event.type" is found by its name
		add(event.Fields[i].Name, i)
	}
	return m
}()

func squeeze(name string) string {
	return strings.NewReplacer(" ", "", "_", "", "-", "", ".", "", "@", "").Replace(strings.ToLower(name))
}

// ValueFor reads a text as a value of the field; times without a zone are in loc.
func ValueFor(f Field, text string, loc *time.Location) (Value, error) {
	switch f.Type() {
	case event.Integer:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return Value{Kind: event.Int, Int: n}, nil
		}
		return number(f, text)
	case event.Float32:
		return number(f, text)
	case event.Boolean:
		switch text {
		case "true":
			return Value{Kind: event.Int, Int: 1}, nil
		case "false":
			return Value{Kind: event.Int}, nil
		}
		return Value{}, wrong("", "%s is true or false, not %q", f.Name(), text)
	case event.DateTime:
		t, err := parseTime(text, loc)
		if err != nil {
			return Value{}, wrong(`write "2026-11-22T10:15:32Z" or "2026-11-22"`, "%s is a time, and %q is none", f.Name(), text)
		}
		return Value{Kind: event.Int, Int: t.UnixNano()}, nil
	case event.IP:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return Value{}, wrong("", "%s is an address, and %q is none", f.Name(), text)
		}
		return Value{Kind: event.JSON, IP: a.Unmap()}, nil
	case event.Keyword, event.Text:
		return word(f, text)
	}
	return Value{}, wrong("only whether it is there", "%s cannot be compared", f.Name())
}

func number(f Field, text string) (Value, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n {
		return Value{}, wrong("", "%s is a number, and %q is none", f.Name(), text)
	}
	return Value{Kind: event.Num, Num: n}, nil
}

// word knows the fields with fixed values, so that a misspelled one is no question that finds nothing.
func word(f Field, text string) (Value, error) {
	var known []string
	switch {
	case f.Key != "":
	case f.ID == event.FieldEventKind:
		known = []string{"event", "alert", "state"}
	case f.ID == event.FieldEventOutcome:
		known = []string{"success", "failure", "unknown"}
	case f.ID == event.FieldEventAction:
		for _, a := range event.Actions() {
			known = append(known, a.String())
		}
	case f.ID == event.FieldEventDataset:
		if text != "" && !strings.HasPrefix(text, event.DatasetPrefix) {
			text = event.DatasetPrefix + text
		}
	}
	if f.Fold {
		text = strings.ToLower(text)
	}
	if known != nil && !slices.Contains(known, text) {
		remedy := ""
		if near := conf.Suggest(text, known); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		} else if len(known) < 10 {
			remedy = "it is one of " + strings.Join(known, ", ")
		}
		return Value{}, wrong(remedy, "%q is no value of %s", text, f.Name())
	}
	return Value{Kind: event.Str, Str: text}, nil
}

var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04", "2006-01-02"}

func parseTime(text string, loc *time.Location) (time.Time, error) {
	if loc == nil {
		loc = time.UTC
	}
	for _, layout := range timeLayouts {
		t, err := time.ParseInLocation(layout, text, loc)
		if err == nil && t.Year() > 1700 && t.Year() < 2250 { // what nanoseconds in 64 bits can hold
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// NewCompare checks that the comparison makes sense for the field.
func NewCompare(f Field, op Op, v Value) (Expr, error) {
	if op != Eq && op != Ne && f.Type() == event.IP {
		return nil, wrong("use cidr()", "addresses have no order that %s could ask for", op)
	}
	if op != Eq && op != Ne && f.Type() == event.Boolean {
		return nil, wrong("", "%s is true or false: %s does not fit", f.Name(), op)
	}
	return Compare{f, op, v}, nil
}

// NewText checks that the field holds text, and compiles the pattern of Matches.
func NewText(f Field, how How, text string) (Expr, error) {
	if t := f.Type(); t != event.Keyword && t != event.Text {
		return nil, wrong("", "%s is of type %s, not text: %s does not fit", f.Name(), t, how)
	}
	e := Text{Field: f, How: how, Text: text}
	if how != Matches {
		if f.Fold {
			e.Text = strings.ToLower(text)
		}
		return e, nil
	}
	if f.Fold {
		e.Text = "(?i)" + text
	}
	re, err := regexp.Compile(e.Text)
	if err != nil {
		return nil, wrong("the syntax is RE2's", "%q is not a regular expression: %v", text, err)
	}
	e.Re = re
	return e, nil
}

// NewCIDR reads the networks; an address is the network of itself.
func NewCIDR(f Field, networks []string) (Expr, error) {
	if f.Type() != event.IP {
		return nil, wrong("", "%s is of type %s, not an address", f.Name(), f.Type())
	}
	e := CIDR{Field: f}
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			a, err := netip.ParseAddr(n)
			if err != nil || a.Zone() != "" {
				return nil, wrong(`write "203.0.113.0/24"`, "%q is not a network", n)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return nil, wrong("", "%q holds more than IPv4 within IPv6", n)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		e.Networks = append(e.Networks, p.Masked())
	}
	return e, nil
}
