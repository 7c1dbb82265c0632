package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Names of what Setup installs.
const (
	prefix            = "gatebook-" // of all but the first template
	ComponentTemplate = "gatebook-mappings"
	SettingsTemplate  = "gatebook-settings"
	CustomTemplate    = "gatebook@custom" // an administrator's own, on top of ours
	IndexTemplate     = "gatebook"
	Pipeline          = "gatebook-ingested"
	Pattern           = "logs-gatebook.*-*"
	Streams           = "logs-gatebook.*"
)

// SetupOptions say what Setup installs besides what every cluster gets.
type SetupOptions struct {
	Retention Retention
	Lifecycle Lifecycle
	Roles     bool // the roles too, where the cluster knows users
	DryRun    bool // only says what would be done
	// Quick leaves it at a look at the last setup, if that came to its end, was asked for the same, and was of this version or a newer one.
	Quick bool
}

// Step is a thing that Setup saw to, or a note where Path is empty.
type Step struct {
	Path string // of the API
	Did  string // "installed", "up to date", ...
}

func (s Step) String() string {
	if s.Path == "" {
		return s.Did
	}
	return s.Path + ": " + s.Did
}

const upToDate = "up to date"

// Setup installs lifecycle policies, ingest pipeline, templates and, where asked for, roles, where they are missing, older than ours or other than asked
// for; then the data streams that exist get the mapping and the lifecycle of their template. What is there is looked at first: where something of a name
// of ours is not marked as made by Gatebook, nothing at all is changed and the error, which is ErrForeign, names it. What a newer Gatebook made stays.
func (c *Client) Setup(ctx context.Context, o SetupOptions) ([]Step, error) {
	if err := o.Retention.Check(); err != nil {
		return nil, err
	}
	if o.Quick && c.isDone(ctx, o) {
		return []Step{{Did: "everything is set up"}}, nil
	}
	p, err := c.plan(ctx, o)
	if err != nil {
		return nil, err
	}
	steps := slices.Clone(p.notes)
	for _, a := range p.actions {
		if a.do != leave && !o.DryRun {
			if err := c.apply(ctx, a); err != nil {
				return steps, fmt.Errorf("install %s: %w", a.path(), err)
			}
		}
		steps = append(steps, a.step(o.DryRun))
	}
	more, err := c.renewStreams(ctx, p, o.DryRun)
	if err == nil && !o.DryRun {
		err = c.noteDone(ctx, p)
	}
	return append(steps, more...), err
}

// would is how a change is told of.
func would(dry bool, did string) string {
	if dry {
		return "would be " + did
	}
	return did
}

// server is what can be known of a cluster by its greeting.
type server struct{ openSearch, serverless bool }

func (c *Client) findServer(ctx context.Context) (server, error) {
	answer, err := c.do(ctx, "GET", "/", nil)
	var re *RequestError
	if errors.As(err, &re) && re.Status == http.StatusForbidden {
		return server{}, nil // without the privilege monitor: what follows will tell
	}
	v := gjson.GetBytes(answer, "version")
	return server{v.Get("distribution").String() == "opensearch", v.Get("build_flavor").String() == "serverless"}, err
}

// plan is what Setup found and what it is going to do.
type plan struct {
	layout
	notes   []Step
	actions []action
	was     map[string]time.Duration // the tiers that the server had
	wasKept time.Duration            // by what has no tier; 0 where nothing was there
	noted   gjson.Result             // what the last setup noted of itself
}

// doing says what is to be done with a thing.
type doing uint8

const (
	leave doing = iota // it is as it should be, or of a newer Gatebook
	install
	replace
)

// action is a thing and what is to be done with it.
type action struct {
	item
	do   doing
	have mark
	at   string // query parameters that guard against a change in between
}

func (a action) step(dry bool) Step {
	did := upToDate
	switch {
	case a.have.version > templateVersion:
		did = fmt.Sprintf("made by a newer Gatebook (version %d, this one makes %d): left as it is", a.have.version, templateVersion)
	case a.do == install:
		did = would(dry, "installed")
	case a.do == replace && a.have.version < templateVersion:
		did = would(dry, fmt.Sprintf("upgraded from version %d to %d", a.have.version, templateVersion))
	case a.do == replace:
		did = would(dry, "changed")
	}
	return Step{a.path(), did}
}

func (c *Client) apply(ctx context.Context, a action) error {
	_, err := c.do(ctx, "PUT", a.path()+a.at, render(a.sealed()))
	return err
}

// ErrForeign says that something of our name is not ours.
var ErrForeign = errors.New("there is one of this name that Gatebook did not make (no _meta.managed_by: gatebook); rename it or remove it")

