package parsers

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// identityProvider is what the parsers of Auth0, Keycloak and Okta share: their block of the config, and what all their events
// have in common.
type identityProvider struct {
	name    string
	dataset string
	tenant  string // of events that name none
	times   timeReader
	codes   map[string]*code // what a site says of event.code
	keys    *keyCache
}

func newIdentityProvider(typ, dataset, label string, body *conf.Body, o Options) identityProvider {
	p := identityProvider{name: typ, dataset: event.DatasetPrefix + dataset, times: newTimeReader(nil, o), keys: &keyCache{}}
	if body == nil {
		return p
	}
	p.name = label
	p.dataset = event.DatasetPrefix + readDataset(body, dataset)
	p.tenant = body.String("tenant", "")
	if t := body.Object("time"); t != nil {
		p.times = readTimes(t, o)
	}
	p.codes = readEventCodes(body)
	body.Close()
	return p
}

// Dataset implements Parser.
func (p *identityProvider) Dataset() string { return p.dataset }

// finish fills what does not depend on the provider. It runs last.
func (p *identityProvider) finish(ev *event.Event) {
	ev.Dataset, ev.Parser = p.dataset, p.name
	if managesFactor(ev.Action) {
		ev.MFA.Used = event.Absent
	}
	if ev.Action == event.JobRun && ev.Type == "" { // the step of a job that is logged is its end, but for what says that it starts
		if ev.Type = "end"; strings.HasSuffix(ev.Code, ".start") {
			ev.Type = "start"
		}
	}
	if c := p.codes[ev.Code]; c != nil {
		c.apply(ev)
		if c.name != "" {
			ev.Message = c.name
		}
	}
	if ev.Outcome == "" {
		ev.Outcome = event.Unknown
	}
	fitType(ev)
	if ev.Time == 0 {
		ev.Tag(tagArrivalTime)
	}
}

// time reads the time of an event; one that cannot be read is kept as a label.
func (p *identityProvider) time(ev *event.Event, key, text string, received event.Time) {
	if text == "" || ev.Time != 0 {
		return
	}
	at, ok := p.times.read(text, received)
	if !ok {
		rejectValue(ev, key, text)
		return
	}
	ev.Time = at
}

// organize names the tenant, which the names of users are unique to.
func organize(ev *event.Event, id, name string) {
	if id == "" && name == "" {
		return
	}
	ev.NeedOrganization().ID, ev.NeedOrganization().Name = id, name
	if ev.Realm = name; name == "" {
		ev.Realm = id
	}
}

// setAddress sets the client's address; what is none is kept as a label.
func setAddress(ev *event.Event, key, text string) {
	switch {
	case event.ValidIP(text):
		ev.Source.IP = text
	case absent(text), text == "null", text == "unknown":
	default:
		rejectValue(ev, key, text)
	}
}

// rest is labelRest for the member of a group, without making its key anew on every line.
func (p *identityProvider) rest(ev *event.Event, group, key string, v gjson.Result) {
	const room = 160
	switch {
	case v.Type == gjson.Null, v.Type == gjson.String && v.Str == "":
	case len(group)+len(key) > room-2:
		labelRest(ev, group+"_"+key, v)
	default:
		var path [room]byte
		n := copy(path[:], group)
		path[n] = '_'
		n += 1 + copy(path[n+1:], key)
		f := filling{ev: ev}
		p.restOf(&f, path[:n], v, 0)
	}
}

// restOf walks as filling.rest does; path has room to grow into.
func (p *identityProvider) restOf(f *filling, path []byte, v gjson.Result, depth int) {
	if !v.IsObject() || depth == restDepth || len(path) > 48 {
		if text := strings.TrimSpace(textOf(v)); text != "" {
			f.label(p.keys.key(path), text)
		}
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		if len(path)+1+len(k.Str) > cap(path) {
			f.rest(string(path)+"_"+k.Str, v, depth+1)
			return true
		}
		n := len(path)
		p.restOf(f, append(append(path[:n:cap(path)], '_'), k.Str...), v, depth+1)
		return true
	})
}

// label labels a text as a member of a group.
func (p *identityProvider) label(ev *event.Event, group, key, text string) {
	if text != "" {
		p.rest(ev, group, key, gjson.Result{Type: gjson.String, Str: text})
	}
}

func rejectValue(ev *event.Event, key, text string) {
	ev.Tag(tagValueRejected)
	labelCell(ev, event.LabelKey(key), text)
}

// localPart splits an e-mail address; the domain is empty where it is none.
func localPart(address string) (name, domain string) {
	i := strings.LastIndexByte(address, '@')
	if i <= 0 || i == len(address)-1 || strings.IndexByte(address, ' ') >= 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

// unwrapDepth is how many wrappers shippers may have put around an event.
const unwrapDepth = 3

// unwrap finds the event in what shippers and queues put around it: the value of one of the keys, an object, a list of one, or
// JSON text. The other members of each wrapper are kept as labels. ErrNoMatch where there is none.
func unwrap(ev *event.Event, text string, keys []string, is func(gjson.Result) bool) (gjson.Result, error) {
	root, err := objectOf(text)
	if err != nil {
		return root, err
	}
	for depth := 0; !is(root); depth++ {
		if depth == unwrapDepth {
			return root, ErrNoMatch
		}
		inner, key, err := inside(root, keys)
		if err != nil {
			return root, err
		}
		root.ForEach(func(k, v gjson.Result) bool {
			if k.Str != key {
				if v.Type != gjson.Null {
					labelRest(ev, "envelope_"+k.Str, v)
				}
			}
			return true
		})
		root = inner
	}
	return root, nil
}

var errSeveral = errors.New("several events in one line: split the list so that each event is a line")

// inside returns the object in one of the keys. A list has to have one element.
func inside(root gjson.Result, keys []string) (gjson.Result, string, error) {
	for _, key := range keys {
		v := memberOf(root, key)
		if v.IsArray() {
			n := 0
			var only gjson.Result
			v.ForEach(func(_, e gjson.Result) bool { only = e; n++; return n < 2 })
			if n > 1 {
				return v, key, errSeveral
			}
			v = only
		}
		if v.Type == gjson.String {
			inner, err := objectOf(v.Str)
			if err == nil {
				return inner, key, nil
			}
			continue
		}
		if v.IsObject() {
			return v, key, nil
		}
	}
	return gjson.Result{}, "", ErrNoMatch
}

// memberOf returns the value of a key as it stands: no path, no pattern.
func memberOf(object gjson.Result, key string) (found gjson.Result) {
	object.ForEach(func(k, v gjson.Result) bool {
		if k.Str == key {
			found = v
			return false
		}
		return true
	})
	return found
}

// hasMembers says that a value is an object that is not empty.
func hasMembers(v gjson.Result) bool {
	return v.IsObject() && v.Raw[skipSpace(v.Raw, 1)] != '}'
}
