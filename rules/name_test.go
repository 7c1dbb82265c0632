package rules

import (
	"fmt"
	"testing"
)

func TestName(t *testing.T) {
	for _, c := range []struct{ by, title, want string }{
		{"[gatebook.user.key]", "${count()} failed logins for ${key}", "Many failed logins for a user"},
		{"[[source.ip], [gatebook.user.key], [source.ip, gatebook.user.key]]", "Failed logins for ${key}", "Failed logins for an address or a user"},
		{"[gatebook.user.key]", "Second factor switched off: ${key}", "Second factor switched off"},
		{"[gatebook.user.key]", "${key}: administrator logs in", "Administrator logs in"},
		{"[gatebook.job.name]", "Job ${key} failed", "Job failed"},
		{"[gatebook.user.key]", "${user.target.name} was added to the group ${group.name} on ${host.name}", "A user was added to the group on a host"},
		{"[gatebook.user.key]", "${user.name} touched the audit trail: ${event.code}", "A user touched the audit trail"},
		{"[gatebook.user.key]", "deleted (${gatebook.category})", "Deleted"},
		{"[event.dataset]", "${count()} failed at ${key}", "Many failed"},
		{"[event.dataset]", "Login of ${key} with a client", "Login with a client"},
		{"[event.dataset]", "${key}", "r"},
		{"[event.dataset]", "Über ${key}", "Über"},
	} {
		set := Load(LoadOptions{}, Source{Name: "r.hcl", Text: fmt.Appendf(nil,
			"rule \"r\" {\n  title = %q\n  severity = \"low\"\n  when = event.action == \"login\"\n  by = %s\n  window = \"5m\"\n  fire = count() >= 5\n}\n", c.title, c.by)})
		if set.Problems.HasErrors() {
			t.Fatalf("%s: %v", c.title, set.Problems)
		}
		if got := set.Rules[0].Name(); got != c.want {
			t.Errorf("%s: %q, want %q", c.title, got, c.want)
		}
	}
}
