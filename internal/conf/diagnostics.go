package conf

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Severity tells an error from a warning.
type Severity int

// An Error makes the file unusable; a Warning is only told.
const (
	Error Severity = iota
	Warning
)

// Diagnostic is one thing to say about one place of one file.
type Diagnostic struct {
	Severity Severity
	Range    hcl.Range // line 0: the file as a whole
	Message  string    // what is wrong, one line
	Remedy   string    // what to write instead, one line, may be empty

	src []byte // the file's text, so that Write can show the line
}

// String is "path:line:col: message; remedy". Columns count characters as a reader sees them, from 1.
func (d Diagnostic) String() string {
	var sb strings.Builder
	sb.WriteString(d.Range.Filename)
	if d.Range.Start.Line > 0 {
		fmt.Fprintf(&sb, ":%d:%d", d.Range.Start.Line, d.Range.Start.Column)
	}
	sb.WriteString(": ")
	if d.Severity == Warning {
		sb.WriteString("warning: ")
	}
	sb.WriteString(d.Message)
	if d.Remedy != "" {
		sb.WriteString("; ")
		sb.WriteString(d.Remedy)
	}
	return sb.String()
}

// WithSource returns the diagnostic with the text of its file, so that Write can show the line. What a File notes has it already.
func (d Diagnostic) WithSource(src []byte) Diagnostic {
	d.src = src
	return d
}

// Diagnostics is a list of errors and warnings. It is an error, but a list that is empty or holds only warnings is not
// a nil error: use Err.
type Diagnostics []Diagnostic

// Error is one diagnostic a line.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// HasErrors reports whether there is more than warnings.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns nil where there are no errors, else ds.
func (ds Diagnostics) Err() error {
	if ds.HasErrors() {
		return ds
	}
	return nil
}

// Sort orders by file and place; what stands at one place keeps its order.
func (ds Diagnostics) Sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Range.Filename, b.Range.Filename), cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte))
	})
}

// Write prints one diagnostic a line; with withSource each is followed by the line of the file and a caret under the
// place. Source lines may hold passwords that stand literally in the file: show them on a terminal, not in a log.
func (ds Diagnostics) Write(w io.Writer, withSource bool) error {
	out := bufio.NewWriter(w)
	for _, d := range ds {
		out.WriteString(d.String())
		out.WriteByte('\n')
		if withSource {
			d.writeSource(out)
		}
	}
	return out.Flush()
}

// maxSourceLine is where a shown source line is cut, in characters.
const maxSourceLine = 160

func (d Diagnostic) writeSource(out *bufio.Writer) {
	start := d.Range.Start
	if start.Line == 0 || start.Byte < 0 || start.Byte > len(d.src) {
		return
	}
	lineStart := bytes.LastIndexByte(d.src[:start.Byte], '\n') + 1
	lineEnd := len(d.src)
	if i := bytes.IndexByte(d.src[start.Byte:], '\n'); i >= 0 {
		lineEnd = start.Byte + i
	}
	before := printable(string(d.src[lineStart:start.Byte]))
	under := printable(string(d.src[start.Byte:min(max(d.Range.End.Byte, start.Byte), lineEnd)]))
	line := printable(string(bytes.TrimRight(d.src[lineStart:lineEnd], "\r")))
	if utf8.RuneCountInString(before) >= maxSourceLine {
		return // the column says it; a screen full of text would not
	}
	if runes := []rune(line); len(runes) > maxSourceLine {
		line = string(runes[:maxSourceLine]) + "..."
	}
	// Tabs stay tabs, so that the caret stands right whatever their width.
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	carets := max(1, min(utf8.RuneCountInString(under), maxSourceLine-utf8.RuneCountInString(before)))
	fmt.Fprintf(out, "%5d | %s\n      | %s%s\n", start.Line, line, pad, strings.Repeat("^", carets))
}

// printable replaces what could move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// oneLine folds line breaks and runs of blanks, which the HCL parser's longer explanations have.
func oneLine(s string) string {
	return printable(strings.Join(strings.Fields(s), " "))
}
