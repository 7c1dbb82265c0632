package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"
)

// Schema is the Elastic Common Schema 8.17, to hold documents against.
type Schema struct {
	fields   map[string]*schemaField
	parents  map[string]bool // "event" of "event.action"
	required []string
}

// schemaField is a field as generated/ecs/ecs_flat.yml lists it.
type schemaField struct {
	Type      string   `yaml:"type"`
	Normalize []string `yaml:"normalize"`
	Required  bool     `yaml:"required"`
	Pattern   string   `yaml:"pattern"`
	Allowed   []struct {
		Name     string   `yaml:"name"`
		Expected []string `yaml:"expected_event_types"`
	} `yaml:"allowed_values"`

	pattern *regexp.Regexp
}

func (f *schemaField) isArray() bool { return slices.Contains(f.Normalize, "array") }

// ECS loads the schema from the shared test data (corpora/ecs/v8.17.0), once per test binary; the test is skipped where they
// are absent.
func ECS(t testing.TB) *Schema {
	t.Helper()
	path := Shared(t, "corpora/ecs/v8.17.0/generated/ecs/ecs_flat.yml")
	once, _ := schemas.LoadOrStore(path, sync.OnceValues(func() (*Schema, error) { return loadSchema(path) }))
	s, err := once.(func() (*Schema, error))()
	if err != nil {
		t.Fatalf("load ECS: %v", err)
	}
	return s
}

var schemas sync.Map // path -> func() (*Schema, error)

func loadSchema(path string) (*Schema, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Schema{parents: map[string]bool{}}
	if err := yaml.Unmarshal(b, &s.fields); err != nil {
		return nil, fmt.Errorf("parse %s: %w", filepath.Base(path), err)
	}
	s.fields["log.offset"] = &schemaField{Type: "long"} // not in ECS, but what every shipper of Elastic's own sends beside it
	for name, f := range s.fields {
		for i := range name {
			if name[i] == '.' {
				s.parents[name[:i]] = true
			}
		}
		if f.Required {
			s.required = append(s.required, name)
		}
		if f.Pattern != "" {
			if f.pattern, err = regexp.Compile(f.Pattern); err != nil {
				return nil, fmt.Errorf("field %s: %w", name, err)
			}
		}
	}
	slices.Sort(s.required)
	return s, nil
}

// Field says whether the schema has a field of that name, its type, and whether it is an array.
func (s *Schema) Field(name string) (typ string, array, ok bool) {
	f := s.fields[name]
	if f == nil {
		return "", false, false
	}
	return f.Type, f.isArray(), true
}

// allows says whether the field may have the value.
func (f *schemaField) allows(v string) bool {
	for _, a := range f.Allowed {
		if a.Name == v {
			return true
		}
	}
	return len(f.Allowed) == 0
}

// checkEventTypes holds event.type against event.category: each type is expected by one of the categories, each category
// expects one of the types.
func (s *Schema) checkEventTypes(categories, types []string) (errs []string) {
	if len(categories) == 0 || len(types) == 0 {
		return nil
	}
	all := map[string]bool{}
	free := false
	for _, a := range s.fields["event.category"].Allowed {
		if !slices.Contains(categories, a.Name) {
			continue
		}
		if len(a.Expected) == 0 {
			free = true
			continue
		}
		if !slices.ContainsFunc(types, func(t string) bool { return slices.Contains(a.Expected, t) }) {
			errs = append(errs, fmt.Sprintf("event.category %q expects event.type %s, not %s", a.Name, strings.Join(a.Expected, "|"), strings.Join(types, ",")))
		}
		for _, t := range a.Expected {
			all[t] = true
		}
	}
	for _, t := range types {
		if !free && !all[t] {
			errs = append(errs, fmt.Sprintf("event.type %q is not expected by event.category %s", t, strings.Join(categories, ",")))
		}
	}
	return errs
}
