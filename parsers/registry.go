package parsers

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gatebook/gatebook/internal/conf"
)

// Registry is all kinds of parsers by name: one line each.
var Registry = map[string]Spec{
	"apache":         {New: newApache, Summary: "access, SSL request and error logs of Apache httpd 2.2 and 2.4"},
	"auth0":          {New: newAuth0, Summary: "Auth0 tenant logs, as its API and log streams give them"},
	"auth_service":   {New: newAuthService, Summary: "logs of the auth service: audit, event, job, notification, session and grant rows of JSON"},
	"activity_log":   {New: newActivityLog, Summary: "the loyalty platform: rows of the Laravel activity log, as JSON or CSV"},
	"auto":           {New: newAuto, Summary: "picks the parser by the line's shape and remembers it per source"},
	"csv":            {New: newCSV, NeedsBlock: true, Summary: "separated values with columns and field map from the config"},
	"daemons":        {New: newDaemons, Summary: "mail, FTP, database, VPN, telephony and proxy daemons' own logs, auditd, fail2ban: their login lines"},
	"ecs":            {New: newECS, Summary: "documents of the Elastic Common Schema as shippers write them, and the lines in them"},
	"json":           {New: newJSON, Summary: "one JSON object a line, with a field map from the config"},
	"keycloak":       {New: newKeycloak, Summary: "Keycloak login and admin events: server log, console JSON, event JSON"},
	"linux_auth":     {New: newLinuxAuth, Summary: "sshd, PAM, sudo, su, account tools, systemd-logind and cron"},
	"logfmt":         {New: newLogfmt, Summary: "key=value pairs, with a field map from the config"},
	"nginx":          {New: newNginx, Summary: "access and error logs of nginx"},
	"okta":           {New: newOkta, Summary: "Okta System Log, as its API, event hooks and shippers give it"},
	"payment_portal": {New: newPaymentPortal, Summary: "login activity of the payment portal: CSV, JSON or key=value rows"},
	"raw":            {New: newRaw, Summary: "the line as it is, nothing recognized"},
	"regex":          {New: newRegex, NeedsBlock: true, Summary: "an expression with named groups and a field map from the config"},
	"user_activity":  {New: newUserActivity, Summary: "logins, second factors, passwords, sessions and lock-outs of an application: JSON, key=value or CSV"},
	"syslog":         {New: newSyslog, Summary: "any syslog message: its header, and the text as it is"},
}

// Primer is a parser that wants the first line of a source (of a file: at offset 0) before any of its lines is parsed: after
// a restart reading goes on in the middle, and lines of one source are parsed in parallel. Telling it is optional, may be repeated,
// and is safe at any time.
type Primer interface {
	Prime(source, first string)
}

// Envelopes is what lines can be wrapped in, by the name that an input says (inputs.Source.Envelope): each takes it off and hands
// what was inside to the parser of the config.
var Envelopes = map[string]func(inner Parser, o Options) Parser{
	"syslog":   newSyslogEnvelope,
	"ecs":      openECS,
	"journald": newJournalEnvelope,
}

// Set is the parsers of a config. It is safe for concurrent use.
type Set struct {
	byName  map[string]Parser
	blocks  []string // labels in the order of the config
	options Options

	mu      sync.RWMutex
	wrapped map[[2]string]Parser // by envelope and name
}

// Build makes the parsers of all parser blocks (two labels: type and name) and of all types that need no block. What is wrong
// with a block is noted in its file; the parsers are not to be used then. The error is about anything else.
func Build(blocks []*conf.Block, o Options) (*Set, error) {
	s := &Set{byName: map[string]Parser{}, wrapped: map[[2]string]Parser{}}
	o.Lookup = s.Get
	s.options = o
	for name, spec := range Registry {
		if !spec.NeedsBlock {
			if err := s.add(name, spec, "", nil, o); err != nil {
				return nil, err
			}
		}
	}
	seen := map[string]*conf.Block{}
	for _, b := range blocks {
		typ, label := b.Labels[0], b.Labels[1]
		spec, ok := Registry[typ]
		if !ok {
			b.LabelErrorf(0, "%s", unknownName("type of parser", typ, types()))
			continue
		}
		if first := seen[label]; first != nil {
			at := first.LabelRanges[1]
			b.LabelErrorf(1, "%q is given twice; the first is at %s:%d:%d", label, at.Filename, at.Start.Line, at.Start.Column)
			continue
		}
		if _, other := Registry[label]; other && label != typ {
			b.LabelErrorf(1, "%q is the name of another type of parser; take another label", label)
			continue
		}
		seen[label] = b
		s.blocks = append(s.blocks, label)
		if err := s.add(label, spec, label, b.Body, o); err != nil {
			return nil, err
		}
	}
	for _, p := range s.byName {
		if a, ok := p.(*autoParser); ok {
			if err := a.choose(s.blocks); err != nil {
				return nil, err
			}
		}
		if e, ok := p.(*ecsParser); ok {
			if err := e.resolve(); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func (s *Set) add(name string, spec Spec, label string, body *conf.Body, o Options) error {
	p, err := spec.New(label, body, o)
	if err != nil {
		return fmt.Errorf("parser %q: %w", name, err)
	}
	s.byName[name] = p
	return nil
}

// Get returns the parser of a block's label or of a type. It is cheap enough to be asked for every batch.
func (s *Set) Get(name string) (Parser, error) {
	if p, ok := s.byName[name]; ok {
		return p, nil
	}
	if spec, ok := Registry[name]; ok && spec.NeedsBlock {
		return nil, fmt.Errorf(`parser %q needs a block: write parser %q "NAME" { ... } and name that`, name, name)
	}
	known := s.Names()
	if near := conf.Suggest(name, known); near != "" {
		return nil, fmt.Errorf("there is no parser %q; did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("there is no parser %q; known here: %s", name, strings.Join(known, ", "))
}

// Open returns the parser of that name for lines in an envelope; "" is none. It is cheap enough to be asked for every batch.
func (s *Set) Open(envelope, name string) (Parser, error) {
	if envelope == "" {
		return s.Get(name)
	}
	key := [2]string{envelope, name}
	s.mu.RLock()
	p := s.wrapped[key]
	s.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	inner, err := s.Get(name)
	if err != nil {
		return nil, err
	}
	open, ok := Envelopes[envelope]
	if !ok {
		return nil, fmt.Errorf("there is no envelope %q", envelope)
	}
	p = open(inner, s.options)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrapped[key] = p
	return p, nil
}

// Names lists what Get knows, in order.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.byName))
	for name := range s.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func types() []string {
	names := make([]string, 0, len(Registry))
	for name := range Registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
