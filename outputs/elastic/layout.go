package elastic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// managedBy marks what is ours; templateVersion is raised with every change of what Setup installs.
const (
	managedBy       = "gatebook"
	templateVersion = 5
)

// mark is what we write into everything that we make: who made it, in which version, with which content. By the hash it is seen that something else is
// asked for than is there; what an administrator changes by hand in a thing of ours stays until then.
type mark struct {
	version int
	hash    string
}

// meta is the mark as an object.
func (m mark) meta(more ...member) object {
	return append(object{{"managed_by", managedBy}, {"version", m.version}, {"hash", m.hash}}, more...)
}

// text is the mark as a description, for what has nothing else.
func (m mark) text(what string) string {
	return fmt.Sprintf("Gatebook %d: %s (gatebook setup, %s)", m.version, what, m.hash)
}

var markText = regexp.MustCompile(`^Gatebook (\d+): .*?(?: \(gatebook setup, ([0-9a-f]+)\))?$`)

// metaMark reads a mark; nil where there is none of ours.
func metaMark(at string) func(gjson.Result) *mark {
	return func(answer gjson.Result) *mark {
		m := answer.Get(at)
		if m.Get("managed_by").String() != managedBy {
			return nil
		}
		return &mark{int(m.Get("version").Int()), m.Get("hash").String()}
	}
}

func textMark(at string) func(gjson.Result) *mark {
	return func(answer gjson.Result) *mark {
		found := markText.FindStringSubmatch(answer.Get(at).String())
		if found == nil {
			return nil
		}
		version, err := strconv.Atoi(found[1])
		if err != nil {
			return nil
		}
		return &mark{version, found[2]}
	}
}

// kind is a kind of thing that a cluster keeps.
type kind struct {
	path string // of the API, before the name
	mark func(answer gjson.Result) *mark
}

var (
	policies   = kind{"/_ilm/policy/", metaMark("@values.0.policy._meta")}
	states     = kind{"/_plugins/_ism/policies/", textMark("policy.description")}
	pipelines  = kind{"/_ingest/pipeline/", textMark("@values.0.description")}
	components = kind{"/_component_template/", metaMark("component_templates.0.component_template._meta")}
	templates  = kind{"/_index_template/", metaMark("index_templates.0.index_template._meta")}
	roles      = kind{"/_security/role/", metaMark("@values.0.metadata")}
)

// item is a thing that a cluster gets.
type item struct {
	kind *kind
	name string
	body func(mark) object
}

func (i item) path() string { return i.kind.path + i.name }

// seal is the mark of what the item is now.
func (i item) seal() mark {
	sum := sha256.Sum256(render(i.body(mark{})))
	return mark{templateVersion, hex.EncodeToString(sum[:4])}
}

// sealed is the body with its mark.
func (i item) sealed() object { return i.body(i.seal()) }

// layout is what a cluster gets, as far as clusters differ.
type layout struct {
	types     Types
	lifecycle Lifecycle
	setter    string // name of the way in which the pipeline sets event.ingested; empty where the server has none
	custom    bool   // the server takes templates of which a part is missing
	sparse    bool   // it has no say in shards and takes no refresh below 5 s: serverless
	keep      time.Duration
	tiers     map[string]time.Duration // by short name of the dataset
	follow    []string                 // datasets that have a template and no tier any more
	unused    []time.Duration          // times of keeping that have a policy with ISM, and no dataset any more
}

// findLayout asks the server what it has.
func (c *Client) findLayout(ctx context.Context, s server, o SetupOptions) (layout, error) {
	l := layout{lifecycle: o.Lifecycle, sparse: s.serverless}
	var err error
	if l.types, err = c.findTypes(ctx, s); err != nil {
		return l, fmt.Errorf("try the mapping: %w", err)
	}
	if l.lifecycle, err = c.findLifecycle(ctx, s, o.Lifecycle); err != nil {
		return l, fmt.Errorf("look for a lifecycle: %w", err)
	}
	if l.setter, err = c.findSetter(ctx); err != nil {
		return l, fmt.Errorf("try the pipeline: %w", err)
	}
	_, err = c.simulate(ctx, object{}, customPart...)
	var re *RequestError
	if l.custom = err == nil; errors.As(err, &re) && re.Status == http.StatusBadRequest {
		err = nil // OpenSearch, and Elasticsearch before 8.7
	}
	return l, err
}

