package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Validate holds a JSON document against the schema and returns what is wrong with it, sorted, nothing if it is valid:
//
//   - each leaf field is in the schema, or in gatebook.*, labels.* or a further own namespace; none occurs twice;
//   - its value is of the field's type; null, NaN and empty objects are none;
//   - it is an array exactly where the schema normalizes to one;
//   - allowed values, patterns, and the event types expected of the event categories are kept;
//   - @timestamp and ecs.version are there; data_stream.* may name a data stream; event.dataset agrees with it;
//   - the document is one JSON object in valid UTF-8.
func (s *Schema) Validate(doc []byte, ownNamespace ...string) []string {
	v := &validator{s: s, own: append([]string{"gatebook"}, ownNamespace...), seen: map[string][]string{}}
	if !utf8.Valid(doc) {
		v.errorf("document is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	root, err := readValue(d)
	if err != nil {
		return append(v.errs, fmt.Sprintf("document is not JSON: %v", err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		v.errorf("document is followed by something")
	}
	obj, ok := root.(object)
	if !ok {
		return append(v.errs, "document is not an object")
	}
	v.object("", obj)
	for _, f := range s.required {
		if _, ok := v.seen[f]; !ok {
			v.errorf("%s: required, absent", f)
		}
	}
	v.errs = append(v.errs, s.checkEventTypes(v.seen["event.category"], v.seen["event.type"])...)
	v.dataStream()
	slices.Sort(v.errs)
	return slices.Compact(v.errs)
}

// object is a JSON object that keeps order and repeated keys.
type object []member

type member struct {
	key   string
	value any // object, []any, string, json.Number, bool or nil
}

func readValue(d *json.Decoder) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return tok, nil
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			e, err := readValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		_, err := d.Token()
		return list, err
	}
	obj := object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		val, err := readValue(d)
		if err != nil {
			return nil, err
		}
		obj = append(obj, member{key.(string), val})
	}
	_, err = d.Token()
	return obj, err
}

type validator struct {
	s    *Schema
	own  []string
	seen map[string][]string // leaf -> its text values
	errs []string
}

func (v *validator) errorf(format string, args ...any) {
	v.errs = append(v.errs, fmt.Sprintf(format, args...))
}

func (v *validator) object(prefix string, obj object) {
	if prefix != "" && len(obj) == 0 {
		v.errorf("%s: empty object", prefix)
	}
	keys := map[string]bool{}
	for _, m := range obj {
		path := m.key
		if prefix != "" {
			path = prefix + "." + m.key
		}
		if keys[m.key] {
			v.errorf("%s: occurs twice", path)
		}
		keys[m.key] = true
		v.value(path, m.value)
	}
}

func (v *validator) isOwn(path string) bool {
	return slices.ContainsFunc(v.own, func(ns string) bool { return path == ns || strings.HasPrefix(path, ns+".") })
}

func (v *validator) value(path string, val any) {
	f := v.s.fields[path]
	switch {
	case v.isOwn(path):
		v.ownValue(path, val)
	case f == nil:
		v.unknown(path, val)
	case f.Type == "object" || f.Type == "nested":
		v.structure(path, f, val)
	default:
		v.leaf(path, f, val)
	}
}

// ownValue only asks for something: what our own fields may hold is for the field table to say.
func (v *validator) ownValue(path string, val any) {
	switch val := val.(type) {
	case nil:
		v.errorf("%s: null", path)
	case object:
		v.object(path, val)
	}
}

func (v *validator) unknown(path string, val any) {
	obj, ok := val.(object)
	switch {
	case ok && v.s.parents[path]:
		v.object(path, obj)
	case v.s.parents[path]:
		v.errorf("%s: is an object in ECS, not %s", path, kind(val))
	default:
		v.errorf("%s: not in ECS", path)
	}
}

// structure checks fields of the types object and nested: those whose parts ECS lists, and those with parts of any name.
func (v *validator) structure(path string, f *schemaField, val any) {
	if list, ok := val.([]any); ok && f.isArray() {
		for _, e := range list {
			sub := &validator{s: v.s, own: v.own, seen: map[string][]string{}} // each element has its own leaves
			sub.parts(path, e)
			v.errs = append(v.errs, sub.errs...)
		}
		return
	}
	if f.isArray() {
		v.errorf("%s: must be an array", path)
	}
	v.parts(path, val)
}

func (v *validator) parts(path string, val any) {
	obj, ok := val.(object)
	switch {
	case !ok:
		v.errorf("%s: must be an object, not %s", path, kind(val))
	case v.s.parents[path]:
		v.object(path, obj)
	default: // labels, container.labels: names of any kind, values that are no objects
		if len(obj) == 0 {
			v.errorf("%s: empty object", path)
		}
		seen := map[string]bool{}
		for _, m := range obj {
			if _, nested := m.value.(object); nested || m.value == nil {
				v.errorf("%s.%s: must be a plain value, not %s", path, m.key, kind(m.value))
			}
			if seen[m.key] {
				v.errorf("%s.%s: occurs twice", path, m.key)
			}
			seen[m.key] = true
		}
	}
}

func (v *validator) leaf(path string, f *schemaField, val any) {
	if _, again := v.seen[path]; again {
		v.errorf("%s: occurs twice", path)
	}
	list, isList := val.([]any)
	switch {
	case isList && f.Type == "geo_point" && len(list) == 2:
		list = []any{val} // [lon, lat] is one point
	case isList && !f.isArray():
		v.errorf("%s: must not be an array", path)
	case !isList && f.isArray():
		v.errorf("%s: must be an array", path)
		fallthrough
	case !isList:
		list = []any{val}
	}
	v.seen[path] = []string{}
	for _, e := range list {
		if err := checkType(f.Type, e); err != nil {
			v.errorf("%s: %v", path, err)
			continue
		}
		s, ok := e.(string)
		if !ok {
			continue
		}
		v.seen[path] = append(v.seen[path], s)
		if !f.allows(s) {
			v.errorf("%s: %q is not an allowed value", path, s)
		}
		if f.pattern != nil && !f.pattern.MatchString(s) {
			v.errorf("%s: %q does not match %s", path, s, f.Pattern)
		}
	}
}

func checkType(typ string, val any) error {
	wrong := fmt.Errorf("must be %s, not %s", typ, kind(val))
	str, isString := val.(string)
	num, isNumber := val.(json.Number)
	switch typ {
	case "keyword", "constant_keyword", "wildcard", "match_only_text", "text", "version":
		if !isString {
			return wrong
		}
	case "long":
		if !isNumber {
			return wrong
		}
		if _, err := strconv.ParseInt(num.String(), 10, 64); err != nil {
			return fmt.Errorf("must be long, not %s", num)
		}
	case "float", "scaled_float":
		if !isNumber {
			return wrong
		}
		if _, err := num.Float64(); err != nil {
			return wrong
		}
	case "boolean":
		if _, ok := val.(bool); !ok {
			return wrong
		}
	case "ip":
		if a, err := netip.ParseAddr(str); !isString || err != nil || a.Zone() != "" {
			return fmt.Errorf("must be ip, not %s %q", kind(val), str)
		}
	case "date":
		if !isString {
			return wrong
		}
		if _, err := time.Parse(time.RFC3339Nano, str); err != nil {
			return fmt.Errorf("must be date (RFC 3339), not %q", str)
		}
	case "geo_point":
		return checkPoint(val)
	case "flattened":
		if _, ok := val.(object); !ok {
			return wrong
		}
	default:
		return fmt.Errorf("type %s is not known to this test", typ)
	}
	return nil
}

func checkPoint(val any) error {
	var lat, lon string
	switch p := val.(type) {
	case object:
		for _, m := range p {
			n, _ := m.value.(json.Number)
			switch m.key {
			case "lat":
				lat = n.String()
			case "lon":
				lon = n.String()
			default:
				return fmt.Errorf("geo_point has a part %q", m.key)
			}
		}
	case []any:
		if len(p) == 2 {
			x, _ := p[0].(json.Number)
			y, _ := p[1].(json.Number)
			lon, lat = x.String(), y.String()
		}
	case string:
		lat, lon, _ = strings.Cut(p, ",")
	}
	y, err1 := strconv.ParseFloat(lat, 64)
	x, err2 := strconv.ParseFloat(lon, 64)
	if err1 != nil || err2 != nil || y < -90 || y > 90 || x < -180 || x > 180 {
		return fmt.Errorf("must be geo_point, not lat %q lon %q", lat, lon)
	}
	return nil
}

func kind(val any) string {
	switch val.(type) {
	case nil:
		return "null"
	case object:
		return "an object"
	case []any:
		return "an array"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}

// dataStream checks the parts of the stream's name as Elasticsearch and Fleet do.
func (v *validator) dataStream() {
	one := func(f string) string {
		if s := v.seen[f]; len(s) == 1 {
			return s[0]
		}
		return ""
	}
	for _, f := range []string{"data_stream.dataset", "data_stream.namespace"} {
		s := one(f)
		if s != strings.ToLower(s) || strings.ContainsAny(s, "-\\/*?\"<>| ,#:") || len(s) > 100 {
			v.errorf("%s: %q cannot be part of a data stream's name", f, s)
		}
	}
	if t := one("data_stream.type"); t != "" && t != "logs" && t != "metrics" {
		v.errorf("data_stream.type: %q is not an allowed value", t)
	}
	if d, e := one("data_stream.dataset"), one("event.dataset"); d != "" && e != "" && d != e {
		v.errorf("event.dataset: %q is not data_stream.dataset %q", e, d)
	}
}
