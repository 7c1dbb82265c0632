package parsers

import (
	"errors"
	"regexp"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// regexParser reads lines by an expression (RE2: time linear in the line) whose named groups are the values.
type regexParser struct {
	m       *mapping
	pattern *regexp.Regexp
	groups  []group
}

type group struct {
	name   string
	number int
	node   *node
	label  string // label key; empty for none
}

func newRegex(label string, body *conf.Body, o Options) (Parser, error) {
	if body == nil {
		return nil, errors.New(`parser "regex" needs a block that gives its pattern`)
	}
	p := &regexParser{}
	body.Require("pattern", `"^(?P<user>[a-z]+) came in$"`)
	p.pattern = body.Regexp("pattern")
	var sources []string
	if p.pattern != nil {
		sources = []string{}
		for i, name := range p.pattern.SubexpNames() {
			if name != "" {
				sources = append(sources, name)
				p.groups = append(p.groups, group{name: name, number: i})
			}
		}
		if len(sources) == 0 {
			body.Errorf("pattern", "has no named group; write (?P<user>...) around each value")
			sources = nil
		}
	}
	p.m = newMapping("regex", label, body, o, sources)
	for i := range p.groups {
		g := &p.groups[i]
		g.node = p.m.nodes[g.name]
		if p.m.labels == labelsAll && (g.node == nil || !g.node.consumed) || g.node != nil && g.node.label {
			g.label = event.LabelKey(g.name)
		}
	}
	body.Close()
	return p, nil
}

func (p *regexParser) Dataset() string { return p.m.dataset }

func (p *regexParser) Parse(line Line, ev *event.Event) error {
	if p.pattern == nil { // its block has errors
		return ErrNoMatch
	}
	at := p.pattern.FindStringSubmatchIndex(line.Text)
	if at == nil {
		return ErrNoMatch
	}
	f := p.m.begin(ev, line.Received)
	for i := range p.groups {
		g := &p.groups[i]
		start, end := at[2*g.number], at[2*g.number+1]
		if start < 0 {
			continue
		}
		text := line.Text[start:end]
		if g.node != nil {
			f.put(g.node, text)
		}
		if g.label != "" {
			f.label(g.label, text)
		}
	}
	f.finish(line.Text)
	return nil
}
