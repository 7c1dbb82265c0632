package parsers

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// autoParser finds the parser of each line by its shape. The one that fitted a source's last line is tried first; the generic
// ones come last and are not remembered, because they take what a special one would understand.
//
//	line -> remembered for the source -> blocks of the config -> builtins, special ones first -> json, logfmt -> syslog -> ErrNoMatch
//
// A line with a syslog header is shown whole to the blocks of the config; then its header is taken off and the text goes the same
// way: an application's parser finds its own lines behind a header. syslog takes what has a header and nobody knows.
type autoParser struct {
	body       *conf.Body
	clock      *syslogClock
	lookup     func(string) (Parser, error)
	try        []string // of its block; nil: all
	candidates []candidate
	auth       int // index of linux_auth, or -1

	mu      sync.RWMutex
	sources map[string]int // index of the candidate
}

// candidate is a parser and what tells quickly whether a line may be its own.
type candidate struct {
	parser  Parser
	looks   func(text string) bool
	generic bool
	block   bool // of the config
	behind  bool // takes only what stands behind a syslog header
	decline bool // linux_auth leaves what it does not know to syslog
}

// fits says whether the line may be the candidate's own.
func (c *candidate) fits(line *Line) bool {
	if c.behind {
		return line.Header != nil
	}
	return c.looks(line.Text)
}

func (c *candidate) parse(line Line, ev *event.Event) error {
	if auth, ok := c.parser.(*linuxAuth); ok {
		return auth.parse(line, ev, c.decline)
	}
	return c.parser.Parse(line, ev)
}

// sniffer is a configured parser that can tell quickly whether a line may be its own.
type sniffer interface{ looks(text string) bool }

// builtins are the candidates that need no block, in the order of trying.
var builtins = []struct {
	name    string
	new     func(string, *conf.Body, Options) (Parser, error)
	looks   func(text string) bool
	generic bool
}{
	{"nginx", newNginx, looksLikeNginx, false},
	{"apache", newApache, looksLikeApache, false},
	{"linux_auth", newLinuxAuth, looksLikeLinuxAuth, false},
	{"activity_log", newActivityLog, looksLikeActivityLog, false},
	{"daemons", newDaemons, looksLikeDaemons, false},
	{"okta", newOkta, looksLikeOkta, false},
	{"auth0", newAuth0, looksLikeAuth0, false},
	{"auth_service", newAuthService, looksLikeAuthService, false},
	{"keycloak", newKeycloak, looksLikeKeycloak, false},
	{"payment_portal", newPaymentPortal, looksLikePaymentPortal, false},
	{"ecs", newECS, looksLikeECS, false},
	{"user_activity", newUserActivity, looksLikeUserActivity, false},
	{"json", newJSON, looksLikeJSON, true},
	{"logfmt", newLogfmt, looksLikeLogfmt, true},
	{"syslog", newSyslog, looksLikeSyslog, true},
}

// newAuto leaves the choice of candidates to choose where there is a Lookup: other blocks may not be there yet.
func newAuto(_ string, body *conf.Body, o Options) (Parser, error) {
	p := &autoParser{body: body, clock: newSyslogClock(o), lookup: o.Lookup, sources: map[string]int{}}
	if body != nil {
		p.try = body.Strings("try")
		body.Close()
	}
	if p.lookup != nil {
		return p, nil
	}
	for _, b := range builtins {
		parser, err := b.new("", nil, o)
		if err != nil {
			return nil, err
		}
		p.candidates = append(p.candidates, newCandidate(b.name, parser))
	}
	p.settle()
	return p, nil
}

// choose sets the candidates: what `try` names, else the blocks in the order of the config, then the built-in ones.
func (p *autoParser) choose(blocks []string) error {
	names := append([]string(nil), p.try...)
	if p.try == nil {
		names = append(names, blocks...)
		for _, b := range builtins {
			names = append(names, b.name)
		}
	}
	p.candidates = nil
	have := map[Parser]bool{p: true}
	for _, name := range names {
		parser, err := p.lookup(name)
		if err != nil {
			if p.body == nil {
				return err
			}
			p.body.Errorf("try", "%v", err)
			continue
		}
		_, isAuto := parser.(*autoParser)
		_, isRaw := parser.(rawParser)
		switch {
		case isAuto && p.try != nil:
			p.body.Errorf("try", "%q picks parsers itself; leave it out", name)
		case isRaw && p.try != nil:
			p.body.Errorf("try", "%q takes every line; leave it out", name)
		case !isAuto && !isRaw && !have[parser]:
			have[parser] = true
			p.candidates = append(p.candidates, newCandidate(name, parser))
		}
	}
	p.settle()
	return nil
}

