package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// What is told of expressions that cannot be read: names that are unknown, and what HCL allows and the language does not.

// tell notes an error of package query, or of hours.
func (x *exprReader) tell(at hcl.Range, err error) Expr {
	var f *query.FieldError
	if errors.As(err, &f) {
		return x.fail(at, f.Message, f.Remedy)
	}
	return x.fail(at, err.Error(), "")
}

// notHere is what is said of prev and aggregates where they have no meaning.
func (x *exprReader) notHere(what string) (message, remedy string) {
	switch {
	case x.aggregate != "":
		return what + " is not available within " + x.aggregate + "()", "what stands there is asked of each event alone"
	case what == "prev" && x.steps != nil:
		return what + " is not available in a sequence", "name the step that is meant: STEP.FIELD"
	}
	return what + " is not available here", "when and by look at one event alone: ask it in fire"
}

// unknown explains a name that is no field. Names in error are told where they are defined.
func (x *exprReader) unknown(e *hclsyntax.ScopeTraversalExpr, err error) {
	at, name := e.Range(), traversalText(e.Traversal)
	if len(e.Traversal) == 1 {
		switch {
		case x.listNamed(name) != nil:
			x.fail(at, name+" is a list", "write contains(list."+name+", FIELD)")
			return
		case slices.Contains(x.allNames(), name):
			return
		case name == "prev" || slices.Contains(x.steps, name):
			x.fail(at, name+" alone is no value", "write "+name+".FIELD")
			return
		case functionNamed(name) != nil:
			x.fail(at, name+" is a function", "write "+functionNamed(name).example)
			return
		}
		if near := conf.Suggest(name, x.allNames()); near != "" {
			x.fail(at, fmt.Sprintf("there is no define or field %q", name), "did you mean "+near+"?")
			return
		}
	} else if root := e.Traversal.RootName(); slices.Contains(x.allNames(), root) {
		x.fail(at, root+" is a define or a list, and no event that has fields", "")
		return
	} else if _, bad := query.FieldAt(e.Traversal[1:]); bad == nil && !isFieldRoot(root) {
		x.unknownEvent(at, root)
		return
	}
	if before, _, dash := strings.Cut(name, "-"); dash {
		if _, bad := query.FieldNamed(before); bad == nil || x.definition(before) != nil {
			x.fail(at, fmt.Sprintf("unknown field %q: a-b is one name", name), "to subtract, put blanks around the -; labels with a dash are labels[\"a-b\"]")
			return
		}
	}
	x.tell(at, err)
}

// unknownEvent explains SOMETHING.source.ip.
func (x *exprReader) unknownEvent(at hcl.Range, name string) {
	known := []string{}
	for _, s := range x.steps {
		if s != "" {
			known = append(known, s)
		}
	}
	remedy := "steps can be referred to by the steps behind them"
	if len(known) > 0 {
		remedy = "the steps before this one are " + strings.Join(known, ", ")
	}
	if x.prev {
		known, remedy = append(known, "prev"), "the preceding event of the key is prev"
	}
	if near := conf.Suggest(name, known); near != "" {
		remedy = "did you mean " + near + "?"
	}
	if x.aggregate != "" {
		_, remedy = x.notHere(name)
	}
	x.fail(at, fmt.Sprintf("there is no step or event %q here", name), remedy)
}

func (x *exprReader) unknownList(at hcl.Range, name string) {
	if x.definition(name) != nil {
		x.fail(at, name+" is a define, not a list", "write "+name+" alone")
		return
	}
	var known []string
	for _, n := range x.allNames() {
		if n == name {
			return // in error
		}
		if x.listNamed(n) != nil {
			known = append(known, n)
		}
	}
	remedy := `lists are blocks: list "` + name + `" { values = [...] }`
	if near := conf.Suggest(name, known); near != "" {
		remedy = "did you mean list." + near + "?"
	}
	x.fail(at, fmt.Sprintf("there is no list %q", name), remedy)
}

