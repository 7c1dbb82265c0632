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
	Method string
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
	stream.sparse = true // whoever runs Elasticsearch on their own has the defaults in these
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

// sections say what the files of a folder are for.
var sections = map[string]string{
	"elasticsearch-ilm": `Elasticsearch 8 or 9 with index lifecycle management, which every one has that you run yourself, and Elastic Cloud Hosted too.
For a type of field that your cluster does not have, put what stands in for it: gatebook setup does that by itself.`,
	"elasticsearch-dsl":   "Elasticsearch with data stream lifecycle in place of ILM: Elastic Cloud Serverless, which leaves shards and refreshes below 5 s out, or who prefers it.",
	"opensearch-ism":      "OpenSearch 2 or 3 with the plugin index state management (ISM). Without it leave the policies out: then nothing deletes data by their age.",
	"security":            "Elasticsearch with security on: the roles, and the requests for API keys of agents. The answer's `encoded` is the agent's api_key.",
	"opensearch-security": "OpenSearch with its security plugin. It has no privilege for creating alone: an agent may overwrite there, though Gatebook never does.",
	"kibana":              "Kibana: a form upload, field `file`, with the header `kbn-xsrf: true`. In a space: /s/SPACE before the path.",
}

// Readme is the list of the requests, for a person who sends them.
func Readme(list []Request) []byte {
	var b strings.Builder
	b.WriteString("# What gatebook setup installs\n\nWritten by `gatebook setup --print`. Choose the folder that fits your cluster and send its requests in this order.\n")
	last := ""
	for _, r := range list {
		folder, _, _ := strings.Cut(r.File, "/")
		if folder != last {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", folder, sections[folder])
			last = folder
		}
		fmt.Fprintf(&b, "    %s %s %s\n", r.Method, r.Path, r.File)
	}
	return []byte(b.String())
}
