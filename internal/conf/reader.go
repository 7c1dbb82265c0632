package conf

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// reader is what Body and Object have in common: named expressions, and which of them were asked for.
type reader struct {
	file    *File
	title   string    // `input "file" "auth"`, or the object's path; empty for the file itself
	path    string    // put before names in messages: `time` within the object time, `codes["a.b"]`
	kind    string    // what a name is called here: "attribute" or "key"
	at      hcl.Range // where to point when something is missing
	span    hcl.Range // from the opening to the closing brace
	attrs   []*attribute
	byName  map[string]*attribute
	asked   []string // in the order of asking: what did-you-mean chooses from
	isAsked map[string]bool
	objects []*Object // handed out; closed together with this
	closed  bool
}

type attribute struct {
	name      string
	nameRange hcl.Range
	expr      hclsyntax.Expression

	evaluated bool
	ok        bool // evaluated without an error, and not null
	value     cty.Value
	hidden    bool     // computed from env() or file()
	secrets   []string // what those returned
}

func newReader(f *File, kind, title, path string, at, span hcl.Range) reader {
	return reader{file: f, kind: kind, title: title, path: path, at: at, span: span,
		byName: map[string]*attribute{}, isAsked: map[string]bool{}}
}

func (r *reader) ask(name string) {
	if !r.isAsked[name] {
		r.isAsked[name] = true
		r.asked = append(r.asked, name)
	}
}

// written returns the attribute as it stands in the file, nil where it is absent or literally null.
func (r *reader) written(name string) *attribute {
	r.ask(name)
	a := r.byName[name]
	if a == nil {
		return nil
	}
	if l, ok := a.expr.(*hclsyntax.LiteralValueExpr); ok && l.Val.IsNull() {
		return nil
	}
	return a
}

// get returns the evaluated attribute; nil where it is absent, null or in error, which is then noted.
func (r *reader) get(name string) *attribute {
	a := r.written(name)
	if a == nil {
		return nil
	}
	if !a.evaluated {
		a.evaluated = true
		r.evaluate(a)
	}
	if !a.ok {
		return nil
	}
	return a
}

func (r *reader) evaluate(a *attribute) {
	f := r.file
	if f.broken[a.expr.StartRange().Start.Line] || !r.evaluable(a) {
		return // the parser has said already what is wrong in this line
	}
	f.reading = a
	value, diags := safeValue(a.expr, f.context())
	f.reading = nil
	for _, d := range diags {
		r.addEvaluation(a, d)
	}
	if diags.HasErrors() {
		return
	}
	value, marks := value.UnmarkDeep()
	if !value.IsWhollyKnown() {
		if !f.syntaxErrors { // what the parser could not read is unknown, and told
			r.errorAt(a.expr.Range(), a.name, "cannot be evaluated", "")
		}
		return
	}
	a.value, a.hidden = value, len(marks) > 0
	a.ok = !value.IsNull()
}

// addEvaluation notes what HCL says of an expression, unless its words could hold a secret.
func (r *reader) addEvaluation(a *attribute, d *hcl.Diagnostic) {
	out := Diagnostic{Range: a.expr.Range(), Message: r.label(a.name) + ": " + d.Summary, Remedy: d.Detail}
	if d.Severity == hcl.DiagWarning {
		out.Severity = Warning
	}
	if d.Subject != nil {
		out.Range = *d.Subject
	}
	var own *functionError
	if call, ok := d.Extra.(hclsyntax.FunctionCallDiagExtra); ok && errors.As(call.FunctionCallError(), &own) {
		out.Message, out.Remedy = r.label(a.name)+": "+own.message, own.remedy
	} else if len(a.secrets) > 0 {
		out.Remedy = "the details are hidden: they may show what env() or file() returned"
	}
	r.file.add(out)
}

// safeValue keeps a panic of a library function on odd arguments from ending the process.
func safeValue(expr hcl.Expression, ctx *hcl.EvalContext) (v cty.Value, diags hcl.Diagnostics) {
	defer func() {
		if recover() != nil {
			v = cty.DynamicVal
			rng := expr.Range()
			diags = hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "cannot be evaluated", Subject: &rng}}
		}
	}()
	return expr.Value(ctx)
}

// evaluable reports what an expression may not hold: variables, of which there are none; loops and numbers whose result
// would be far larger than the text.
func (r *reader) evaluable(a *attribute) bool {
	ok := true
	_ = hclsyntax.VisitAll(a.expr, func(node hclsyntax.Node) hcl.Diagnostics {
		switch e := node.(type) {
		case *hclsyntax.ScopeTraversalExpr:
			ok = false
			text := string(e.Range().SliceBytes(r.file.src))
			r.errorAt(e.Range(), a.name, fmt.Sprintf("there is no variable %s", cut(text)), fmt.Sprintf("for a text write %q", cut(text)))
		case *hclsyntax.ForExpr:
			ok = false
			r.errorAt(e.Range(), a.name, "for expressions are not available", "write the values out")
		case *hclsyntax.LiteralValueExpr:
			if e.Val.Type() == cty.Number && !e.Val.IsNull() && hugeNumber(e.Val.AsBigFloat()) {
				ok = false
				r.errorAt(e.Range(), a.name, "the number is out of range", "")
			}
		}
		return nil
	})
	return ok
}

