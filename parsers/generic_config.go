package parsers

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// decoder reads the part of a parser block that all generic formats share.
type decoder struct {
	m       *mapping
	body    *conf.Body
	sources []string // the names that the format gives (columns, groups); nil where any may come
	tables  []codeTable
	used    map[string]bool // code tables that a field feeds
}

// newMapping reads dataset, time, fields, codes, defaults, labels, message and realm of a block; without a block everything becomes
// labels. The caller closes the body.
func newMapping(typ, label string, body *conf.Body, o Options, sources []string) *mapping {
	m := &mapping{name: typ, dataset: event.DatasetPrefix + typ, nodes: map[string]*node{}, times: newTimeReader(nil, o)}
	if label != "" {
		m.name = label
	}
	d := decoder{m: m, body: body, sources: sources, used: map[string]bool{}}
	if body == nil {
		d.usualTimes()
		return m
	}
	m.dataset = event.DatasetPrefix + readDataset(body, typ+"."+foldDataset(label))
	d.tables = readCodes(body)
	m.tables = len(d.tables)
	d.time(o)
	d.fields()
	for i := range d.tables {
		d.checkTable(&d.tables[i])
	}
	d.defaults()
	d.labels()
	d.message()
	if realm := body.String("realm", ""); realm != "" && d.checkSource("realm", body.Range("realm"), realm) {
		d.add(realm, target{kind: toRealm})
	}
	return m
}

var datasetName = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// readDataset returns the short name of the data stream; the default is made of the block's labels.
func readDataset(body *conf.Body, def string) string {
	name := body.String("dataset", def)
	switch {
	case len(name) > 100:
		body.Errorf("dataset", "is longer than 100 characters")
	case strings.HasPrefix(name, event.DatasetPrefix):
		body.Errorf("dataset", "%q: the short name is wanted; write %q", name, strings.TrimPrefix(name, event.DatasetPrefix))
	case !datasetName.MatchString(name):
		body.Errorf("dataset", "%q is no name of a dataset: small letters, digits and _ in parts joined by dots; write %q", name, foldDataset(name))
	case name == "alert" || name == "agent" || name == "deadletter":
		body.Errorf("dataset", "%q is Gatebook's own; take a name of two parts such as %q", name, def)
	default:
		return name
	}
	return def
}

// foldDataset makes a name of a dataset from any text.
func foldDataset(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(b) < 60; i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b = append(b, c)
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c == '.':
			if len(b) > 0 && b[len(b)-1] != '.' {
				b = append(b, '.')
			}
		default:
			b = append(b, '_')
		}
	}
	if s = strings.Trim(string(b), "."); s == "" {
		return "_"
	}
	return s
}

func (d *decoder) errorAt(at hcl.Range, where, problem, remedy string) {
	d.body.File().ErrorAt(at, where+": "+problem, remedy)
}

// checkSource checks that a source value of this name can come.
func (d *decoder) checkSource(where string, at hcl.Range, path string) bool {
	switch {
	case path == "":
		d.errorAt(at, where, "is empty", "")
	case len(path) > maxPath:
		d.errorAt(at, where, fmt.Sprintf("is longer than %d characters", maxPath), "")
	case d.sources != nil && !slices.Contains(d.sources, path):
		remedy := "known here: " + quoteNames(d.sources)
		if near := conf.Suggest(path, d.sources); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		d.errorAt(at, where, fmt.Sprintf("no value of the line is called %q", path), remedy)
	default:
		return true
	}
	return false
}

// node returns the node of a path and opens the way to it.
func (d *decoder) node(path string) *node {
	get := func(p string) *node {
		n := d.m.nodes[p]
		if n == nil {
			n = &node{}
			d.m.nodes[p] = n
		}
		return n
	}
	for i := range len(path) {
		if path[i] == '.' {
			get(path[:i]).descend = true
		}
	}
	return get(path)
}

// add makes t a target of the path. Values that a field takes are no labels; realm and message take a copy.
func (d *decoder) add(path string, t target) {
	n := d.node(path)
	if t.key == "" {
		t.key = event.LabelKey(path)
	}
	n.targets = append(n.targets, t)
	if t.kind != toRealm && t.kind != toSlot {
		n.consumed = true
	}
}

// usualTimes takes the time from where most applications have it.
func (d *decoder) usualTimes() {
	for _, name := range []string{"@timestamp", "timestamp", "time"} {
		if d.sources == nil || slices.Contains(d.sources, name) {
			d.add(name, target{kind: toTime})
			d.m.hasTime = true
		}
	}
}

func (d *decoder) time(o Options) {
	if !d.body.Has("time") {
		d.body.Object("time")
		d.usualTimes()
		return
	}
	t := d.body.Object("time")
	if t == nil {
		return
	}
	if field := t.RequiredString("field"); field != "" && d.checkSource("time.field", t.Range("field"), field) {
		d.add(field, target{kind: toTime})
		d.m.hasTime = true
	}
	d.m.times = readTimes(t, o)
}

