package conf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Body reads the attributes and blocks of a file or a block. It remembers which names were asked for; Close notes
// an error for each of the others.
type Body struct {
	reader
	blocks      []*Block
	askedBlocks []string // in the order of asking
}

// Block is a block of a body: `input "file" "auth" { ... }`.
type Block struct {
	Type        string
	Labels      []string
	LabelRanges []hcl.Range
	Range       hcl.Range // of its type and labels
	Body        *Body     // to be closed by whoever reads it, not by the body around it

	file *File
}

func newBody(f *File, src *hclsyntax.Body, title string, at hcl.Range) *Body {
	b := &Body{reader: newReader(f, "attribute", title, "", at, src.SrcRange)}
	for _, a := range src.Attributes {
		entry := &attribute{name: a.Name, nameRange: a.NameRange, expr: a.Expr}
		b.attrs = append(b.attrs, entry)
		b.byName[a.Name] = entry
	}
	slices.SortFunc(b.attrs, func(x, y *attribute) int { return x.nameRange.Start.Byte - y.nameRange.Start.Byte })
	for _, s := range src.Blocks {
		blockTitle := s.Type
		for _, l := range s.Labels {
			blockTitle += fmt.Sprintf(" %q", cut(l))
		}
		b.blocks = append(b.blocks, &Block{Type: s.Type, Labels: s.Labels, LabelRanges: s.LabelRanges, Range: s.DefRange(),
			Body: newBody(f, s.Body, blockTitle, s.DefRange()), file: f})
	}
	return b
}

// File is the file that the body is from.
func (b *Body) File() *File { return b.file }

func (b *Body) askBlock(typ string) {
	if !slices.Contains(b.askedBlocks, typ) {
		b.askedBlocks = append(b.askedBlocks, typ)
	}
}

// HasBlock reports whether there is a block of the type.
func (b *Body) HasBlock(typ string) bool {
	b.askBlock(typ)
	return slices.ContainsFunc(b.blocks, func(k *Block) bool { return k.Type == typ })
}

// Blocks returns the blocks of a type in the order of the file. A wrong number of labels, an empty label, and (where there are
// labels) all labels the same as those of an earlier block are errors; such blocks are left out.
func (b *Body) Blocks(typ string, labels int) []*Block {
	b.askBlock(typ)
	var out []*Block
	for _, k := range b.blocks {
		if k.Type != typ || !k.labelled(labels) {
			continue
		}
		same := func(o *Block) bool { return slices.Equal(o.Labels, k.Labels) }
		if i := slices.IndexFunc(out, same); i >= 0 && labels > 0 {
			b.file.add(Diagnostic{Range: k.Range, Message: k.Body.title + " is given twice", Remedy: "the first is at " + place(out[i].Range)})
			continue
		}
		out = append(out, k)
	}
	return out
}

// labelled reports whether the block has the wanted labels.
func (k *Block) labelled(want int) bool {
	if len(k.Labels) != want {
		form := k.Type
		for i := range want {
			switch {
			case i < len(k.Labels):
				form += fmt.Sprintf(" %q", cut(k.Labels[i]))
			case i == 0 && want > 1:
				form += ` "TYPE"`
			default:
				form += ` "NAME"`
			}
		}
		k.file.add(Diagnostic{Range: k.Range, Message: fmt.Sprintf("%s wants %s, got %d", k.Type, labelCount(want), len(k.Labels)),
			Remedy: "write " + form + " { ... }"})
		return false
	}
	for i, l := range k.Labels {
		if strings.TrimSpace(l) == "" {
			k.LabelErrorf(i, "the label is empty")
			return false
		}
	}
	return true
}

func labelCount(n int) string {
	switch n {
	case 0:
		return "no labels"
	case 1:
		return "1 label"
	}
	return fmt.Sprintf("%d labels", n)
}

// Block returns the only block of a type without labels, nil where there is none. Another one is an error.
func (b *Body) Block(typ string) *Block {
	all := b.Blocks(typ, 0)
	if len(all) == 0 {
		return nil
	}
	for _, k := range all[1:] {
		b.file.add(Diagnostic{Range: k.Range, Message: typ + " is given twice", Remedy: "the first is at " + place(all[0].Range)})
	}
	return all[0]
}

func place(r hcl.Range) string {
	return fmt.Sprintf("%s:%d:%d", r.Filename, r.Start.Line, r.Start.Column)
}

// LabelErrorf notes an error at the i-th label, counted from 0.
func (k *Block) LabelErrorf(i int, format string, args ...any) {
	at := k.Range
	if i >= 0 && i < len(k.LabelRanges) {
		at = k.LabelRanges[i]
	}
	k.file.add(Diagnostic{Range: at, Message: k.Type + ": " + fmt.Sprintf(format, args...)})
}

// Close notes an error for every attribute and block that was not asked for, with what was probably meant, and closes
// the objects read from this body. It leaves the blocks alone that were given out: their bodies are closed by whoever reads them,
// maybe later.
func (b *Body) Close() {
	if b.closed {
		return
	}
	b.closed = true
	b.closeAttributes(b.askedBlocks)
	for _, k := range b.blocks {
		if slices.Contains(b.askedBlocks, k.Type) {
			continue
		}
		remedy := didYouMean(k.Type, b.askedBlocks, func(s string) string { return s })
		if b.isAsked[k.Type] {
			remedy = fmt.Sprintf("%s is an attribute: write %s = ...", k.Type, k.Type)
		}
		b.file.add(Diagnostic{Range: k.Range, Message: fmt.Sprintf("unknown block %s%s", k.Type, b.in()), Remedy: remedy})
	}
}
