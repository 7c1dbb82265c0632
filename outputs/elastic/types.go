package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Types of Elasticsearch that not every server has.
const (
	matchOnlyText   = "match_only_text"
	wildcard        = "wildcard"
	constantKeyword = "constant_keyword"
	unindexed       = "object" // kept, not indexed
)

// fallbacks says what stands in for a type where a server does not know it. What is asked of a field is answered alike by both,
// faster or from fewer bytes by the first; an object that is not indexed cannot be asked.
var fallbacks = map[string]string{
	matchOnlyText:   "text",
	wildcard:        "keyword",
	constantKeyword: "keyword",
	Flattened:       FlatObject,
	FlatObject:      unindexed,
}

// Types says which types of the mapping are declared as another one, from the first to the second. Nil declares all as they are, as the default
// distribution of Elasticsearch takes them.
type Types map[string]string

// as is the type that stands in for one.
func (t Types) as(name string) string {
	if stands, ok := t[name]; ok {
		return stands
	}
	return name
}

func (t Types) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if parts = append(parts, name+" as "+t[name]); t[name] == unindexed {
			parts[len(parts)-1] += " that is not indexed"
		}
	}
	return strings.Join(parts, ", ")
}

// openSearchTypes are chosen for OpenSearch, which has types of the same names: its wildcard sorts and aggregates only with a parameter that Elasticsearch
// does not know, and no type there counts as the family of the one it is better than, so that old and new indices would be in conflict.
var openSearchTypes = Types{matchOnlyText: "text", wildcard: "keyword", constantKeyword: "keyword"}

// missingType is how servers name a type they do not know: Elasticsearch, OpenSearch.
var missingType = regexp.MustCompile(`(?:mapper type|No handler for type) \[([a-z_]+)\] declared on field`)

// findTypes asks the server, without a change to it, which types stand in for those it does not know.
func (c *Client) findTypes(ctx context.Context, s server) (Types, error) {
	types := Types{}
	if s.openSearch {
		maps.Copy(types, openSearchTypes)
	}
	for range len(fallbacks) + 1 {
		answer, err := c.simulate(ctx, object{{"mappings", fieldMappings(types)}})
		if err == nil {
			return types, nil
		}
		var re *RequestError
		if !errors.As(err, &re) || re.Status != http.StatusBadRequest {
			return nil, err
		}
		found := missingType.FindSubmatch(answer)
		if found == nil {
			return nil, err
		}
		if !types.replace(string(found[1])) {
			return nil, fmt.Errorf("the server does not have type %s, and nothing stands in for it: %w", found[1], err)
		}
	}
	return nil, errors.New("the server refuses the types that it was given in place of others")
}

// replace goes a step down the chain of a type that the server does not know.
func (t Types) replace(missing string) bool {
	next, ok := fallbacks[missing]
	if !ok {
		return false
	}
	for name, stands := range t {
		if stands == missing {
			t[name] = next
			return true
		}
	}
	t[missing] = next
	return true
}

// simulate has the server try a template, which it does not keep. The answer is there with an error as well.
func (c *Client) simulate(ctx context.Context, template object, more ...member) ([]byte, error) {
	body := append(object{
		{"index_patterns", []string{"gatebook-simulated-*"}},
		{"priority", 9999},
		{"data_stream", object{}},
		{"template", template},
	}, more...)
	return c.do(ctx, "POST", "/_index_template/_simulate", render(body))
}