// readTimes reads layouts and timezone of time = { ... }.
func readTimes(t *conf.Object, o Options) timeReader {
	var layouts []timeLayout
	for _, s := range t.Strings("layouts") {
		l, problem := newTimeLayout(s)
		switch near := conf.Suggest(s, layoutNames); {
		case problem == "":
			layouts = append(layouts, l)
		case near != "":
			t.Errorf("layouts", "%q %s; did you mean %q?", s, problem, near)
		case problem == "is no layout":
			t.Errorf("layouts", `%q is no layout; write the time of 2 January 2006, 15:04:05, as your log would, such as "2006-01-02 15:04:05", or one of %s`,
				s, quoteNames(layoutNames))
		default:
			t.Errorf("layouts", "%q %s", s, problem)
		}
	}
	o.Location = t.Location("timezone", o.Location)
	return newTimeReader(layouts, o)
}

func (d *decoder) fields() {
	for _, p := range d.body.Pairs("fields") {
		where := fmt.Sprintf("fields[%q]", p.Key)
		t, ok := d.target(where, p.KeyRange, p.Key)
		if !ok || !d.checkSource(where, p.ValueRange, p.Value) {
			d.used[p.Key] = true // told already
			continue
		}
		t.key = event.LabelKey(p.Value)
		if key, label := strings.CutPrefix(p.Key, "labels."); label {
			t.key = event.LabelKey(key)
		}
		for i := range d.tables {
			if d.tables[i].field == p.Key && t.kind != toLabel {
				t.table, t.codes = i, d.tables[i].byText
				d.used[p.Key] = true
			}
		}
		d.m.codeTaken = d.m.codeTaken || t.id == event.FieldEventCode && t.kind == toField
		d.m.reasonTaken = d.m.reasonTaken || t.id == event.FieldEventReason && t.kind == toField
		d.add(p.Value, t)
	}
}

// target finds the field that a value goes to.
func (d *decoder) target(where string, at hcl.Range, name string) (target, bool) {
	if key, ok := strings.CutPrefix(name, "labels."); ok && key != "" {
		return target{kind: toLabel}, true
	}
	id, ok := d.field(where, at, name)
	if !ok {
		return target{}, false
	}
	t := target{kind: toField, id: id, list: id.Info().Array}
	switch {
	case id == event.FieldGatebookEntryCode || id == event.FieldGatebookStatusCode:
		t.kind = toCoded
	case id == event.FieldEventAction:
		t.kind = toAction
	case id == event.FieldEventOutcome:
		t.kind = toOutcome
	case id.Info().Type == event.DateTime:
		t.kind = toDate
	case takesJSON(id):
		t.kind = toJSON
	case id == event.FieldEventCategory || id == event.FieldEventType:
		d.errorAt(at, where, "follows from event.action", "map the source's value to event.action by codes")
		return target{}, false
	}
	return t, true
}

// takesJSON says that the field holds an object.
func takesJSON(id event.FieldID) bool {
	typ := id.Info().Type
	return typ == event.Flattened || typ == event.Place || typ == event.Stored && id != event.FieldGatebookNotificationBody
}

// field checks that a name is in the field table and not Gatebook's own to set.
func (d *decoder) field(where string, at hcl.Range, name string) (event.FieldID, bool) {
	id, ok := event.FieldByName(name)
	if !ok {
		d.errorAt(at, where, "there is no field "+fmt.Sprintf("%q", name), suggestField(name))
		return 0, false
	}
	if problem, remedy := ownField(id); problem != "" {
		d.errorAt(at, where, problem, remedy)
		return 0, false
	}
	return id, true
}

func suggestField(name string) string {
	for i := range event.Fields {
		f := &event.Fields[i]
		for _, alias := range f.Names() {
			if problem, _ := ownField(event.FieldID(i)); problem == "" && strings.EqualFold(alias, name) {
				return fmt.Sprintf("did you mean %q?", f.Name)
			}
		}
	}
	if near := conf.Suggest(name, event.FieldNames()); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf(`docs/fields.md lists them; "labels.%s" takes anything`, event.LabelKey(name))
}

