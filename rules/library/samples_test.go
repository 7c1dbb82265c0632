package library_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/agent/replay/replaytest"
	"github.com/gatebook/gatebook/rules/engine"
)

// TestSamples shows that the attacks in the sample logs, which gatebook demo reads, are detected.
func TestSamples(t *testing.T) {
	found := map[string][]string{}
	e, err := engine.New(engine.Options{Rules: load(t), Installation: "samples", Alert: func(a *engine.Alert) {
		if a.State == engine.StateOpen {
			found[a.Rule.ID] = append(found[a.Rule.ID], strings.Join(a.Key, ", "))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, ev := range replaytest.Samples(t) {
		e.AddOwn(ev, "samples", uint64(i+1))
	}
	e.Finish(0)
	for _, want := range [][2]string{
		{"account.locked_at_second_factor", "alpine bikes/rsingh"}, {"account.new_address_after_password_change", "harbour books/mchan"},
		{"admin.after_hours", "example/jan"}, {"admin.audit_exported", "gatebook.auth_service.job"}, {"admin.audit_touched", "gatebook.auth_service.audit, jan.admin@example.com"},
		{"admin.change_after_hours", "gatebook.auth_service.audit, jan.admin@example.com"}, {"admin.guessed", "nadia.berger@example.org"},
		{"admin.identity_provider_changed", "gatebook.auth_service.audit, Google"}, {"admin.mfa_policy_weakened", "gatebook.auth_service.audit, jan.admin@example.com"},
		{"admin.privilege_granted", "example/support@example.org"}, {"admin.secret_changed", "gatebook.auth_service.audit, jan.admin@example.com"},
		{"auth.account_attacked", "web02/ops"}, {"auth.bruteforce", "203.0.113.66"}, {"auth.bruteforce", "203.0.113.44, carol"}, {"auth.bruteforce_success", "web02/ops"},
		{"auth.bruteforce_success", "203.0.113.201"}, {"auth.disabled_account", "osaka tea/kmori"}, {"auth.failures_then_success", "web02/ops"},
		{"auth.impossible_travel", "example/epetrova"}, {"auth.ip_restriction", "osaka tea/jlopez"}, {"auth.spraying", "198.51.100.77"}, {"auth.stuffing", "203.0.113.201"},
		{"auth.stuffing", "203.0.113.205"}, {"auth.two_places", "example/epetrova"}, {"data.critical_delete", "gatebook.activity_log.activity, lena vogt"},
		{"data.delete_after_hours", "gatebook.activity_log.activity, lena vogt"}, {"data.export_after_mfa_off", "harbour books/mchan"},
		{"data.mass_delete", "gatebook.activity_log.activity, lena vogt"}, {"data.unusual_deleter", "gatebook.activity_log.activity, lena vogt"}, {"job.audit_trim_missing", ""},
		{"job.failing_repeatedly", "audit log trim"}, {"linux.admin_group_member", "web02/support2"}, {"linux.new_admin_user", "web02/support2"},
		{"mail.reset_failed_after_request", "liam@example.com"}, {"mfa.disabled", "harbour books/mchan"}, {"mfa.fatigue", "example.com/quinn"}, {"mfa.guessing", "example.com/quinn"},
		{"mfa.off_not_restored", "example.com/quinn"}, {"session.concurrent_countries", "example/epetrova"}, {"session.ip_conflict", "savanna tours/tokafor"},
	} {
		if !slices.Contains(found[want[0]], want[1]) {
			t.Errorf("%s: fired for %q, not for %q", want[0], found[want[0]], want[1])
		}
	}
}
