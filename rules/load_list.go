package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatebook/gatebook/internal/conf"
)

// maxListFile bounds the file of a list.
const maxListFile = 32 << 20

// readList reads a list block; the list stays nil where it is in error.
func (l *loader) readList(n *namedBlock) {
	b, f := n.block.Body, n.source.file
	defer b.Close()
	list := &List{Name: n.block.Labels[0], Range: n.block.Range}
	b.String("description", "")
	kind := ListKind(b.Enum("kind", "", string(ListExact), string(ListCIDR), string(ListRegex)))
	var places []hcl.Range
	var ok bool
	switch {
	case b.Has("values") && b.Has("file"):
		b.Errorf("file", "the list has values already: one of the two")
		return
	case b.Has("file"):
		list.File = b.String("file", "")
		list.Values, ok = readListFile(n.source, b, list.File)
	case b.Require("values", `["a", "b"]`):
		list.Values, places, ok = inlineValues(f, b)
	default:
		return
	}
	if !ok {
		return
	}
	if list.Kind = kind; kind == "" {
		list.Kind = ListExact
		if looksLikeNetworks(list.Values) {
			list.Kind = ListCIDR
		}
	}
	if at, err := list.compile(); err != nil {
		where := b.Range("values")
		message := err.Error()
		if list.File != "" {
			where = b.Range("file")
			message = fmt.Sprintf("%s, value %d: %s", list.File, at+1, message)
		} else if at < len(places) {
			where = places[at]
		}
		f.ErrorAt(where, message, "")
		return
	}
	n.list = list
	l.set.Lists[list.Name] = list
}

// inlineValues reads values = [...]; places are where they stand, as far as they are written out.
func inlineValues(f *conf.File, b *conf.Body) (values []string, places []hcl.Range, ok bool) {
	v := b.Value("values")
	if v == cty.NilVal {
		return nil, nil, false
	}
	if t := v.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		b.Errorf("values", `want a list such as ["a", "b"]`)
		return nil, nil, false
	}
	if t, isTuple := b.Expr("values").(*hclsyntax.TupleConsExpr); isTuple {
		for _, e := range t.Exprs {
			places = append(places, e.Range())
		}
	}
	ok = true
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		text, isText := valueAsText(e)
		if !isText || len(text) > maxListValue {
			at := b.Range("values")
			if len(values) < len(places) {
				at = places[len(values)]
			}
			message := "a value of a list is a text, a number, true or false"
			if isText {
				message = fmt.Sprintf("the value is longer than %d bytes", maxListValue)
			}
			f.ErrorAt(at, message, "")
			ok = false
		}
		values = append(values, text)
	}
	return values, places, ok
}

// readListFile reads one value a line; '#' begins a comment at the start of a line or after a blank.
func readListFile(s *ruleSource, b *conf.Body, path string) ([]string, bool) {
	if path == "" {
		b.Errorf("file", "is empty")
		return nil, false
	}
	text, err := openBeneath(s.Dir, path)
	if err != nil {
		b.Errorf("file", "read list %q: %v", cutText(path), err)
		return nil, false
	}
	var values []string
	number := 0
	for line := range bytes.Lines(text) {
		number++
		v := string(bytes.TrimSpace(line))
		if number == 1 {
			v = strings.TrimPrefix(v, "\ufeff")
		}
		if i := commentStart(v); i >= 0 {
			v = strings.TrimSpace(v[:i])
		}
		switch {
		case v == "":
			continue
		case !utf8.ValidString(v) || len(v) > maxListValue:
			b.Errorf("file", "read list %q: line %d is not valid UTF-8 or longer than %d bytes", cutText(path), number, maxListValue)
			return nil, false
		case len(values) >= maxListValues:
			b.Errorf("file", "read list %q: more than %d values", cutText(path), maxListValues)
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

func commentStart(line string) int {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return i
		}
	}
	return -1
}

// openBeneath reads a regular file beneath a folder: no way leads out of it, neither .. nor a symbolic link. Errors name no path.
func openBeneath(dir, path string) ([]byte, error) {
	switch {
	case dir == "":
		return nil, errors.New("these rules have no folder")
	case filepath.IsAbs(path):
		return nil, errors.New("the path has to be relative to the folder of the rules")
	case !filepath.IsLocal(path):
		return nil, errors.New("the path leads out of the folder of the rules")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer root.Close()
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer file.Close()
	return readBounded(file, maxListFile)
}

func readBounded(file *os.File, limit int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, plainPathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, plainPathError(err)
	}
	if int64(len(text)) > limit {
		return nil, errors.New("larger than " + conf.FormatSize(limit))
	}
	return text, nil
}

func plainPathError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// valueAsText renders a text, number or truth value.
func valueAsText(v cty.Value) (string, bool) {
	if v.IsNull() || !v.IsKnown() {
		return "", false
	}
	switch v.Type() {
	case cty.String:
		return v.AsString(), true
	case cty.Number:
		n := v.AsBigFloat()
		if exponent := n.MantExp(nil); n.IsInf() || exponent > 1024 || exponent < -1100 {
			return "", false
		}
		if n.IsInt() {
			return n.Text('f', 0), true
		}
		f, _ := n.Float64()
		return cutFloat(f), true
	case cty.Bool:
		if v.True() {
			return "true", true
		}
		return "false", true
	}
	return "", false
}