// ownField says why a parser block may not set a field, empty where it may.
func ownField(id event.FieldID) (problem, remedy string) {
	switch name := id.Info().Name; {
	case id == event.FieldTimestamp:
		return "the time has an attribute of its own", `write time = { field = "..." }`
	case name == "labels":
		return "a label needs its key", `write "labels.KEY"`
	case id.Info().Go == "", strings.HasPrefix(name, "related."), strings.HasPrefix(name, "log.file."), name == "log.offset", name == "event.id",
		name == "event.kind", name == "event.created", name == "event.original", name == "gatebook.input", name == "gatebook.parser",
		strings.HasPrefix(name, "gatebook.sender."), name == "gatebook.user.key", name == "gatebook.restored", name == "gatebook.relayed",
		strings.HasPrefix(name, "agent."):
		return "only Gatebook itself sets this field", fmt.Sprintf(`"labels.%s" takes the source's own`, event.LabelKey(name))
	case name == "event.dataset":
		return "the block has an attribute for it", "write dataset = ..."
	case strings.HasPrefix(name, "rule."), strings.HasPrefix(name, "threat."), strings.HasPrefix(name, "gatebook.alert."),
		strings.HasPrefix(name, "gatebook.deadletter."), strings.HasPrefix(name, "gatebook.health."), name == "event.risk_score":
		return "only Gatebook itself sets this field", fmt.Sprintf(`"labels.%s" takes the source's own`, event.LabelKey(name))
	}
	return "", ""
}

// checkTable checks what depends on the field that a code table is for.
func (d *decoder) checkTable(t *codeTable) {
	where := fmt.Sprintf("codes[%q]", t.field)
	if !d.used[t.field] {
		names := make([]string, 0, 8)
		for _, p := range d.body.Pairs("fields") {
			names = append(names, p.Key)
		}
		remedy := fmt.Sprintf(`add %q = "..." to fields`, t.field)
		if near := conf.Suggest(t.field, names); near != "" {
			remedy = fmt.Sprintf("did you mean %q?", near)
		}
		d.errorAt(t.key.Range, where, "no value goes to this field", remedy)
		return
	}
	var need string
	switch t.field {
	case "event.action":
		need = "action"
	case "event.outcome":
		need = "outcome"
	default:
		return
	}
	for _, v := range t.object.Keys() {
		if entry := t.object.Object(v.Name); entry != nil {
			entry.Require(need, map[string]string{"action": `"login"`, "outcome": `"failure"`}[need])
		}
	}
}

func (d *decoder) defaults() {
	var probe event.Event
	for _, p := range d.body.Pairs("defaults") {
		where := fmt.Sprintf("defaults[%q]", p.Key)
		if key, ok := strings.CutPrefix(p.Key, "labels."); ok && key != "" {
			d.m.defaultLists = append(d.m.defaultLists, defaultValue{label: event.LabelKey(key), value: p.Value})
			continue
		}
		id, ok := d.field(where, p.KeyRange, p.Key)
		if !ok {
			continue
		}
		problem := ""
		switch {
		case id == event.FieldEventAction:
			if _, ok := event.ActionByName(p.Value); !ok {
				problem = unknownAction(p.Value)
			}
		case id == event.FieldEventOutcome:
			if probe.Set(id, p.Value) != nil {
				problem = unknownName("outcome", p.Value, []string{"success", "failure", "unknown"})
			}
		case id == event.FieldEventCategory:
			if _, ok := categoryTypes[p.Value]; !ok {
				problem = unknownName("category of ECS", p.Value, categoryNames)
			}
		case id == event.FieldEventType:
			problem = "follows from event.action; set that"
		case id.Info().Type == event.DateTime:
			problem = "a time cannot be the same for all events"
		default:
			if err := probe.Set(id, p.Value); err != nil {
				problem = fmt.Sprintf("%q is not of the field's type %s", p.Value, id.Info().Type)
			}
		}
		if problem != "" {
			d.errorAt(p.ValueRange, where, problem, "")
			continue
		}
		v := defaultValue{id: id, value: p.Value}
		if id.Info().Array && id != event.FieldEventCategory {
			d.m.defaultLists = append(d.m.defaultLists, v) // after the line's own
		} else {
			d.m.defaults = append(d.m.defaults, v)
		}
	}
}

func (d *decoder) labels() {
	if !d.body.Has("labels") {
		return
	}
	if v := d.body.Value("labels"); !v.IsNull() && (v.Type().IsTupleType() || v.Type().IsListType()) {
		d.m.labels = labelsListed
		for i, path := range d.body.Strings("labels") {
			if d.checkSource(fmt.Sprintf("labels[%d]", i), d.body.Range("labels"), path) {
				d.node(path).label = true
			}
		}
		return
	}
	switch d.body.Enum("labels", "all", "all", "none") {
	case "none":
		d.m.labels = labelsNone
	default:
		d.m.labels = labelsAll
	}
}

// message is a template where it has braces, else the name of a value.
func (d *decoder) message() {
	s := d.body.String("message", "")
	if s == "" {
		return
	}
	at := d.body.Range("message")
	if !strings.ContainsAny(s, "{}") {
		if d.checkSource("message", at, s) {
			d.add(s, target{kind: toField, id: event.FieldMessage})
		}
		return
	}
	segments, paths, problem := parseTemplate(s)
	if problem != "" {
		d.errorAt(at, "message", problem, "")
		return
	}
	for i, p := range paths {
		if d.checkSource("message", at, p) {
			d.add(p, target{kind: toSlot, slot: i})
		}
	}
	d.m.message = segments
}
