// Package sigma turns detections written for Sigma (specification 2) into rule files of Gatebook.
//
//	YAML -> documents (size, depth, aliases bounded) -> logsource: which records  \
//	                                                    detection: conditions      > clauses -> HCL -> rules.Load -> Result.HCL
//	                                                    correlation: over several /                                  Result.Reports
//
// What it promises: a rule that is written loads, and matches what the Sigma rule asks of a record; what has no counterpart in the record or in the
// rule language is reported with its place, and the rule that needs it is not written, because a detection that lacks a condition is another
// detection. What is written with a difference in meaning has a report that names the difference. Input is hostile: it is read in bounded memory and
// time, and no text of it can become anything but a text of the rule file. docs/sigma.md has the tables.
package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

// Options change how rules are translated. The zero value is what docs/sigma.md describes.
type Options struct {
	// Fields adds names of Sigma's to the table of fields, or takes a name's place there: name as Sigma has it -> field of the record.
	Fields map[string]string
	// Taken tells ids that other rules have already; nil: none.
	Taken func(id string) bool
}

// File is one YAML file, with any number of documents.
type File struct {
	Name string // stands in reports
	Text []byte
}

// Result is what became of the rules. Without any rule HCL is empty.
type Result struct {
	HCL     []byte // rule blocks, formatted
	Rules   []Imported
	Reports []Report // in the order of the files
}

// Imported is a rule that was written.
type Imported struct {
	ID       string // in Gatebook
	Title    string
	SourceID string // in Sigma; may be empty
}

// Report says what could not be translated, or is translated with a difference.
type Report struct {
	File    string
	Rule    string // title, else id or name; empty where the document is none
	Clause  string // path within the document: detection.selection.field|modifier
	Line    int
	Message string
	Dropped bool // the rule is not written
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", r.File, r.Line)
	if r.Rule != "" {
		fmt.Fprintf(&b, "%q: ", r.Rule)
	}
	if r.Clause != "" {
		fmt.Fprintf(&b, "%s: ", printable(r.Clause))
	}
	b.WriteString(printable(r.Message))
	if r.Dropped {
		b.WriteString(" (not written)")
	}
	return b.String()
}

// Import translates one file. The error says that it is no YAML from some place on; the Result has what stands before it.
func Import(name string, yaml []byte, o Options) (Result, error) {
	return ImportFiles([]File{{name, yaml}}, o)
}

// ImportFiles translates several files together: a correlation may refer to rules of any of them. The error names the files that could not be read,
// or an option that is wrong; the Result has the others.
func ImportFiles(files []File, o Options) (Result, error) {
	for name, field := range o.Fields {
		if _, err := query.FieldNamed(field); err != nil {
			return Result{}, fmt.Errorf("map the Sigma field %q: %w", name, err)
		}
	}
	t := &translator{options: o, ids: map[string]bool{}, byRef: map[string][]*document{}}
	var errs []error
	for _, f := range files {
		docs, err := readDocuments(f)
		if err != nil {
			errs = append(errs, err)
		}
		t.docs = append(t.docs, docs...)
	}
	t.translate()
	return t.result(), errors.Join(errs...)
}

// translator is the work of one call.
type translator struct {
	options Options
	docs    []*document
	byRef   map[string][]*document // by id and name
	ids     map[string]bool        // of the rules written
	out     bytes.Buffer
	rules   []Imported
	written int // bytes, of what did not load too
}

// maxWritten bounds the rules of one call, in bytes.
const maxWritten = 16 << 20

func (t *translator) translate() {
	for _, d := range t.docs {
		if d.root != nil {
			t.open(d)
		}
	}
	for _, d := range t.docs { // a correlation decides whether what it refers to is written on its own
		if d.root != nil && d.kind == correlationDocument {
			d.correlation = t.readCorrelation(d)
		}
	}
	for _, d := range t.docs {
		if d.root == nil || d.kind == otherDocument {
			continue
		}
		if d.kind == correlationDocument {
			t.writeCorrelation(d)
			continue
		}
		b := t.base(d)
		switch {
		case d.dropped:
		case d.usedBy != "" && !d.generate:
			d.refuse(d.root, "", fmt.Sprintf("is part of the correlation %q, and has no alerts of its own there (generate: true asks for them)", d.usedBy))
		default:
			t.write(d, b.rule())
		}
	}
}