// settle has linux_auth leave to syslog what it does not know, where syslog is there to take it.
func (p *autoParser) settle() {
	takes := slices.ContainsFunc(p.candidates, func(c candidate) bool { _, ok := c.parser.(*syslogParser); return ok })
	p.auth = -1
	for i := range p.candidates {
		c := &p.candidates[i]
		c.decline = takes
		if _, ok := c.parser.(*linuxAuth); ok && p.auth < 0 {
			p.auth = i
		}
	}
}

func newCandidate(name string, parser Parser) candidate {
	c := candidate{parser: parser, looks: func(string) bool { return true }, block: true}
	switch parser.(type) {
	case *linuxAuth, *syslogParser:
		c.behind = true
	}
	if s, ok := parser.(sniffer); ok {
		c.looks = s.looks
	}
	for _, b := range builtins {
		if b.name == name {
			c.looks, c.generic, c.block = b.looks, b.generic, false
		}
	}
	return c
}

// Dataset is that of lines that nobody knows.
func (p *autoParser) Dataset() string { return event.DatasetPrefix + "raw" }

// Prime passes the first line of a source on to the candidates that want it.
func (p *autoParser) Prime(source, first string) {
	for _, c := range p.candidates {
		if primer, ok := c.parser.(Primer); ok && c.looks(first) {
			primer.Prime(source, first)
		}
	}
}

// Parse implements Parser.
func (p *autoParser) Parse(line Line, ev *event.Event) error {
	last := p.remembered(line.Source)
	var l syslogLine
	if line.Header != nil || !p.clock.split(line.Text, line.Received, &l) {
		return p.pick(line, ev, last, false)
	}
	if last < 0 || p.candidates[last].block {
		if err := p.pick(line, ev, last, true); !errors.Is(err, ErrNoMatch) {
			return err
		}
	}
	h := headers.Get().(*Header)
	defer func() {
		*h = Header{}
		headers.Put(h)
	}()
	h.take(&l)
	text := line
	text.Text, text.Header = l.message, h
	err := p.pick(text, ev, last, false)
	if errors.Is(err, ErrNoMatch) {
		return p.pick(line, ev, last, false)
	}
	if err == nil {
		if ev.Syslog == nil && l.priority >= 0 { // what stands in a file without one has been through no network
			*ev.NeedSyslog() = h.Syslog
			if l.version == "" {
				ev.Syslog.Hostname, ev.Syslog.AppName, ev.Syslog.ProcID = "", "", ""
			}
		}
		l.complete(ev, h, line.Received)
	}
	return err
}

// pick tries the candidates, or only the blocks of the config. The one that fitted the source's last line comes first, but behind a header
// linux_auth does: it goes by the program, and what an attacker gets into the text of sshd may have any shape.
func (p *autoParser) pick(line Line, ev *event.Event, last int, blocks bool) error {
	auth := -1
	if line.Header != nil && !blocks {
		auth = p.auth
	}
	for n := -2; n < len(p.candidates); n++ {
		i := n
		switch n {
		case -2:
			i = auth
		case -1:
			i = last
		}
		if i < 0 || n >= 0 && (i == auth || i == last) || n == -1 && i == auth {
			continue
		}
		c := &p.candidates[i]
		if blocks && !c.block || !c.fits(&line) {
			continue
		}
		err := c.parse(line, ev)
		if errors.Is(err, ErrNoMatch) {
			ev.Reset()
			continue
		}
		if err == nil && !c.generic && i != last {
			p.remember(line.Source, i)
		}
		return err
	}
	return ErrNoMatch
}

func (p *autoParser) remembered(source string) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i, ok := p.sources[source]; ok {
		return i
	}
	return -1
}

func (p *autoParser) remember(source string, i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.sources[source]; !known && len(p.sources) >= maxSources {
		for other := range p.sources {
			delete(p.sources, other)
			break
		}
	}
	p.sources[strings.Clone(source)] = i
}

func looksLikeJSON(text string) bool {
	i := skipSpace(text, 0)
	return i < len(text) && text[i] == '{'
}