var customPart = []member{{"composed_of", []string{CustomTemplate}}, {"ignore_missing_component_templates", []string{CustomTemplate}}}

// notes says what the server cannot do.
func (l layout) notes() (notes []Step) {
	note := func(text string) { notes = append(notes, Step{Did: text}) }
	missing := maps.Clone(l.types)
	for name, stands := range openSearchTypes {
		if l.types[name] == stands && l.types[Flattened] == FlatObject {
			delete(missing, name) // chosen, not missing
		}
	}
	if len(missing) > 0 {
		note("types of fields that the server lacks: " + missing.String())
	}
	if l.setter == "" {
		note("no ingest processor that could do it on this cluster: event.ingested is not set")
	}
	if l.lifecycle == LifecycleNone {
		note("no lifecycle: nothing deletes data by their age on this cluster")
	}
	return notes
}

// items is everything but the roles, in the order in which it is installed.
func (l layout) items() []item {
	var items []item
	switch l.lifecycle {
	case LifecycleILM:
		for _, d := range l.times() {
			items = append(items, item{&policies, policyName(d), ilmPolicy(d)})
		}
	case LifecycleISM:
		items = append(items, l.statePolicies()...)
	}
	if l.setter != "" {
		items = append(items, item{&pipelines, Pipeline, pipelineBody(l.setter)})
	}
	items = append(items, item{&components, ComponentTemplate, l.mappings}, item{&components, SettingsTemplate, l.settings})
	for _, t := range l.templates() {
		items = append(items, item{&templates, t.name(), t.body})
	}
	return items
}