func hugeNumber(n *big.Float) bool {
	exponent := n.MantExp(nil)
	return n.IsInf() || exponent > 1024 || exponent < -1100
}

func cut(s string) string {
	const longest = 60
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}

// errorAt notes an error about one name at one place.
func (r *reader) errorAt(at hcl.Range, name, message, remedy string) {
	if name != "" {
		message = r.label(name) + ": " + message
	} else if r.title != "" {
		message = r.title + ": " + message
	}
	r.file.add(Diagnostic{Range: at, Message: message, Remedy: remedy})
}

// label is the name with the way to it: max_line, time.layouts, codes["gatebook.status.code"]["1"].name.
func (r *reader) label(name string) string {
	switch {
	case r.path == "":
		return name
	case hclsyntax.ValidIdentifier(name):
		return r.path + "." + name
	}
	return fmt.Sprintf("%s[%q]", r.path, cut(name))
}

// asKey is the name as one would write it before an equals sign.
func asKey(name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return name
	}
	return fmt.Sprintf("%q", cut(name))
}

// want notes a wrong type: "max_line: want a size such as "64KiB", got a number".
func (r *reader) want(a *attribute, what, remedy string) {
	r.errorAt(a.expr.Range(), a.name, "want "+what+", got "+describe(a.value), remedy)
}

// describe names the type of a value, never the value.
func describe(v cty.Value) string {
	t := v.Type()
	switch {
	case v.IsNull():
		return "null"
	case t == cty.String:
		return "a string"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return "a list"
	case t.IsObjectType() || t.IsMapType():
		return "an object"
	}
	return "something else"
}

// show quotes a string value for a message, or hides it.
func (a *attribute) show(s string) string {
	if a.hidden {
		return hiddenValue
	}
	return fmt.Sprintf("%q", cut(s))
}

// Has reports whether the name is written at all, be its value right or wrong; a literal null counts as absent.
func (r *reader) Has(name string) bool { return r.written(name) != nil }

// Sensitive reports whether the value came from env() or file(): such a value is never to be logged or dumped.
func (r *reader) Sensitive(name string) bool {
	a := r.get(name)
	return a != nil && a.hidden
}

// Range is where the value stands; where it is absent, where the body or object begins.
func (r *reader) Range(name string) hcl.Range {
	if a := r.byName[name]; a != nil {
		return a.expr.Range()
	}
	return r.at
}

// Require notes an error where the name is absent; example is shown as what to write, such as `["a", "b"]`.
func (r *reader) Require(name, example string) bool {
	if r.Has(name) {
		return true
	}
	if r.byName[name] != nil {
		r.errorAt(r.Range(name), name, "is required and cannot be null", "write "+asKey(name)+" = "+example)
		return false
	}
	if r.hasSyntaxError() {
		return false // it may be in the part that the parser skipped
	}
	r.errorAt(r.at, "", fmt.Sprintf("%s %q is missing", r.kind, name), "write "+asKey(name)+" = "+example)
	return false
}

func (r *reader) hasSyntaxError() bool {
	for line := range r.file.broken {
		if r.span.Start.Line <= line && line <= r.span.End.Line {
			return true
		}
	}
	return false
}

// Errorf notes an error at the value of name, or, where that is absent or name is empty, at the body. Values that came from env() or
// file() are hidden in the text.
func (r *reader) Errorf(name, format string, args ...any) {
	r.tell(Error, name, fmt.Sprintf(format, args...))
}

// Warnf is Errorf for a warning.
func (r *reader) Warnf(name, format string, args ...any) {
	r.tell(Warning, name, fmt.Sprintf(format, args...))
}

func (r *reader) tell(severity Severity, name, message string) {
	if a := r.byName[name]; a != nil {
		for _, secret := range a.secrets {
			message = hideValue(message, secret)
		}
	}
	switch {
	case name != "":
		message = r.label(name) + ": " + message
	case r.title != "":
		message = r.title + ": " + message
	}
	r.file.add(Diagnostic{Severity: severity, Range: r.Range(name), Message: message})
}

// closeAttributes notes every name that was not asked for. blocks are the block types asked for, where there are any.
func (r *reader) closeAttributes(blocks []string) {
	for _, a := range r.attrs {
		if r.isAsked[a.name] {
			continue
		}
		remedy := didYouMean(a.name, r.asked, func(s string) string { return fmt.Sprintf("%q", s) })
		if slices.Contains(blocks, a.name) {
			remedy = fmt.Sprintf("%s is a block: write %s { ... } without the equals sign", a.name, a.name)
		}
		r.file.add(Diagnostic{Range: a.nameRange, Message: fmt.Sprintf("unknown %s %q%s", r.kind, cut(a.name), r.in()), Remedy: remedy})
	}
	for _, o := range r.objects {
		o.Close()
	}
}

func (r *reader) in() string {
	if r.title == "" {
		return ""
	}
	return " in " + r.title
}
