package rules

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxGroupings bounds the groupings of a rule: each keeps state of its own.
const maxGroupings = 16

// groupings reads by: [a, b] is one grouping of two terms, [[a], [a, b]] are two. text has each as its terms are written, joined by ", ".
// Both are nil after an error, and for [].
func (x *exprReader) groupings(e hcl.Expression) (by [][]Expr, text []string) {
	x.nodes = 0
	syntax := x.syntax(e)
	if syntax == nil {
		return nil, nil
	}
	list, ok := bare(syntax).(*hclsyntax.TupleConsExpr)
	if !ok {
		x.fail(e.Range(), "by wants terms in brackets", "write by = [source.ip], or by = [[source.ip], [gatebook.user.key]] for two groupings")
		return nil, nil
	}
	var groups [][]hclsyntax.Expression
	for _, one := range list.Exprs {
		if inner, ok := bare(one).(*hclsyntax.TupleConsExpr); ok {
			groups = append(groups, inner.Exprs)
			if len(inner.Exprs) == 0 {
				x.fail(one.Range(), "there is nothing between the brackets", "")
				return nil, nil
			}
		}
	}
	switch {
	case len(list.Exprs) == 0:
		return nil, nil
	case len(groups) == 0:
		groups = [][]hclsyntax.Expression{list.Exprs}
	case len(groups) != len(list.Exprs):
		x.fail(e.Range(), "terms and groupings are mixed", "write each grouping in brackets of its own: by = [[a], [a, b]]")
		return nil, nil
	case len(groups) > maxGroupings:
		x.fail(e.Range(), fmt.Sprintf("more than %d groupings", maxGroupings), "")
		return nil, nil
	}
	seen := map[string]bool{}
	for i, g := range groups {
		terms := x.grouping(g)
		if terms == nil {
			seen = nil // an error; the others are read for theirs
			continue
		}
		words := make([]string, len(terms))
		for k, t := range terms {
			words[k] = canonical(t)
		}
		by, text = append(by, terms), append(text, strings.Join(words, ", "))
		if seen[text[len(text)-1]] {
			x.fail(list.Exprs[i].Range(), "this grouping stands here twice", "")
			seen = nil
		}
		if seen != nil {
			seen[text[len(text)-1]] = true
		}
	}
	if seen == nil {
		return nil, nil
	}
	return by, text
}

func (x *exprReader) grouping(list []hclsyntax.Expression) (terms []Expr) {
	before := *x
	x.prev, x.aggregates, x.steps = false, false, nil
	terms = x.keyTerms(list)
	nodes := x.nodes
	*x = before
	x.nodes = nodes
	return terms
}

// template reads a text with terms in it.
func (x *exprReader) template(e hcl.Expression) *Template {
	x.nodes = 0
	syntax := x.syntax(e)
	if syntax == nil {
		return nil
	}
	t := &Template{Range: e.Range()}
	var parts []hclsyntax.Expression
	switch text := bare(syntax).(type) {
	case *hclsyntax.TemplateExpr:
		parts = text.Parts
	case *hclsyntax.TemplateWrapExpr:
		parts = []hclsyntax.Expression{text.Wrapped}
	default:
		x.foreign(text, "want a text in quotes here", `write "..."; what is worked out stands in ${ }: "${count()} logins of ${key}"`)
		return nil
	}
	ok := true
	for _, p := range parts {
		part, good := x.templatePart(p)
		if ok = ok && good; !ok {
			continue
		}
		if n := len(t.Parts); n > 0 && part.Expr == nil && !part.Key && t.Parts[n-1].Expr == nil && !t.Parts[n-1].Key {
			t.Parts[n-1].Text += part.Text
			continue
		}
		t.Parts = append(t.Parts, part)
	}
	if !ok {
		return nil
	}
	return t
}

func (x *exprReader) templatePart(p hclsyntax.Expression) (TemplatePart, bool) {
	switch e := bare(p).(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.IsKnown() && !e.Val.IsNull() && e.Val.Type() == cty.String {
			return TemplatePart{Text: e.Val.AsString()}, true
		}
	case *hclsyntax.ConditionalExpr, *hclsyntax.TemplateJoinExpr:
		x.fail(e.Range(), "%{ } is not available", "to mean the characters themselves write %%{")
		return TemplatePart{}, false
	case *hclsyntax.ScopeTraversalExpr:
		if e.Traversal.RootName() == "key" && len(e.Traversal) == 1 {
			return TemplatePart{Key: true}, true
		}
		if x.isDefine(e) {
			break
		}
		f := x.field(e) // which may have several values
		if f == nil || !x.comparable(e.Range(), f) {
			return TemplatePart{}, false
		}
		return TemplatePart{Expr: f}, true
	}
	t := x.value(p)
	return TemplatePart{Expr: t}, t != nil
}