// looksLikeLogfmt wants the line to begin with a pair and to have another one.
func looksLikeLogfmt(text string) bool {
	s := pairScanner{text: text}
	for n := 0; n < 2; n++ {
		if !s.next() || s.bare || event.LabelKey(s.key) != s.key && !strings.Contains(s.key, ".") {
			return false
		}
	}
	return true
}

// looksLikePaymentPortal is for the parser without a block.
func looksLikePaymentPortal(text string) bool {
	return looksLikePortal(text, csvFormat{',', '"'}, &timeReader{layouts: defaultLayouts, location: time.UTC})
}

func (p *portalParser) looks(text string) bool { return looksLikePortal(text, p.format, &p.times) }

// looksLikePortal wants the portal's own columns or keys.
func looksLikePortal(text string, format csvFormat, times *timeReader) bool {
	text = trimBOM(strings.TrimSpace(text))
	switch shapeOf(text) {
	case shapeJSON:
		return hasKey(text, "entry") && hasKey(text, "status")
	case shapePairs:
		s := pairScanner{text: text, joined: true}
		var seen [columnCount]bool
		for n := 0; n < 16 && s.next(); n++ {
			seen[portalColumn(s.key)] = seen[portalColumn(s.key)] || !s.bare
		}
		return (seen[colUser] || seen[colTime]) && seen[colEntry] && seen[colStatus]
	}
	var space [32]string
	cells, err := format.split(space[:0], text)
	return err == nil && len(cells) >= 4 && (isPortalHeader(cells) || portalLike(cells, times))
}

// hasKey looks for a JSON string that begins with the name in any letter case: "entry", "Entry Type", "entry_code".
func hasKey(text, name string) bool {
	for i := 0; i+len(name) < len(text); {
		j := strings.IndexByte(text[i:], '"')
		if j < 0 {
			return false
		}
		i += j + 1
		if len(text)-i <= len(name) {
			return false
		}
		if strings.EqualFold(text[i:i+len(name)], name) {
			return true
		}
	}
	return false
}

// portalLike says that cells could be a row: a time, an address or nothing in its place, and two small numbers or names of codes.
func portalLike(cells []string, times *timeReader) bool {
	hasTime, codes := false, 0
	for i, c := range cells {
		c = strings.TrimSpace(c)
		if i < 10 && !hasTime && len(c) >= 10 {
			_, hasTime = times.read(c, 0)
		}
		if len(c) <= 2 {
			if n, ok := wholeNumber(c); ok && n > 0 {
				codes++
			}
			continue
		}
		var buf [maxName]byte
		if c[0] > '9' && builtinCodes[string(foldName(buf[:0], c))] {
			codes++
		}
	}
	return hasTime && codes >= 2
}

// builtinCodes are the names in the portal's own tables, for the shape of a row.
var builtinCodes = func() map[string]bool {
	m := map[string]bool{}
	entries, status := portalCodes()
	for _, t := range []portalTable{entries, status} {
		for name := range t.byName {
			m[name] = true
		}
	}
	return m
}()

// looks wants the keys that the config maps: at least half of them.
func (p *jsonParser) looks(text string) bool { return looksLikeJSON(text) && half(p.marks, text) }

func (p *logfmtParser) looks(text string) bool { return half(p.marks, text) }

// looks wants as many cells as there are columns.
func (p *csvParser) looks(text string) bool {
	var space [32]string
	cells, err := p.format.split(space[:0], text)
	return err == nil && len(cells) == len(p.columns)
}

// marks are the texts by which a line shows that it has the values that the config maps: the last part of each path.
func (m *mapping) marks(before, after string) []string {
	var marks []string
	for path, node := range m.nodes {
		if slices.ContainsFunc(node.targets, func(t target) bool { return t.kind != toTime }) {
			marks = append(marks, before+path[strings.LastIndexByte(path, '.')+1:]+after)
		}
	}
	slices.Sort(marks)
	return marks
}

// half says that at least half of the marks are in the text. It takes as few looks as it can: it runs for every line of auto.
func half(marks []string, text string) bool {
	found := 0
	for i, mark := range marks {
		if strings.Contains(text, mark) {
			if found++; 2*found >= len(marks) {
				return true
			}
		} else if 2*(found+len(marks)-i-1) < len(marks) {
			return false
		}
	}
	return false // a block that maps nothing fits no line
}