func (x *exprReader) unknownFunction(e *hclsyntax.FunctionCallExpr) Expr {
	names := make([]string, len(functions))
	for i := range functions {
		names[i] = functions[i].name
	}
	remedy := "the functions are " + strings.Join(names, ", ")
	if near := conf.Suggest(e.Name, names); near != "" {
		remedy = "did you mean " + functionNamed(near).example + "?"
	} else if x.definition(e.Name) != nil {
		remedy = e.Name + " is a define: write it without ()"
	}
	return x.fail(e.NameRange, "unknown function "+e.Name+"()", remedy)
}

func isFieldRoot(name string) bool {
	for i := range event.Fields {
		if root, _, _ := strings.Cut(event.Fields[i].Name, "."); root == name {
			return true
		}
	}
	return false
}

func traversalText(t hcl.Traversal) string {
	var parts []string
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			parts = append(parts, s.Name)
		case hcl.TraverseAttr:
			parts = append(parts, s.Name)
		}
	}
	return strings.Join(parts, ".")
}

// noCondition explains an expression that can be no condition.
func (x *exprReader) noCondition(e hclsyntax.Expression) Expr {
	if b, ok := e.(*hclsyntax.BinaryOpExpr); ok {
		if _, ok := arithmetic[b.Op]; ok {
			return x.fail(e.Range(), "arithmetic gives a number, not a condition", `compare it, as in a - b > 5; a label with a dash in its name is labels["a-b"]`)
		}
	}
	if _, typ, ok := query.Literal(e); ok {
		return x.fail(e.Range(), "this is "+kindOf(constant(e.Range(), "0", typ)).String()+", not a condition", `write FIELD == "value", joined by && and ||`)
	}
	return x.foreign(e, `this is no condition`, `write FIELD == "value", joined by && and ||`)
}

// noTerm explains an expression that can be no term.
func (x *exprReader) noTerm(e hclsyntax.Expression) Expr {
	switch b := e.(type) {
	case *hclsyntax.BinaryOpExpr:
		return x.fail(e.Range(), "this is a condition, and a value is wanted here", "a == b is true or false and cannot be compared again; join conditions by && and ||")
	case *hclsyntax.UnaryOpExpr:
		return x.fail(e.Range(), "this is a condition, and a value is wanted here", "! turns a whole condition around: !(a == b)")
	case *hclsyntax.LiteralValueExpr:
		if b.Val.IsKnown() && b.Val.IsNull() {
			return x.fail(e.Range(), "null can only be asked for by == and !=", "write FIELD == null")
		}
		if b.Val.IsKnown() {
			return x.fail(e.Range(), "the number is out of range", "")
		}
	}
	return x.foreign(e, "want a value here", "a field, a function, a number, or a text in quotes")
}

// foreign explains what HCL has and the language has not.
func (x *exprReader) foreign(e hclsyntax.Expression, otherwise, remedy string) Expr {
	switch e := e.(type) {
	case *hclsyntax.ExprSyntaxError: // told by the parser
		return nil
	case *hclsyntax.LiteralValueExpr:
		if !e.Val.IsKnown() { // what the parser could not read
			return nil
		}
	case *hclsyntax.ConditionalExpr:
		return x.fail(e.Range(), "a ? b : c is not available", "write (a && b) || (!a && c)")
	case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr:
		return x.fail(e.Range(), "the text holds ${ } or %{ }, which HCL works out", "to mean the characters themselves write $${ and %%{")
	case *hclsyntax.TupleConsExpr:
		return x.fail(e.Range(), "a list of values cannot stand here", `write in(FIELD, ["a", "b"])`)
	case *hclsyntax.ForExpr, *hclsyntax.SplatExpr, *hclsyntax.ObjectConsExpr, *hclsyntax.RelativeTraversalExpr:
		return x.fail(e.Range(), "for, splat, objects and members of values are not available in conditions", "")
	case *hclsyntax.IndexExpr:
		return x.fail(e.Range(), "only a text in quotes can stand in the brackets", `write labels["name"]`)
	}
	return x.fail(e.Range(), otherwise, remedy)
}
