package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// Canonical is what an expression means, as text: two that mean different things have different texts. Places, layout, parentheses without
// influence and whether a define was used are no part of it; lists are named, and steps numbered. A nil e is "".
func Canonical(e Expr) string { return printer{}.text(e) }

func canonical(e Expr) string { return Canonical(e) }

// printer writes expressions; with the names of steps it does so for people.
type printer struct{ steps []string }

func (p printer) text(e Expr) string {
	switch e := e.(type) {
	case nil:
		return ""
	case *Match:
		return p.query(e.Of)
	case *And:
		return p.joined(" && ", p.operands(e, true, nil))
	case *Or:
		return p.joined(" || ", p.operands(e, false, nil))
	case *Not:
		return "!" + p.text(e.Of)
	case *Defined:
		return p.text(e.Of)
	case *Compare:
		return "(" + p.text(e.Left) + " " + e.Op.String() + " " + p.text(e.Right) + ")"
	case *InList:
		return "in_list(" + p.text(e.Term) + ", list." + e.List.Name + ")"
	case *Field:
		return p.field(e.From, e.Field)
	case *Const:
		return constantText(e.Value)
	case *Arith:
		return "(" + p.text(e.Left) + " " + string(rune(e.Op)) + " " + p.text(e.Right) + ")"
	case *Call:
		return p.call(e)
	case *Aggregate:
		return p.aggregate(e)
	}
	return fmt.Sprintf("%T", e)
}

// operands flattens && or || through defines.
func (p printer) operands(e Expr, and bool, list []string) []string {
	switch e := e.(type) {
	case *Defined:
		return p.operands(e.Of, and, list)
	case *And:
		if and {
			for _, one := range e.Of {
				list = p.operands(one, and, list)
			}
			return list
		}
	case *Or:
		if !and {
			for _, one := range e.Of {
				list = p.operands(one, and, list)
			}
			return list
		}
	}
	return append(list, p.text(e))
}

func (p printer) joined(by string, list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "(" + strings.Join(list, by) + ")"
}

func (p printer) from(f From) string {
	switch {
	case f == FromEvent:
		return ""
	case f == FromPrev:
		return "prev."
	case int(f) < len(p.steps):
		return p.steps[f] + "."
	}
	return fmt.Sprintf("step[%d].", int(f))
}

// field names lower() only where the field does not fold by itself.
func (p printer) field(from From, f query.Field) string {
	name := f.Name()
	if f.Key != "" && !hclsyntax.ValidIdentifier(f.Key) {
		name = "labels[" + strconv.Quote(f.Key) + "]"
	}
	if f.ID == event.FieldTimestamp {
		name = "time"
	}
	name = p.from(from) + name
	if own, err := query.FieldNamed(f.Name()); f.Fold && (err != nil || !own.Fold) {
		return "lower(" + name + ")"
	}
	return name
}

func constantText(v Value) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

func (p printer) call(c *Call) string {
	var args []string
	for _, a := range c.Args {
		args = append(args, p.text(a))
	}
	if c.Hours != nil {
		args = append(args, strconv.Quote(c.Hours.canonical()), strconv.Quote(c.Hours.Zone.String()))
	}
	if c.Zone != nil {
		args = append(args, strconv.Quote(c.Zone.String()))
	}
	return c.Name + "(" + strings.Join(args, ", ") + ")"
}

func (p printer) aggregate(a *Aggregate) string {
	var args []string
	for _, t := range a.Terms {
		args = append(args, p.text(t))
	}
	if len(args) > 1 {
		args = []string{"[" + strings.Join(args, ", ") + "]"}
	}
	if a.Cond != nil {
		args = append(args, p.text(a.Cond))
	}
	switch a.Kind {
	case Since, GapKM, SpeedKMH:
		args = append(args, "prev")
	case Baseline:
		args = append(args, strconv.Quote(a.Slot))
	}
	if a.Horizon > 0 {
		args = append(args, `"`+a.Horizon.String()+`"`)
	}
	if a.Kind == Baseline {
		args = append(args, constantText(a.Quantile))
	}
	return string(a.Kind) + "(" + strings.Join(args, ", ") + ")"
}

// query writes what one event is asked.
func (p printer) query(e query.Expr) string {
	list := func(of []query.Expr) []string {
		parts := make([]string, len(of))
		for i, one := range of {
			parts[i] = p.query(one)
		}
		return parts
	}
	switch e := e.(type) {
	case query.And:
		if len(e.Of) == 0 {
			return "true"
		}
		return p.joined(" && ", list(e.Of))
	case query.Or:
		if len(e.Of) == 0 {
			return "false"
		}
		return p.joined(" || ", list(e.Of))
	case query.Not:
		return "!" + p.query(e.Of)
	case query.Const:
		return strconv.FormatBool(e.True)
	case query.Compare:
		return "(" + p.field(FromEvent, e.Field) + " " + e.Op.String() + " " + valueText(e.Field, e.Value) + ")"
	case query.In:
		values := make([]string, len(e.Values))
		for i, v := range e.Values {
			values[i] = valueText(e.Field, v)
		}
		return "in(" + p.field(FromEvent, e.Field) + ", [" + strings.Join(values, ", ") + "])"
	case query.Text:
		return e.How.String() + "(" + p.field(FromEvent, e.Field) + ", " + strconv.Quote(e.Text) + ")"
	case query.CIDR:
		nets := make([]string, len(e.Networks))
		for i, n := range e.Networks {
			nets[i] = strconv.Quote(n.String())
		}
		return "cidr(" + p.field(FromEvent, e.Field) + ", " + strings.Join(nets, ", ") + ")"
	case query.Exists:
		return "exists(" + p.field(FromEvent, e.Field) + ")"
	}
	return fmt.Sprintf("%T", e)
}

func valueText(f query.Field, v query.Value) string {
	switch v.Kind {
	case event.Str:
		return strconv.Quote(v.Str)
	case event.JSON:
		return strconv.Quote(v.IP.String())
	case event.Num:
		return constantText(v.Num)
	}
	switch f.Type() {
	case event.DateTime:
		return strconv.Quote(time.Unix(0, v.Int).UTC().Format(time.RFC3339Nano))
	case event.Boolean:
		return strconv.FormatBool(v.Int != 0)
	}
	return strconv.FormatInt(v.Int, 10)
}
