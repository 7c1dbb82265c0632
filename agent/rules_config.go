package agent

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/kibana"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/library"
)

// RulesConfig is the block `rules`: which detections run here.
type RulesConfig struct {
	Set      *rules.Set
	State    int64
	Lateness time.Duration
	Snapshot time.Duration // between snapshots of the state
	Kibana   kibana.Link   // of event.url of alerts
}

// decodeRules reads the block and the rule files that it names; nil where there is no block: then no rules run. What is wrong with the files is added to
// problems.
func (c *Config) decodeRules(b *conf.Body, o LoadOptions) (problems conf.Diagnostics) {
	k := b.Block("rules")
	if k == nil {
		for _, o := range c.Outputs {
			if o.onAlerts() {
				b.Errorf("", "%s tells of alerts, and no rules run: add rules {}", o.title())
			}
		}
		return nil
	}
	defer k.Body.Close()
	c.Rules = &RulesConfig{
		State:    k.Body.Size("state", 64<<20, 4<<20, 0),
		Lateness: k.Body.Duration("lateness", 30*time.Second, time.Second, 24*time.Hour),
		Snapshot: k.Body.Duration("snapshot", 30*time.Second, 50*time.Millisecond, time.Hour),
	}
	if address := k.Body.String("kibana", ""); address != "" {
		var err error
		if c.Rules.Kibana, err = kibana.NewLink(address); err != nil {
			k.Body.Errorf("kibana", "%v", err)
		}
	}
	withLibrary := k.Body.Bool("library", true)
	patterns := k.Body.Strings("paths")
	for i, p := range patterns {
		if !filepath.IsAbs(p) {
			patterns[i] = filepath.Join(filepath.Dir(c.Path), p)
		}
	}
	disable, shadow, alert := k.Body.Strings("disable"), k.Body.Strings("shadow"), k.Body.Strings("alert")
	if o.SkipRules {
		c.Rules.Set = &rules.Set{}
		return nil
	}
	var sources []rules.Source
	if withLibrary {
		sources = LibrarySources()
	}
	own, err := rules.ReadFiles(patterns)
	if err != nil {
		k.Body.Errorf("paths", "%v", err)
	}
	set := rules.Load(rules.LoadOptions{Zone: c.Location, Tests: o.RuleTests}, slices.Concat(sources, own, o.MoreRules)...)
	c.Rules.Set = set
	checkIDs(k.Body, set, "disable", disable)
	checkIDs(k.Body, set, "shadow", shadow)
	checkIDs(k.Body, set, "alert", alert)
	for _, r := range set.Rules {
		if slices.Contains(disable, r.ID) {
			r.Enabled = false
		}
		if slices.Contains(alert, r.ID) {
			r.ShadowFor = 0
			if r.Mode == rules.ModeShadow {
				r.Mode = rules.ModeAlert
			}
		}
		if slices.Contains(shadow, r.ID) {
			r.Mode = rules.ModeShadow
		}
	}
	c.checkResponses(k)
	return c.Rules.Set.Problems
}

// checkResponses warns of rules that ask for an action that there is no block for.
func (c *Config) checkResponses(k *conf.Block) {
	var actions []string
	for _, o := range c.Outputs {
		for _, r := range o.respond {
			actions = append(actions, r.Labels[0])
		}
	}
	for _, r := range c.Rules.Set.Rules {
		for _, respond := range r.Respond {
			if r.Enabled && r.Mode == rules.ModeRespond && !slices.Contains(actions, respond.Name) {
				k.Body.Warnf("", "rule %s asks for respond %q, and there is no such block: its alerts are told, and nothing is done", r.ID, respond.Name)
			}
		}
	}
}

// title is how messages name the block.
func (o OutputConfig) title() string {
	if o.Kind == respondKind {
		return "respond"
	}
	return fmt.Sprintf("output %q %q", o.Kind, o.Label)
}

// checkIDs notes ids in an attribute that no rule has.
func checkIDs(body *conf.Body, set *rules.Set, attribute string, list []string) {
	var names []string
	for _, r := range set.Rules {
		names = append(names, r.ID)
	}
	for _, id := range list {
		if slices.Contains(names, id) {
			continue
		}
		if near := conf.Suggest(id, names); near != "" {
			body.Errorf(attribute, "there is no rule %q; did you mean %q?", id, near)
		} else {
			body.Errorf(attribute, "there is no rule %q; gatebook rules list shows them", id)
		}
	}
}

// LibraryPrefix begins the names of the shipped files in messages.
const LibraryPrefix = "library/"

// LibrarySources are the shipped detections.
func LibrarySources() []rules.Source {
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: LibraryPrefix + f.Name, Text: f.Text, Library: true})
	}
	return sources
}
