package elastic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Request is a request as a file: somebody else may send it.
type Request struct {
	Method string // empty where the file is no request
	Path   string
	File   string // below the folder of all, with slashes
	Body   []byte
}

// Requests are all requests of a setup that asks no server, in the order in which they are sent: with ILM, with data stream lifecycle, with ISM, then roles
// and the keys of agents. They are the same at each call.
func Requests(o SetupOptions) []Request {
	l := layout{setter: setters[0].name, custom: true, keep: keepDefault, tiers: map[string]time.Duration{}}
	if o.Retention.Default != 0 {
		l.keep = o.Retention.Default
	}
	for dataset, d := range o.Retention.ByDataset {
		if d != 0 {
			l.tiers[dataset] = d
		}
	}
	ilm, stream, ism := l, l, l
	ilm.lifecycle, stream.lifecycle, ism.lifecycle = LifecycleILM, LifecycleStream, LifecycleISM
	ism.custom, ism.types = false, maps.Clone(openSearchTypes)
	ism.types[Flattened] = FlatObject
	list := slices.Concat(folder("elasticsearch-ilm", ilm.items()), folder("elasticsearch-dsl", stream.items()), folder("opensearch-ism", ism.items()),
		folder("security", roleItems()))
	for i, k := range []AgentKey{{Name: "gatebook-agent"}, {Name: "gatebook-agent-lookup", Lookup: true}} {
		list = append(list, Request{"POST", "/_security/api_key", fmt.Sprintf("security/%02d_api_key_%s.json", len(allRights)+i+1, k.Name), k.Body()})
	}
	for i, r := range allRights[:3] {
		list = append(list, Request{"PUT", openSearchRoles + r.name, fmt.Sprintf("opensearch-security/%02d_roles_%s.json", i+1, r.name), render(r.openSearch())})
	}
	return list
}

func folder(name string, items []item) []Request {
	var list []Request
	for n, i := range items {
		api := strings.ReplaceAll(strings.ReplaceAll(strings.Trim(i.path(), "/_"), "/_", "_"), "/", "_")
		list = append(list, Request{"PUT", i.path(), fmt.Sprintf("%s/%02d_%s.json", name, n+1, api), render(i.sealed())})
	}
	return list
}

const openSearchRoles = "/_plugins/_security/api/roles/"

// openSearchActions are the privileges as the security plugin of OpenSearch has them.
var openSearchActions = map[string][]string{
	"auto_configure":      {"indices:admin/create", "indices:admin/auto_create", "indices:admin/data_stream/create", "indices:admin/mapping/auto_put"},
	"create_doc":          {"indices:data/write/index", "indices:data/write/bulk*"},
	"read":                {"read"},
	"view_index_metadata": {"indices:admin/mappings/get*", "indices:admin/get", "indices:monitor/settings/get", "indices:admin/resolve/index"},
}

// openSearch is the role in the words of OpenSearch's security plugin. It has no privilege that takes creating alone: who may append may overwrite.
func (r rights) openSearch() object {
	var actions []string
	for _, p := range r.indices {
		actions = append(actions, openSearchActions[p]...)
	}
	cluster := []string{}
	if slices.Contains(r.indices, "create_doc") {
		cluster = append(cluster, "indices:data/write/bulk")
	}
	if slices.Contains(r.indices, "read") {
		cluster = append(cluster, "cluster_composite_ops_ro") // _mget, _msearch
	}
	return object{
		{"description", r.about},
		{"cluster_permissions", cluster},
		{"index_permissions", []object{{{"index_patterns", []string{Streams, ".ds-" + Streams}}, {"allowed_actions", actions}}}},
	}
}
