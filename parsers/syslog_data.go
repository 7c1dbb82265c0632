package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// structuredJSON renders structured data (RFC 5424 6.3) as {"id":{"name":"value"}}; a name that stands several times has a list. What
// some firewalls send in its place, [name:"value"; name:"value"], becomes {"name":"value"}; anything else {"raw":"as it stands"}. It
// allocates; programs that log about access seldom send any.
func structuredJSON(s string) event.Raw {
	var d dataObject
	for rest := s; len(rest) > 1 && rest[0] == '['; {
		rest = rest[1:]
		n := strings.IndexAny(rest, " ]")
		if n < 0 {
			break
		}
		id := rest[:n]
		if strings.IndexByte(id, ':') > 0 && strings.HasSuffix(id, `";`) || strings.Contains(id, `:"`) {
			n, id = 0, noID
		}
		rest = rest[n:]
		for {
			rest = strings.TrimLeft(rest, " ;")
			i := strings.IndexByte(rest, '"')
			if i < 2 || strings.IndexByte(rest[:i], ']') >= 0 || rest[i-1] != '=' && rest[i-1] != ':' {
				break
			}
			name := rest[:i-1]
			var value string
			value, rest = quotedData(rest[i+1:])
			d.add(id, name, value)
		}
		if !strings.HasPrefix(rest, "]") {
			d.groups = nil // in no form that is known
			d.add(noID, "raw", s)
			break
		}
		d.group(id)
		rest = rest[1:]
	}
	return d.render(make([]byte, 0, 2*len(s)))
}

// quotedData reads a value up to its closing quote, which is not part of it.
func quotedData(s string) (value, rest string) {
	end, escaped := 0, false
	for end < len(s) && s[end] != '"' {
		if s[end] == '\\' {
			end++
			escaped = true
		}
		end++
	}
	end = min(end, len(s))
	value = s[:end]
	if escaped {
		value = unescapeData.Replace(value)
	}
	return value, s[min(end+1, len(s)):]
}

var unescapeData = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`)

// dataObject is an object of objects of texts, in the order of the message and without a name twice in any of them.
type dataObject struct {
	groups []dataGroup
	byID   map[string]int
}

type dataGroup struct {
	id     string
	names  []string
	values [][]string
	byName map[string]int
}

func (d *dataObject) group(id string) *dataGroup {
	i, ok := d.byID[id]
	if !ok {
		if d.byID == nil {
			d.byID = map[string]int{}
		}
		i = len(d.groups)
		d.byID[id] = i
		d.groups = append(d.groups, dataGroup{id: id, byName: map[string]int{}})
	}
	return &d.groups[i]
}

func (d *dataObject) add(id, name, value string) {
	if d.groups == nil {
		d.byID = nil
	}
	g := d.group(id)
	i, ok := g.byName[name]
	if !ok {
		i = len(g.names)
		g.byName[name] = i
		g.names, g.values = append(g.names, name), append(g.values, nil)
	}
	g.values[i] = append(g.values[i], value)
}

// noID stands for the id of pairs that have none.
const noID = "-"

// render writes the object. Where all pairs have no id, they are the object.
func (d *dataObject) render(b []byte) event.Raw {
	b = append(b, '{')
	for i := range d.groups {
		g := &d.groups[i]
		if i > 0 {
			b = append(b, ',')
		}
		if g.id == noID && len(d.groups) == 1 {
			b = g.render(b)
			continue
		}
		b = append(g.render(append(event.AppendQuoted(b, g.id), ':', '{')), '}')
	}
	return event.Raw(append(b, '}'))
}

func (g *dataGroup) render(b []byte) []byte {
	for i, name := range g.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(event.AppendQuoted(b, name), ':')
		if len(g.values[i]) > 1 {
			b = append(b, '[')
		}
		for j, v := range g.values[i] {
			if j > 0 {
				b = append(b, ',')
			}
			b = event.AppendQuoted(b, v)
		}
		if len(g.values[i]) > 1 {
			b = append(b, ']')
		}
	}
	return b
}
