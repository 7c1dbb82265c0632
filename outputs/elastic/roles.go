package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// rights are what somebody may do: the least that the work takes.
type rights struct {
	name    string
	about   string
	cluster []string
	indices []string // privileges on our streams
}

// Appending takes no privilege of the cluster: an agent sends _bulk alone, and _mget with the second role.
var (
	agentRights = rights{
		name: "gatebook_agent", about: "Gatebook agents: append records, neither read nor change nor delete any",
		indices: []string{"auto_configure", "create_doc"},
	}
	lookupRights = rights{
		name: "gatebook_agent_lookup", about: "Gatebook agents that look ids up before they send records again across a rollover",
		indices: []string{"auto_configure", "create_doc", "read"},
	}
	analystRights = rights{
		name: "gatebook_analyst", about: "people who read what Gatebook records",
		indices: []string{"read", "view_index_metadata"},
	}
	// What `gatebook setup` calls, by the names of the actions where no privilege is as narrow (manage could delete); auto_configure and create_doc only to
	// hand them on to the keys of agents.
	setupRights = rights{
		name: "gatebook_setup", about: "gatebook setup: templates, lifecycle, pipeline, keys of agents; reads no record",
		cluster: []string{"monitor", "manage_index_templates", "manage_ilm", "manage_ingest_pipelines", "manage_own_api_key"},
		indices: []string{"view_index_metadata", "monitor", "indices:admin/mapping/put", "indices:admin/settings/update", "indices:admin/rollover",
			"indices:admin/data_stream/lifecycle/put", "auto_configure", "create_doc"},
	}
	allRights = []rights{agentRights, lookupRights, analystRights, setupRights}
)

// descriptor says what may be done with the streams of a namespace, or all of them.
func (r rights) descriptor(namespace string) object {
	names := Streams
	if namespace != "" {
		names = Streams + "-" + namespace
	}
	cluster := r.cluster
	if cluster == nil {
		cluster = []string{}
	}
	return object{
		{"cluster", cluster},
		{"indices", []object{{{"names", []string{names}}, {"privileges", r.indices}}}},
	}
}

func (r rights) body(m mark) object {
	return append(r.descriptor(""), member{"metadata", m.meta(member{"about", r.about})})
}

func roleItems() []item {
	var items []item
	for _, r := range allRights {
		items = append(items, item{&roles, r.name, r.body})
	}
	return items
}

// findRoles tells whether the cluster takes roles, and says why it does not.
func (c *Client) findRoles(ctx context.Context, s server) ([]item, string, error) {
	if s.openSearch {
		return nil, "roles are not installed on OpenSearch: gatebook setup --print writes them for its security plugin", nil
	}
	answer, err := c.do(ctx, "GET", roles.path+agentRights.name, nil)
	var re *RequestError
	switch {
	case err == nil:
	case !errors.As(err, &re):
		return nil, "", err
	case absent(re, answer):
		return nil, "security is off on this cluster: no roles, and everybody may do everything", nil
	case re.Status == http.StatusForbidden:
		return nil, "roles are not installed: these credentials lack manage_security; gatebook setup --print writes them", nil
	case re.Status != http.StatusNotFound:
		return nil, "", fmt.Errorf("read roles: %w", err)
	}
	return roleItems(), "", nil
}

// AgentKey is what an agent's API key is made for.
type AgentKey struct {
	Name      string
	Lookup    bool          // may read, to look ids up across a rollover
	Expires   time.Duration // 0: never
	Namespace string        // of the streams; empty: all
}

func (k AgentKey) rights() rights {
	if k.Lookup {
		return lookupRights
	}
	return agentRights
}

// Body is the request that makes the key.
func (k AgentKey) Body() []byte {
	r := k.rights()
	body := object{{"name", k.Name}}
	if k.Expires > 0 {
		body = append(body, member{"expiration", timeUnits(k.Expires)})
	}
	return render(append(body,
		member{"role_descriptors", object{{r.name, r.descriptor(k.Namespace)}}},
		member{"metadata", object{{"managed_by", managedBy}, {"agent", k.Name}}}))
}

// ErrKeyMakesKey says that an API key cannot make keys that can do anything.
var ErrKeyMakesKey = errors.New("an API key cannot make the key of an agent: log in as a user, with --username and --password-file")

// CreateAgentKey makes an API key for an agent and returns it as the option api_key takes it. A server gives a key no more than its maker may do, and says
// nothing of it: so that is asked first.
func (c *Client) CreateAgentKey(ctx context.Context, k AgentKey) (string, error) {
	if c.conf.APIKey != "" {
		return "", ErrKeyMakesKey
	}
	if err := c.checkRights(ctx, k); err != nil {
		return "", err
	}
	answer, err := c.do(ctx, "POST", "/_security/api_key", k.Body())
	var re *RequestError
	if errors.As(err, &re) && absent(re, answer) {
		return "", fmt.Errorf("this cluster has no API keys, or its security is off: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("make API key %s: %w", k.Name, err)
	}
	key := gjson.GetBytes(answer, "encoded").String()
	if key == "" {
		return "", fmt.Errorf("make API key %s: there is no key in the answer", k.Name)
	}
	return key, nil
}

// checkRights says which privileges of the key its maker does not have.
func (c *Client) checkRights(ctx context.Context, k AgentKey) error {
	descriptor := k.rights().descriptor(k.Namespace)
	answer, err := c.do(ctx, "POST", "/_security/user/_has_privileges", render(object{{"index", descriptor[1].Value}}))
	var re *RequestError
	switch {
	case errors.As(err, &re) && absent(re, answer):
		return fmt.Errorf("this cluster has no API keys, or its security is off: %w", err)
	case err != nil:
		return fmt.Errorf("ask which privileges there are: %w", err)
	}
	var lacks []string
	gjson.GetBytes(answer, "index").ForEach(func(_, names gjson.Result) bool {
		names.ForEach(func(privilege, has gjson.Result) bool {
			if !has.Bool() {
				lacks = append(lacks, privilege.String())
			}
			return true
		})
		return true
	})
	if len(lacks) > 0 {
		slices.Sort(lacks)
		return fmt.Errorf("the key would lack what this user lacks, on %s: %s", Streams, strings.Join(slices.Compact(lacks), ", "))
	}
	return nil
}
