package query

import (
	"net/netip"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// The embedded store has one table with a column for each field that the table marks (ColumnName), and the document, compressed, in
// the column doc. Columns hold what ColumnValue gives; other fields are taken out of the document. The store registers the
// functions gb_doc, gb_get, gb_lower, gb_time, gb_ip and gb_matches (store/functions.go), which do what this package does in memory.

// ColumnName is the store's column for a field; ok is false where it has none.
func ColumnName(id event.FieldID) (name string, ok bool) {
	f := &event.Fields[id]
	if !f.Column {
		return "", false
	}
	return strings.NewReplacer("@", "", ".", "_").Replace(f.Name), true
}

// Columns lists the fields that have a column, in table order.
func Columns() []event.FieldID {
	var ids []event.FieldID
	for i := range event.Fields {
		if event.Fields[i].Column {
			ids = append(ids, event.FieldID(i))
		}
	}
	return ids
}

// Folds tells that a column holds its field in lower case.
func Folds(id event.FieldID) bool { return folds(event.Fields[id].Name) }

// AddressBytes is how the store holds an address: 4 or 16 bytes in network order.
func AddressBytes(a netip.Addr) []byte { return a.Unmap().AsSlice() }

// SQL makes a condition for the store's WHERE and the values of its question marks. No text of the tree becomes part of the condition.
func SQL(e Expr) (where string, args []any) {
	var b sqlBuilder
	b.expr(e, false)
	return b.String(), b.args
}

type sqlBuilder struct {
	strings.Builder
	args []any
}

func (b *sqlBuilder) add(text string, args ...any) {
	b.WriteString(text)
	b.args = append(b.args, args...)
}

// expr writes a condition. strict says that NULL would not do for false, which is so within a Not.
func (b *sqlBuilder) expr(e Expr, strict bool) {
	switch e := e.(type) {
	case And:
		b.join(e.Of, " AND ", "1", strict)
	case Or:
		b.join(e.Of, " OR ", "0", strict)
	case Not:
		b.add("NOT (")
		b.expr(e.Of, true)
		b.add(")")
	case Const:
		if e.True {
			b.add("1")
		} else {
			b.add("0")
		}
	case Exists:
		b.exists(e.Field)
	case Compare:
		if e.Op == Ne {
			e.Op = Eq
			b.expr(Not{e}, strict)
			return
		}
		b.test(e.Field, strict, func(x string) { b.compare(x, e) })
	case In:
		b.in(e, strict)
	case Text:
		b.test(e.Field, strict, func(x string) { b.text(x, e) })
	case CIDR:
		b.test(e.Field, strict, func(x string) { b.networks(x, e.Networks) })
	default:
		b.add("0")
	}
}

func (b *sqlBuilder) join(list []Expr, word, empty string, strict bool) {
	if len(list) == 0 {
		b.add(empty)
		return
	}
	b.add("(")
	for i, e := range list {
		if i > 0 {
			b.add(word)
		}
		b.expr(e, strict)
	}
	b.add(")")
}

// test writes a condition on any value of the field.
func (b *sqlBuilder) test(f Field, strict bool, on func(x string)) {
	switch {
	case f.Many():
		b.add("EXISTS (SELECT 1 FROM json_each(gb_doc(doc), ?) AS v WHERE ", path(f))
		on(converted("v.value", f))
		b.add(")")
	case strict:
		b.add("coalesce(")
		on(source(f))
		b.add(", 0)")
	default:
		on(source(f))
	}
}

// source is the SQL expression for a field with one value, in the form in which it is compared.
func source(f Field) string {
	if name, ok := ColumnName(f.ID); ok {
		if f.Fold && !Folds(f.ID) {
			return "gb_lower(" + name + ")"
		}
		return name
	}
	return converted("gb_get(doc, '"+event.Fields[f.ID].Name+"')", f) // no key of a label gets here: those are many
}

func converted(x string, f Field) string {
	switch t := f.Type(); {
	case t == event.IP:
		return "gb_ip(" + x + ")"
	case t == event.DateTime:
		return "gb_time(" + x + ")"
	case f.Fold:
		return "gb_lower(" + x + ")"
	}
	return x
}

// path is the place of a field in the document.
func path(f Field) string {
	p := `$."` + strings.ReplaceAll(event.Fields[f.ID].Name, ".", `"."`) + `"`
	if f.Key != "" {
		p += `."` + f.Key + `"`
	}
	return p
}

func (b *sqlBuilder) exists(f Field) {
	if name, ok := ColumnName(f.ID); ok {
		b.add(name + " IS NOT NULL")
		return
	}
	b.add("gb_get(doc, ?) IS NOT NULL", f.Name())
}

var sqlOps = [...]string{" = ?", " <> ?", " < ?", " <= ?", " > ?", " >= ?"}

func (b *sqlBuilder) compare(x string, c Compare) { b.add(x+sqlOps[c.Op], argument(c.Value)) }

func argument(v Value) any {
	switch v.Kind {
	case event.Str:
		return v.Str
	case event.Num:
		return v.Num
	case event.JSON:
		return AddressBytes(v.IP)
	}
	return v.Int
}

func (b *sqlBuilder) in(e In, strict bool) {
	if len(e.Values) == 0 {
		b.add("0")
		return
	}
	b.test(e.Field, strict, func(x string) {
		b.add(x + " IN (")
		for i, v := range e.Values {
			if i > 0 {
				b.add(",")
			}
			b.add("?", argument(v))
		}
		b.add(")")
	})
}

func (b *sqlBuilder) text(x string, e Text) {
	switch {
	case e.How == Matches:
		b.add("gb_matches(?, "+x+")", e.Text)
	case e.Text == "":
		b.add(x + " IS NOT NULL")
	case e.How == Contains:
		b.add("instr("+x+", ?) > 0", e.Text)
	case e.How == StartsWith:
		b.add("substr("+x+", 1, length(?)) = ?", e.Text, e.Text)
	case e.How == EndsWith:
		b.add("substr("+x+", -length(?)) = ?", e.Text, e.Text)
	}
}

func (b *sqlBuilder) networks(x string, list []netip.Prefix) {
	if len(list) == 0 {
		b.add("0")
		return
	}
	b.add("(")
	for i, p := range list {
		if i > 0 {
			b.add(" OR ")
		}
		low, high := p.Addr().AsSlice(), lastOf(p)
		b.add("(length("+x+") = ? AND "+x+" BETWEEN ? AND ?)", len(low), low, high)
	}
	b.add(")")
}

// lastOf is the highest address of a network.
func lastOf(p netip.Prefix) []byte {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	return last
}
