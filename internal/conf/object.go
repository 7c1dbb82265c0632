package conf

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Object reads a value written as { key = value, ... }, with the getters of Body. Its keys may be data as well as
// schema: Keys gives all of them. Closing the body it came from closes it.
type Object struct{ reader }

// Key is a key of an object and where it stands.
type Key struct {
	Name  string
	Range hcl.Range
}

// KeyValue is an entry of an object of strings.
type KeyValue struct {
	Key, Value           string
	KeyRange, ValueRange hcl.Range
}

// Object returns a nested object, nil where it is absent or wrong. Asked twice it gives the same one.
func (r *reader) Object(name string) *Object {
	a := r.written(name)
	if a == nil {
		return nil
	}
	return r.object(a, a.expr, r.label(a.name))
}

// Objects returns a list of objects, written [{ ... }, { ... }]; wrong elements are noted and left out. Asked twice it gives
// the same ones.
func (r *reader) Objects(name string) []*Object {
	a := r.written(name)
	if a == nil {
		return nil
	}
	t, ok := unwrap(a.expr).(*hclsyntax.TupleConsExpr)
	if !ok {
		r.errorAt(a.expr.Range(), name, "want a list of objects", "write "+asKey(name)+" = [{ ... }]")
		return nil
	}
	var out []*Object
	for i, e := range t.Exprs {
		if o := r.object(a, e, fmt.Sprintf("%s[%d]", r.label(name), i)); o != nil {
			out = append(out, o)
		}
	}
	return out
}

func (r *reader) object(a *attribute, expr hclsyntax.Expression, title string) *Object {
	if r.file.broken[expr.StartRange().Start.Line] {
		return nil
	}
	for _, o := range r.objects {
		if o.at == expr.Range() {
			return o
		}
	}
	cons, ok := unwrap(expr).(*hclsyntax.ObjectConsExpr)
	if !ok {
		// The value's type is named where it can be had without evaluating: a wrong value may call env().
		got := ""
		if l, ok := expr.(*hclsyntax.LiteralValueExpr); ok {
			got = ", got " + describe(l.Val)
		} else if _, ok := expr.(*hclsyntax.TemplateExpr); ok {
			got = ", got a string"
		} else if _, ok := expr.(*hclsyntax.TupleConsExpr); ok {
			got = ", got a list"
		}
		r.errorAt(expr.Range(), a.name, "want an object"+got, "write it out: "+asKey(a.name)+" = { key = value }")
		return nil
	}
	o := &Object{newReader(r.file, "key", title, title, expr.Range(), expr.Range())}
	for _, item := range cons.Items {
		name, ok := r.key(a, item.KeyExpr)
		if !ok {
			continue
		}
		if first := o.byName[name]; first != nil {
			o.errorAt(item.KeyExpr.Range(), "", fmt.Sprintf("key %q is given twice", cut(name)),
				fmt.Sprintf("the first is in line %d", first.nameRange.Start.Line))
			continue
		}
		entry := &attribute{name: name, nameRange: item.KeyExpr.Range(), expr: item.ValueExpr}
		o.attrs = append(o.attrs, entry)
		o.byName[name] = entry
	}
	r.objects = append(r.objects, o)
	return o
}

// key evaluates the key of an object, which stands with or without quotes.
func (r *reader) key(a *attribute, expr hclsyntax.Expression) (string, bool) {
	probe := &attribute{name: a.name, expr: expr}
	if k, ok := expr.(*hclsyntax.ObjectConsKeyExpr); !ok || k.ForceNonLiteral || hcl.ExprAsKeyword(k.Wrapped) == "" {
		// Not a bare word: a quoted one, or an expression in parentheses.
		if k, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
			if _, dotted := k.Wrapped.(*hclsyntax.ScopeTraversalExpr); dotted && !k.ForceNonLiteral {
				text := string(expr.Range().SliceBytes(r.file.src))
				r.errorAt(expr.Range(), a.name, fmt.Sprintf("the key %s needs quotes", cut(text)), fmt.Sprintf("write %q", cut(text)))
				return "", false
			}
		}
		if !r.evaluable(probe) {
			return "", false
		}
	}
	f := r.file
	f.reading = probe
	value, diags := safeValue(expr, f.context())
	f.reading = nil
	for _, d := range diags {
		r.addEvaluation(probe, d)
	}
	if diags.HasErrors() {
		return "", false
	}
	if value.ContainsMarked() {
		r.errorAt(expr.Range(), a.name, "a key may not come from env() or file()", "")
		return "", false
	}
	value, err := convert.Convert(value, cty.String)
	if err != nil || value.IsNull() || !value.IsKnown() {
		r.errorAt(expr.Range(), a.name, "a key is a string", "")
		return "", false
	}
	return value.AsString(), true
}

// Keys returns the names of all attributes or keys in the order of the file, for where they are data. They count as
// asked for.
func (r *reader) Keys() []Key {
	keys := make([]Key, len(r.attrs))
	for i, a := range r.attrs {
		keys[i] = Key{Name: a.name, Range: a.nameRange}
		r.ask(a.name)
	}
	return keys
}

// Close notes an error for every key that was not asked for, with what was probably meant.
func (o *Object) Close() {
	if o.closed {
		return
	}
	o.closed = true
	o.closeAttributes(nil)
}

// Pairs returns an object of strings in the order of the file, nil where it is absent; wrong entries are noted and left out.
func (r *reader) Pairs(name string) []KeyValue {
	o := r.Object(name)
	if o == nil {
		return nil
	}
	pairs := make([]KeyValue, 0, len(o.attrs))
	for _, k := range o.Keys() {
		if v, ok := o.text(k.Name, `a string such as "..."`); ok {
			pairs = append(pairs, KeyValue{Key: k.Name, Value: v, KeyRange: k.Range, ValueRange: o.Range(k.Name)})
		} else if !o.Has(k.Name) {
			o.errorAt(o.Range(k.Name), k.Name, "want a string, got null", "")
		}
	}
	return pairs
}

// StringMap is Pairs as a map.
func (r *reader) StringMap(name string) map[string]string {
	pairs := r.Pairs(name)
	if pairs == nil {
		return nil
	}
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}
