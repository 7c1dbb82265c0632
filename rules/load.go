package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/internal/conf"
)

// Source is the text of one rule file.
type Source struct {
	Name    string // stands in messages
	Text    []byte // kept
	Dir     string // lists with a file are opened beneath it; "": there are none
	Library bool   // shipped with Gatebook: what a site's file defines under the same name takes its place
}

// LoadOptions says how rule files are read.
type LoadOptions struct {
	Zone  *time.Location // of times and hours that name none; nil is UTC
	Tests bool           // decode test blocks too
}

// Load reads rule files into a Set. Of rules, lists and defines with the same name the one of the later source counts, for every use; twice in
// one source is an error. All that is wrong is in the Set's Problems.
func Load(o LoadOptions, sources ...Source) *Set {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	l := &loader{options: o, set: &Set{Lists: map[string]*List{}, sources: map[string][]byte{}, tests: o.Tests},
		lists: map[string]*namedBlock{}, defines: map[string]*namedBlock{}, rules: map[string]*ruleBlock{}}
	for _, s := range sources {
		l.open(s)
	}
	for _, n := range inOrder(l.lists) {
		l.readList(n)
	}
	for _, n := range inOrder(l.defines) {
		l.define(n.block.Labels[0])
	}
	l.inRules = true
	for _, r := range l.order {
		if l.rules[r.block.Labels[0]] == r {
			l.set.Rules = append(l.set.Rules, l.readRule(r.source, r.block))
		}
	}
	l.checkAlertRules()
	for _, s := range l.opened {
		l.set.Problems = append(l.set.Problems, s.file.Diagnostics()...)
	}
	for _, n := range slices.Concat(inOrder(l.lists), inOrder(l.defines)) {
		l.set.names = append(l.set.names, namedUse{n.block.Type, n.block.Labels[0], n.used, n.source.Library, n.block.Range})
	}
	return l.set
}

// namedUse is a list or define that Lint looks at.
type namedUse struct {
	kind, name    string
	used, library bool
	at            hcl.Range
}

// loader is the work of one Load.
//
//	open: every file, its blocks by name -> readList: all lists -> define: all defines, each when it is first used -> readRule
type loader struct {
	options LoadOptions
	set     *Set
	opened  []*ruleSource
	lists   map[string]*namedBlock
	defines map[string]*namedBlock
	rules   map[string]*ruleBlock
	order   []*ruleBlock
	path    []string // defines that are being read, each used by the one before
	inRules bool     // lists and defines are done
	all     []string // names of lists and defines
}

// ruleSource is a source that was parsed.
type ruleSource struct {
	Source
	file   *conf.File
	number int // in the order of the sources
	cost   int // what evaluating its tests may still cost
}

type ruleBlock struct {
	source *ruleSource
	block  *conf.Block
}

// namedBlock is a list or a define.
type namedBlock struct {
	source *ruleSource
	block  *conf.Block
	read   bool
	used   bool
	expr   Expr  // of a define; nil where it is in error
	list   *List // nil where it is in error
}

func (l *loader) open(s Source) {
	file, _ := conf.Parse(s.Name, s.Text, conf.WithoutEnvironment())
	src := &ruleSource{Source: s, file: file, number: len(l.opened), cost: maxSourceCost}
	l.opened = append(l.opened, src)
	l.set.sources[s.Name] = s.Text
	body := file.Body()
	for _, b := range body.Blocks("rule", 1) {
		l.openRule(src, b)
	}
	for _, b := range body.Blocks("define", 1) {
		l.openNamed(l.defines, src, b)
	}
	for _, b := range body.Blocks("list", 1) {
		l.openNamed(l.lists, src, b)
	}
	body.Close()
}

func (l *loader) openRule(s *ruleSource, b *conf.Block) {
	id := b.Labels[0]
	if !validRuleID(id) {
		s.file.ErrorAt(b.LabelRanges[0], fmt.Sprintf("rule: the id %q is not made of small letters, digits, '_', '-' and '.', a letter or digit first", cutText(id)), "")
		return
	}
	r := &ruleBlock{s, b}
	if old := l.rules[id]; old != nil {
		s.shadows(b, old.source, old.block)
	}
	l.rules[id] = r
	l.order = append(l.order, r)
}