// times are the times of keeping that have a policy with ILM.
func (l layout) times() []time.Duration {
	all := append(slices.Clone(standardTiers), l.keep)
	for _, d := range l.tiers {
		all = append(all, d)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// statePolicies are the policies with ISM: one for each time of keeping, with the patterns that it is for.
func (l layout) statePolicies() []item {
	patterns := map[time.Duration][]string{}
	for _, dataset := range slices.Sorted(maps.Keys(l.tiers)) {
		patterns[l.tiers[dataset]] = append(patterns[l.tiers[dataset]], streamPattern(dataset))
	}
	items := []item{{&states, prefix + "default", ismPolicy(l.keep, []string{Pattern}, basePriority)}}
	for _, d := range slices.Sorted(maps.Keys(patterns)) {
		items = append(items, item{&states, policyName(d), ismPolicy(d, patterns[d], ownPriority)})
	}
	for _, d := range l.unused {
		items = append(items, item{&states, policyName(d), ismPolicy(d, nil, 0)})
	}
	return items
}

// mappings is the component template with all fields.
func (l layout) mappings(m mark) object {
	return object{
		{"template", object{{"mappings", l.sealedMapping()}}},
		{"_meta", m.meta(member{"ecs_version", event.ECSVersion})},
	}
}

// mapping carries its mark into every index, by which it is seen later what an index knows.
func (l layout) mapping(m mark) object {
	return append(object{{"_meta", m.meta()}}, fieldMappings(l.types)...)
}

func (l layout) sealedMapping() object { return item{body: l.mapping}.sealed() }

// How indices are kept: chosen for taking in much. One shard takes tens of thousands of documents a second, and more cost more; what came in need not be
// found at once; the documents repeat themselves, so that the better compression halves them at little cost.
const (
	shards      = 1
	refresh     = "5s"
	codec       = "best_compression"
	mostFields  = 2000
	refreshSoon = "1s" // alerts: somebody waits for them
)

// settings is the component template with what the indices of all streams have.
func (l layout) settings(m mark) object {
	index := object{}
	if !l.sparse {
		index = append(index, member{"number_of_shards", shards})
	}
	index = append(index,
		member{"refresh_interval", refresh},
		member{"codec", codec},
		member{"mapping", object{{"total_fields", object{{"limit", mostFields}}}}})
	if l.setter != "" {
		index = append(index, member{"final_pipeline", Pipeline})
	}
	return object{{"template", object{{"settings", object{{"index", index}}}}}, {"_meta", m.meta()}}
}

// Short names of our own datasets, which have templates of their own.
const (
	alertDataset      = "alert"
	deadLetterDataset = "deadletter"
)

var ownDatasets = []string{alertDataset, deadLetterDataset}

const (
	basePriority = 250
	ownPriority  = 270
)

// streamTemplate is the index template of one dataset, or of all that have none.
type streamTemplate struct {
	layout
	dataset string // short name; empty: all others
}

// templates are the index templates.
func (l layout) templates() []streamTemplate {
	datasets := slices.Concat([]string{""}, ownDatasets, l.follow, slices.Collect(maps.Keys(l.tiers)))
	slices.Sort(datasets)
	var list []streamTemplate
	for _, dataset := range slices.Compact(datasets) {
		list = append(list, streamTemplate{l, dataset})
	}
	return list
}

func (t streamTemplate) name() string {
	if t.dataset == "" {
		return IndexTemplate
	}
	return prefix + t.dataset
}

func streamPattern(dataset string) string { return "logs-" + event.DatasetPrefix + dataset + "-*" }

func (t streamTemplate) pattern() string {
	if t.dataset == "" {
		return Pattern
	}
	return streamPattern(t.dataset)
}

// sample is the name of a stream that the template is for.
func (t streamTemplate) sample() string {
	if t.dataset == "" {
		return "logs-gatebook.linux.auth-default"
	}
	return "logs-" + event.DatasetPrefix + t.dataset + "-default"
}

func (t streamTemplate) priority() int {
	if t.dataset == "" {
		return basePriority
	}
	return ownPriority
}

// keeps is how long its streams are kept, and whether it says so itself.
func (t streamTemplate) keeps() (time.Duration, bool) {
	if d, ok := t.tiers[t.dataset]; ok {
		return d, true
	}
	return t.keep, t.dataset == ""
}

func (t streamTemplate) body(m mark) object {
	index := object{}
	switch {
	case t.dataset == alertDataset && !t.sparse:
		index = append(index, member{"refresh_interval", refreshSoon})
	case t.dataset == deadLetterDataset:
		// What was refused once is not to be refused again: a value that does not fit its field is kept and not indexed.
		index = append(index, member{"mapping", object{{"ignore_malformed", true}}})
	}
	keep, own := t.keeps()
	if t.lifecycle == LifecycleILM {
		index = append(index, member{"lifecycle", object{{"name", policyName(keep)}}})
	}
	inner := object{}
	if len(index) > 0 {
		inner = append(inner, member{"settings", object{{"index", index}}})
	}
	if t.lifecycle == LifecycleStream {
		inner = append(inner, member{"lifecycle", object{{"data_retention", timeUnits(keep)}}})
	}
	parts := []string{ComponentTemplate, SettingsTemplate}
	if t.custom {
		parts = append(parts, CustomTemplate)
	}
	body := object{
		{"index_patterns", []string{t.pattern()}},
		{"data_stream", object{}},
		{"priority", t.priority()},
		{"composed_of", parts},
	}
	if t.custom {
		body = append(body, customPart[1])
	}
	var more []member
	if t.dataset != "" {
		more = append(more, member{"dataset", t.dataset})
	}
	if own {
		more = append(more, member{"retention", timeUnits(keep)})
	}
	return append(body, member{"template", inner}, member{"_meta", m.meta(more...)})
}

// parseUnits reads what timeUnits wrote; 0 where it is something else.
func parseUnits(s string) time.Duration {
	d, err := conf.ParseDuration(s)
	if err != nil {
		return 0
	}
	return d
}
