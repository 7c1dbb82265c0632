// Package conf reads HCL files: the agent's config and, without env() and file(), rule files.
//
// It promises that a wrong file is told to its author completely and exactly: every error has file:line:column, says
// what was wanted, and where a name is misspelled asks whether the near one was meant. It reads in two steps, so that each
// component owns its schema and the place of an error survives the way there:
//
//	file -> size, nesting -> HCL parser -> Body of the file       the agent takes blocks by type and label ...
//	                                        Blocks("input", 2)
//	                                          Body of one block   ... and the component reads its own attributes
//	                                            Strings, Size, Object, Block ...
//	                                            Close             what nobody asked for is an error
//	     errors of all steps -> File.Diagnostics, in the order of the file
//
// Getters never fail by themselves: on an error they note it, return the default and go on, so that one run finds
// all of them. Nothing may be built from a file before its Diagnostics are seen to hold no error.
//
// What env() and file() return is taken for a secret: no message of this package shows it.
//
// A File and what was read from it are not safe for concurrent use.
package conf

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxDiagnostics = 1000 // kept for one file; more are counted
	hiddenValue    = "(hidden)"
)

// File is one parsed file.
type File struct {
	name string
	src  []byte
	body *Body

	noEnvironment bool
	lookupEnv     func(string) (string, bool)
	eval          *hcl.EvalContext
	reading       *attribute          // the one being evaluated: env() and file() note their results there
	secrets       map[string]struct{} // what env() and file() returned so far

	diagnostics  Diagnostics
	broken       map[int]bool // lines in which the parser found an error: what is wrong there is told already
	syntaxErrors bool

	told   map[string]struct{} // what is in diagnostics, so that asking twice tells once
	untold int                 // beyond maxDiagnostics
}

// Option changes how a file is read.
type Option func(*File)

// WithoutEnvironment makes env() and file() errors: for rule files, which come from other hands than the config.
func WithoutEnvironment() Option { return func(f *File) { f.noEnvironment = true } }

// WithEnv replaces os.LookupEnv behind env().
func WithEnv(lookup func(name string) (string, bool)) Option {
	return func(f *File) { f.lookupEnv = lookup }
}

// Load reads and parses a regular file of at most 4 MiB. The File is never nil; where the diagnostics hold errors, its body holds
// what could be understood, down to nothing.
func Load(path string, opts ...Option) (*File, Diagnostics) {
	src, _, err := readRegular(path, maxFile)
	if err != nil {
		f := newFile(path, nil, opts)
		f.add(Diagnostic{Range: hcl.Range{Filename: path}, Message: fmt.Sprintf("read config: %v", err)})
		return f, f.Diagnostics()
	}
	return Parse(path, src, opts...)
}

// Parse is Load for a text at hand; name stands in messages and its folder is where file() looks. It keeps src.
func Parse(name string, src []byte, opts ...Option) (*File, Diagnostics) {
	if len(src) > maxFile {
		f := newFile(name, nil, opts)
		f.add(Diagnostic{Range: hcl.Range{Filename: name}, Message: "read config: larger than " + FormatSize(maxFile)})
		return f, f.Diagnostics()
	}
	f := newFile(name, src, opts)
	hints, bad := scan(name, src)
	if bad != nil {
		f.add(*bad)
		return f, f.Diagnostics()
	}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	f.addHCL(diags, hints)
	if parsed != nil {
		if body, ok := parsed.Body.(*hclsyntax.Body); ok {
			f.body = newBody(f, body, "", startOf(name))
		}
	}
	return f, f.Diagnostics()
}

func newFile(name string, src []byte, opts []Option) *File {
	f := &File{name: name, src: src, lookupEnv: os.LookupEnv, secrets: map[string]struct{}{}, told: map[string]struct{}{},
		broken: map[int]bool{}}
	for _, o := range opts {
		o(f)
	}
	f.body = newBody(f, &hclsyntax.Body{}, "", startOf(name))
	return f
}

func startOf(name string) hcl.Range {
	return hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
}

// Name is the path the file was loaded from.
func (f *File) Name() string { return f.name }

// Body is the body of the file, the same one at each call.
func (f *File) Body() *Body { return f.body }

// Diagnostics returns everything noted so far, by the parser and by all bodies of this file, in the order of the file.
func (f *File) Diagnostics() Diagnostics {
	ds := append(Diagnostics(nil), f.diagnostics...)
	ds.Sort()
	if f.untold > 0 {
		ds = append(ds, Diagnostic{Range: hcl.Range{Filename: f.name}, Message: fmt.Sprintf("%d more not shown", f.untold)})
	}
	return ds
}

// ErrorAt notes an error at a place within a value, for components that take expressions apart themselves; remedy may be empty.
func (f *File) ErrorAt(at hcl.Range, message, remedy string) {
	f.add(Diagnostic{Range: at, Message: message, Remedy: remedy})
}

// WarnAt is ErrorAt for a warning.
func (f *File) WarnAt(at hcl.Range, message, remedy string) {
	f.add(Diagnostic{Severity: Warning, Range: at, Message: message, Remedy: remedy})
}

// add notes a diagnostic once, with every secret in its text hidden.
func (f *File) add(d Diagnostic) {
	d.Message, d.Remedy, d.src = oneLine(f.hide(d.Message)), oneLine(f.hide(d.Remedy)), f.src
	key := d.String()
	if _, ok := f.told[key]; ok {
		return
	}
	if len(f.diagnostics) >= maxDiagnostics {
		f.untold++
		return
	}
	f.told[key] = struct{}{}
	f.diagnostics = append(f.diagnostics, d)
}

// hide is the second line of defence, for texts that components and libraries made of values: shorter values are left, or
// a message would be made unreadable by env("MODE") being "file".
func (f *File) hide(s string) string {
	const shortest = 8
	for secret := range f.secrets {
		if len(secret) >= shortest {
			s = hideValue(s, secret)
		}
	}
	return s
}

func hideValue(s, secret string) string {
	if s == "" {
		return s
	}
	quoted := strconv.Quote(secret)
	s = strings.ReplaceAll(s, secret, hiddenValue)
	return strings.ReplaceAll(s, quoted[1:len(quoted)-1], hiddenValue)
}

// addHCL notes what the HCL parser or evaluator says.
func (f *File) addHCL(diags hcl.Diagnostics, hints map[int]string) {
	for _, d := range diags {
		out := Diagnostic{Message: d.Summary, Remedy: d.Detail, Range: hcl.Range{Filename: f.name}}
		if d.Severity == hcl.DiagWarning {
			out.Severity = Warning
		}
		if d.Subject != nil {
			out.Range = *d.Subject
		}
		if out.Severity == Error {
			f.broken[out.Range.Start.Line] = true
			f.syntaxErrors = true
		}
		if hint := hints[out.Range.Start.Line]; hint != "" {
			out.Remedy = hint
		}
		f.add(out)
	}
}