func (t *translator) result() Result {
	r := Result{HCL: t.out.Bytes(), Rules: t.rules}
	for _, d := range t.docs {
		r.Reports = append(r.Reports, d.reports...)
	}
	return r
}

// open reads what names a document, and what makes it none to translate.
func (t *translator) open(d *document) {
	d.title, d.id, d.name = d.line1("title"), d.line1("id"), d.line1("name")
	d.kind = ruleDocument
	switch {
	case d.root.at("correlation") != nil:
		d.kind = correlationDocument
	case d.root.at("filter") != nil:
		d.kind = otherDocument
		d.refuse(d.root.at("filter"), "filter", "Sigma filters are not translated: write an except block into the rules that it is for")
	case d.root.at("action") != nil:
		d.kind = otherDocument
		d.refuse(d.root.at("action"), "action", "collections with action (global, repeat, reset) are not translated: write each rule out")
	}
	for _, ref := range []string{d.id, d.name} {
		if ref != "" {
			t.byRef[ref] = append(t.byRef[ref], d)
		}
	}
	if d.id != "" && len(t.byRef[d.id]) > 1 && t.byRef[d.id][0] != d {
		d.refuse(d.root.at("id"), "id", "another rule has this id")
	}
	if tax := d.root.at("taxonomy"); tax != nil && tax.text() != "sigma" {
		d.refuse(tax, "taxonomy", "only the taxonomy sigma is known: what its fields mean cannot be told")
	}
	if status := d.root.at("status"); status.text() == "deprecated" || status.text() == "unsupported" {
		d.refuse(status, "status", fmt.Sprintf("the rule is %s", status.text()))
	}
}

// base translates a rule once: correlations ask for it too.
func (t *translator) base(d *document) *baseRule {
	if d.base == nil {
		d.base = &baseRule{document: d}
		t.readBase(d.base)
	}
	return d.base
}

// write adds a rule to the result, once it has loaded.
func (t *translator) write(d *document, w *ruleText) {
	if d.dropped {
		return
	}
	w.id = t.idFor(d)
	text := w.hcl()
	if t.written += len(text); t.written > maxWritten {
		d.refuse(d.root, "", fmt.Sprintf("the rules together have more than %d bytes: import fewer files at once", maxWritten))
		return
	}
	set := rules.Load(rules.LoadOptions{}, rules.Source{Name: "rule", Text: text})
	for _, p := range set.Problems {
		if p.Severity == conf.Error {
			d.refuse(d.root, "", "the rule language does not take the result: "+cutAt(p.Message, 250))
			return
		}
	}
	t.ids[w.id] = true
	if t.out.Len() > 0 {
		t.out.WriteByte('\n')
	}
	t.out.Write(text)
	t.rules = append(t.rules, Imported{ID: w.id, Title: d.title, SourceID: d.id})
}

const maxSlug = 80

// idFor is "sigma." and the words of the title; where that is taken, a number behind it.
func (t *translator) idFor(d *document) string {
	slug := slugOf(d.title)
	if slug == "" {
		slug = slugOf(d.id)
	}
	if slug == "" {
		slug = "rule"
	}
	id := "sigma." + slug
	taken := func(id string) bool { return t.ids[id] || t.options.Taken != nil && t.options.Taken(id) }
	for n := 2; taken(id) && n < 10_000; n++ {
		id = fmt.Sprintf("sigma.%s_%d", slug, n)
	}
	return id
}

func slugOf(title string) string {
	var b strings.Builder
	gap := false
	for _, c := range []byte(strings.ToLower(title)) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
		}
		gap = false
		b.WriteByte(c)
		if b.Len() >= maxSlug-1 {
			break
		}
	}
	return b.String()
}