// openNamed takes note of a list or define.
func (l *loader) openNamed(in map[string]*namedBlock, s *ruleSource, b *conf.Block) {
	if !s.checkName(b) {
		return
	}
	name := b.Labels[0]
	if old := in[name]; old != nil {
		s.shadows(b, old.source, old.block)
	} else {
		l.all = append(l.all, name)
	}
	in[name] = &namedBlock{source: s, block: b}
}

// shadows warns where a site's file takes the place of another file of the site: of the library it is meant.
func (s *ruleSource) shadows(b *conf.Block, other *ruleSource, first *conf.Block) {
	if !other.Library {
		s.file.WarnAt(b.Range, fmt.Sprintf("%s %q takes the place of the one at %s:%d", b.Type, b.Labels[0], first.Range.Filename, first.Range.Start.Line), "")
	}
}

// checkName tells whether expressions can use the label of a list, define or step.
func (s *ruleSource) checkName(b *conf.Block) bool {
	name, at := b.Labels[0], b.LabelRanges[0]
	switch {
	case !validName(name):
		remedy := "a letter or '_' comes first"
		if better := strings.NewReplacer("-", "_", ".", "_", " ", "_").Replace(strings.ToLower(name)); validName(better) && !reservedName(better) {
			remedy = fmt.Sprintf("write %q", better)
		}
		s.file.ErrorAt(at, fmt.Sprintf("%s: the name %q is not made of small letters, digits and '_'", b.Type, cutText(name)), remedy)
		return false
	case reservedName(name):
		s.file.ErrorAt(at, fmt.Sprintf("%s: the name %q has a meaning of its own in expressions", b.Type, name), fmt.Sprintf("write %q", "my_"+name))
		return false
	}
	return true
}

func validName(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func validRuleID(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// reservedName tells what expressions know already: the first parts of fields, and words of the language.
func reservedName(name string) bool {
	switch name {
	case "key", "prev", "list", "time", "true", "false", "null":
		return true
	}
	return isFieldRoot(name)
}

// inOrder lists blocks in the order of the files.
func inOrder(in map[string]*namedBlock) []*namedBlock {
	blocks := make([]*namedBlock, 0, len(in))
	for _, n := range in {
		blocks = append(blocks, n)
	}
	slices.SortFunc(blocks, func(a, b *namedBlock) int {
		if d := a.source.number - b.source.number; d != 0 {
			return d
		}
		return a.block.Range.Start.Byte - b.block.Range.Start.Byte
	})
	return blocks
}

// reader makes a reader for expressions of a file that see one event only.
func (l *loader) reader(s *ruleSource) *exprReader {
	return &exprReader{file: s.file, defined: l.define, list: l.list, zone: l.options.Zone, names: func() []string { return l.all }}
}

func (l *loader) list(name string) *List {
	n := l.lists[name]
	if n == nil {
		return nil
	}
	n.used = true
	return n.list
}

// maxDefineDepth bounds defines that use defines.
const maxDefineDepth = 100

// define gives what a define stands for, nil where there is none or it is in error. It is read when it is first used.
func (l *loader) define(name string) Expr {
	d := l.defines[name]
	if d == nil {
		return nil
	}
	d.used = d.used || l.inRules || len(l.path) > 0
	at := d.block.LabelRanges[0]
	switch {
	case d.read:
		return d.expr
	case slices.Contains(l.path, name):
		way := append(slices.Clone(l.path[slices.Index(l.path, name):]), name)
		d.source.file.ErrorAt(at, fmt.Sprintf("define %q stands for itself: %s", name, strings.Join(way, " -> ")), "")
		return nil
	case len(l.path) >= maxDefineDepth:
		d.source.file.ErrorAt(at, fmt.Sprintf("defines use defines more than %d deep", maxDefineDepth), "")
		return nil
	}
	l.path = append(l.path, name)
	b := d.block.Body
	b.String("description", "")
	if b.Require("when", `event.action == "login"`) {
		x := l.reader(d.source)
		x.prev, x.aggregates = true, true // whether they may be asked for where the define is used is checked there
		d.expr = x.condition(b.Expr("when"))
	}
	b.Close()
	l.path = l.path[:len(l.path)-1]
	d.read = true
	return d.expr
}