// plan looks at everything and changes nothing.
func (c *Client) plan(ctx context.Context, o SetupOptions) (*plan, error) {
	p := &plan{}
	s, err := c.findServer(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the server what it is: %w", err)
	}
	if p.layout, err = c.findLayout(ctx, s, o); err != nil {
		return nil, err
	}
	there, err := c.do(ctx, "GET", "/_index_template", nil)
	if err != nil {
		return nil, fmt.Errorf("read index templates: %w", err)
	}
	all := gjson.GetBytes(there, "index_templates").Array()
	p.keepTiers(all, o.Retention)
	p.notes = p.layout.notes()
	items := p.items()
	if o.Roles {
		roles, note, err := c.findRoles(ctx, s)
		if err != nil {
			return nil, err
		}
		if note != "" {
			p.notes = append(p.notes, Step{Did: note})
		}
		items = append(items, roles...)
	}
	if err := c.lookAll(ctx, p, items); err != nil {
		return nil, err
	}
	return p, p.compete(all)
}

// lookAll finds out what is to be done with each thing. What is not ours is named, all of it.
func (c *Client) lookAll(ctx context.Context, p *plan, items []item) error {
	var foreign []string
	if err := c.readDone(ctx, p); errors.Is(err, ErrForeign) {
		foreign = append(foreign, components.path+doneTemplate)
	} else if err != nil {
		return err
	}
	for _, i := range items {
		a, err := c.look(ctx, i)
		if errors.Is(err, ErrForeign) {
			foreign = append(foreign, i.path())
			continue
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", i.path(), err)
		}
		p.actions = append(p.actions, a)
	}
	if len(foreign) > 0 {
		return fmt.Errorf("%s: %w; nothing was changed", strings.Join(foreign, ", "), ErrForeign)
	}
	return nil
}

// look compares a thing with what is on the server.
func (c *Client) look(ctx context.Context, i item) (action, error) {
	a := action{item: i}
	answer, err := c.do(ctx, "GET", i.path(), nil)
	var re *RequestError
	switch {
	case errors.As(err, &re) && re.Status == http.StatusNotFound:
		a.do = install
		return a, nil
	case err != nil:
		return a, err
	}
	have := i.kind.mark(gjson.ParseBytes(answer))
	if have == nil {
		return a, ErrForeign
	}
	a.have = *have
	if want := i.seal(); have.version < templateVersion || have.version == templateVersion && have.hash != want.hash {
		a.do = replace
		if seq := gjson.GetBytes(answer, "_seq_no"); i.kind == &states && seq.Exists() {
			a.at = fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", seq.Int(), gjson.GetBytes(answer, "_primary_term").Int())
		}
	}
	return a, nil
}

// keepTiers takes over how long data are kept according to the templates on the server, as far as nothing else is asked for.
func (p *plan) keepTiers(all []gjson.Result, want Retention) {
	p.keep, p.was = keepDefault, map[string]time.Duration{}
	for _, t := range all {
		meta := t.Get("index_template._meta")
		if meta.Get("managed_by").String() != managedBy {
			continue
		}
		d, dataset := parseUnits(meta.Get("retention").String()), meta.Get("dataset").String()
		switch name := t.Get("name").String(); {
		case name == IndexTemplate && d != 0:
			p.keep, p.wasKept = d, d
		case dataset == "" || name != prefix+dataset:
		case d == 0:
			p.follow = append(p.follow, dataset)
		default:
			p.was[dataset] = d
		}
	}
	if want.Default != 0 {
		p.keep = want.Default
	}
	p.tiers = maps.Clone(p.was)
	for dataset, d := range want.ByDataset {
		if d != 0 {
			p.tiers[dataset] = d
		} else if _, was := p.tiers[dataset]; was {
			// Its template stays and follows the default: OpenSearch gives none away that a stream goes by.
			delete(p.tiers, dataset)
			p.follow = append(p.follow, dataset)
		}
	}
	slices.Sort(p.follow)
	if p.lifecycle == LifecycleISM {
		used := slices.Collect(maps.Values(p.tiers))
		for _, d := range slices.Compact(slices.Sorted(maps.Values(p.was))) {
			if !slices.Contains(used, d) {
				p.unused = append(p.unused, d)
			}
		}
	}
}

// compete looks for templates of others that come before ours.
func (p *plan) compete(all []gjson.Result) error {
	for _, t := range all {
		if t.Get("index_template._meta.managed_by").String() == managedBy {
			continue
		}
		name, theirs := t.Get("name").String(), t.Get("index_template.priority").Int()
		for _, o := range p.templates() {
			if !slices.ContainsFunc(t.Get("index_template.index_patterns").Array(), func(r gjson.Result) bool { return matches(r.String(), o.sample()) }) {
				continue
			}
			switch priority := int64(o.priority()); {
			case theirs == priority:
				return fmt.Errorf("index template %q, which Gatebook did not make, takes streams of ours with the same priority, %d: give it another; nothing was changed", name, theirs)
			case theirs > priority:
				p.notes = append(p.notes, Step{Did: fmt.Sprintf("index template %q comes before ours (priority %d) for streams such as %s: they get its mapping and lifecycle", name, theirs, o.sample())})
			}
		}
	}
	return nil
}

// matches tells whether a name matches a pattern with stars.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}
