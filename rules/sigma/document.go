package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// What is read at most. A Sigma rule is a few KiB.
const (
	maxFile      = 1 << 20 // bytes of one file
	maxDocuments = 5000    // of one file
	maxFileNodes = 200_000 // values of one file, aliases written out
	maxNodes     = 20_000  // values of one document, aliases written out
	maxDepth     = 24
	maxAliases   = 64 // of one document
	maxReports   = 100
)

type documentKind uint8

const (
	ruleDocument documentKind = iota
	correlationDocument
	otherDocument // refused
)

// document is one YAML document: a rule, a correlation, or something else.
type document struct {
	file string
	root *node // a map; nil where the document could not be read

	title, id, name string
	kind            documentKind
	base            *baseRule
	correlation     *correlation
	usedBy          string // title of the correlation that refers to it
	generate        bool   // and it is to be a rule of its own nevertheless

	dropped bool
	reports []Report
}

// node is a value of a document, aliases written out.
type node struct {
	line   int
	tag    string // of a scalar: !!str, !!int, !!float, !!bool, !!null, !!timestamp
	scalar string
	isList bool
	list   []*node
	isMap  bool
	keys   []*node // scalars, each different
	values []*node
}

// readDocuments reads a file up to what is no YAML. Documents that break a bound are there with a report, and without a root.
func readDocuments(f File) ([]*document, error) {
	if len(f.Text) > maxFile {
		return nil, fmt.Errorf("read %s: longer than %d bytes", f.Name, maxFile)
	}
	var docs []*document
	nodes := 0
	dec := yaml.NewDecoder(bytes.NewReader(f.Text))
	for {
		var y yaml.Node
		err := dec.Decode(&y)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, fmt.Errorf("read %s: %w", f.Name, err)
		}
		if len(docs) == maxDocuments {
			return docs, fmt.Errorf("read %s: more than %d documents", f.Name, maxDocuments)
		}
		if len(y.Content) == 0 {
			continue
		}
		d := &document{file: f.Name}
		c := copier{room: min(maxNodes, maxFileNodes-nodes)}
		root, err := c.copy(y.Content[0], 0)
		nodes += c.nodes
		switch {
		case err != nil:
			d.report(c.line, "", "the document cannot be read: "+err.Error(), true)
		case root.tag == "!!null":
			continue
		case !root.isMap:
			d.report(root.line, "", "the document is no Sigma rule: want a map with title, logsource and detection", true)
		default:
			d.root = root
		}
		docs = append(docs, d)
	}
}

// copier writes aliases out, within bounds.
type copier struct {
	nodes, aliases int
	room           int // for nodes
	line           int // where it stopped
}

func (c *copier) copy(y *yaml.Node, depth int) (*node, error) {
	c.line = y.Line
	for y.Kind == yaml.AliasNode {
		if c.aliases++; c.aliases > maxAliases {
			return nil, fmt.Errorf("more than %d aliases", maxAliases)
		}
		y = y.Alias
	}
	if c.nodes++; c.nodes > c.room {
		return nil, fmt.Errorf("more than %d values, or %d in the file, aliases written out", maxNodes, maxFileNodes)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.ScalarNode:
		n.tag, n.scalar = y.ShortTag(), y.Value
		switch n.tag {
		case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp":
			return n, nil
		case "!!merge":
			return nil, errors.New("merge keys (<<) are not read")
		}
		return nil, fmt.Errorf("a value with the tag %s", cut(n.tag))
	case yaml.SequenceNode:
		n.isList = true
		for _, one := range y.Content {
			v, err := c.copy(one, depth+1)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, v)
		}
		return n, nil
	case yaml.MappingNode:
		n.isMap = true
		return n, c.members(n, y, depth)
	}
	return nil, errors.New("a value of no known kind")
}

func (c *copier) members(n *node, y *yaml.Node, depth int) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, err := c.copy(y.Content[i], depth+1)
		if err != nil {
			return err
		}
		if k.isMap || k.isList {
			return errors.New("a key that is no text")
		}
		if seen[k.scalar] {
			return fmt.Errorf("the key %q stands twice in one map", cut(k.scalar))
		}
		seen[k.scalar] = true
		v, err := c.copy(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		n.keys, n.values = append(n.keys, k), append(n.values, v)
	}
	return nil
}

// at finds a member; nil where there is none, or n is no map.
func (n *node) at(key string) *node {
	if n == nil {
		return nil
	}
	for i, k := range n.keys {
		if k.scalar == key {
			return n.values[i]
		}
	}
	return nil
}

func (n *node) isNull() bool   { return n != nil && n.tag == "!!null" }
func (n *node) isScalar() bool { return n != nil && !n.isMap && !n.isList && !n.isNull() }

// text is a scalar as written; "" for anything else.
func (n *node) text() string {
	if !n.isScalar() {
		return ""
	}
	return n.scalar
}

// texts is a scalar, or a list of them; ok is false where anything else stands there.
func (n *node) texts() (list []*node, ok bool) {
	switch {
	case n.isScalar():
		return []*node{n}, true
	case n != nil && n.isList:
		for _, v := range n.list {
			if !v.isScalar() {
				return nil, false
			}
		}
		return n.list, true
	}
	return nil, n == nil || n.isNull()
}

// isTrue reads a truth value.
func (n *node) isTrue() bool { return n.isScalar() && strings.EqualFold(n.scalar, "true") }

// line1 is a member of the document as one line of text.
func (d *document) line1(key string) string {
	return cutAt(strings.Join(strings.Fields(printable(d.root.at(key).text())), " "), 250)
}

// called is what reports name the rule by.
func (d *document) called() string {
	for _, s := range []string{d.title, d.name, d.id} {
		if s != "" {
			return s
		}
	}
	return ""
}

func (d *document) report(line int, clause, message string, dropped bool) {
	d.dropped = d.dropped || dropped
	if len(d.reports) == maxReports {
		d.reports[maxReports-1] = Report{File: d.file, Rule: d.called(), Line: d.reports[0].Line, Message: "there is more to tell than is told here", Dropped: d.dropped}
		return
	}
	d.reports = append(d.reports, Report{File: d.file, Rule: d.called(), Clause: cutAt(clause, 250), Line: line, Message: message, Dropped: dropped})
}

// note tells of a difference in meaning.
func (d *document) note(at *node, clause, message string) { d.report(at.line, clause, message, false) }

// refuse tells why the rule is not written.
func (d *document) refuse(at *node, clause, message string) { d.report(at.line, clause, message, true) }

// cut shortens a text of the input for a message.
func cut(s string) string { return cutAt(s, 80) }

func cutAt(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// printable is a text of the input for people: control characters are blanks.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, s)
}
