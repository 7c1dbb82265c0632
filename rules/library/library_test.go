package library_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/rules"
	"github.com/gatebook/gatebook/rules/library"
)

// load reads the library with its tests, as it stands, and with files of a site behind it.
func load(t *testing.T, site ...rules.Source) *rules.Set {
	t.Helper()
	set := shipped()
	if len(site) > 0 {
		set = loadWith(site)
	}
	if len(set.Problems) > 0 {
		t.Fatalf("load the library:\n%v", set.Problems)
	}
	return set
}

var shipped = sync.OnceValue(func() *rules.Set { return loadWith(nil) })

func loadWith(site []rules.Source) *rules.Set {
	var sources []rules.Source
	for _, f := range library.Files() {
		sources = append(sources, rules.Source{Name: "library/" + f.Name, Text: f.Text, Library: true})
	}
	return rules.Load(rules.LoadOptions{Tests: true}, append(sources, site...)...)
}

func TestFilesAreFormatted(t *testing.T) {
	var names []string
	for _, f := range library.Files() {
		names = append(names, f.Name)
		if !bytes.Equal(hclwrite.Format(f.Text), f.Text) {
			t.Errorf("%s is not formatted: gatebook rules fmt", f.Name)
		}
	}
	if len(names) < 8 || !slices.IsSorted(names) {
		t.Errorf("files are %v", names)
	}
}

// TestLint holds the library, once its lists are filled, against what the rules of sites are held against.
func TestLint(t *testing.T) {
	set := load(t, rules.Source{Name: "rules.d/lists.hcl", Text: []byte(`
list "admins" {
  values = ["nadia"]
}
list "service_accounts" {
  values = ["backup"]
}
list "vpn_asn" {
  values = [64499]
}
list "office_networks" {
  kind   = "cidr"
  values = ["198.51.100.0/24"]
}
list "scanners" {
  kind   = "cidr"
  values = ["192.0.2.9/32"]
}
`)})
	fills := map[string]bool{} // what the parsers and enrichers fill is what the field table has; labels are anybody's
	for _, name := range event.FieldNames() {
		fills[name] = true
	}
	found := rules.Lint(set, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), func(field string) bool { return fills[field] || strings.HasPrefix(field, "labels.") })
	for _, d := range found {
		t.Errorf("%v", d)
	}
}

// areas tells which file the rules of an area stand in.
var areas = map[string][]string{
	"account":  {"accounts.hcl"},
	"admin":    {"administration.hcl"},
	"app":      {"applications.hcl"},
	"auth":     {"authentication.hcl", "baselines.hcl"},
	"data":     {"data.hcl"},
	"job":      {"jobs_mail.hcl"},
	"linux":    {"linux.hcl"},
	"mail":     {"jobs_mail.hcl"},
	"mfa":      {"accounts.hcl"},
	"session":  {"sessions.hcl"},
	"password": {"accounts.hcl"},
}

var ruleID = regexp.MustCompile(`^([a-z]+)\.[a-z][a-z0-9_]*$`)

// TestRulesAreWhole holds each rule against what a shipped rule has to have.
func TestRulesAreWhole(t *testing.T) {
	for _, r := range load(t).Rules {
		t.Run(r.ID, func(t *testing.T) {
			id := ruleID.FindStringSubmatch(r.ID)
			if id == nil {
				t.Fatal("the id is not area.name")
			}
			if file := r.File[strings.LastIndexByte(r.File, '/')+1:]; !slices.Contains(areas[id[1]], file) {
				t.Errorf("stands in %s, its area in %v", file, areas[id[1]])
			}
			if !r.Library || !r.Enabled {
				t.Errorf("Library %v, Enabled %v", r.Library, r.Enabled)
			}
			if r.Title == nil || len(r.Title.Parts) == 0 {
				t.Error("no title")
			}
			for what, text := range map[string]string{"description": r.Description, "runbook": r.Runbook} {
				if len(text) < 20 || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") {
					t.Errorf("the %s is no sentence: %q", what, text)
				}
			}
			if len(r.FalsePositives) == 0 || len(r.Tags) == 0 {
				t.Errorf("false positives %v, tags %v", r.FalsePositives, r.Tags)
			}
			if len(r.Attack) == 0 && !slices.Contains(r.Tags, "job") && !slices.Contains(r.Tags, "mail") {
				t.Error("no technique of ATT&CK")
			}
			for _, a := range r.Attack {
				if a.Name == "" || len(a.TacticIDs) == 0 {
					t.Errorf("technique %s has no name or tactic", a.ID)
				}
			}
			positive, negative := 0, 0
			for _, test := range r.Tests {
				if test.Negative {
					negative++
				} else {
					positive++
				}
			}
			if positive == 0 || negative == 0 {
				t.Errorf("%d tests show it to fire, %d to stay quiet", positive, negative)
			}
		})
	}
}

// TestQuietByDefault holds what is loud against what was decided: a rule that is high or in shadow is so on purpose.
func TestQuietByDefault(t *testing.T) {
	high := []string{"admin.audit_touched", "admin.mfa_policy_weakened", "auth.bruteforce_success", "auth.impossible_travel", "data.export_after_mfa_off", "data.mass_delete",
		"linux.log_tampering", "linux.new_admin_user", "mfa.bypass", "mfa.fatigue", "mfa.off_not_restored", "mfa.reset_then_new_device"}
	shadow := []string{"app.access_spike", "app.first_use", "auth.impossible_travel", "auth.new_network", "auth.script_client", "auth.two_places", "auth.unusual_hour",
		"auth.unusual_location", "auth.unusual_user_agent", "data.mass_change", "session.concurrent", "session.concurrent_countries"}
	var isHigh, isShadow []string
	for _, r := range load(t).Rules {
		if r.Severity.Number() >= rules.High.Number() {
			isHigh = append(isHigh, r.ID)
		}
		if r.ShadowFor > 0 || r.Mode == rules.ModeShadow {
			isShadow = append(isShadow, r.ID)
		}
		if len(r.Respond) > 0 {
			t.Errorf("%s acts by itself", r.ID)
		}
	}
	slices.Sort(isHigh)
	slices.Sort(isShadow)
	if !slices.Equal(isHigh, high) {
		t.Errorf("high or critical are\n%v, want\n%v", isHigh, high)
	}
	if !slices.Equal(isShadow, shadow) {
		t.Errorf("in shadow are\n%v, want\n%v", isShadow, shadow)
	}
}

// TestListsOfTheSite shows that the lists a site has to fill are empty, and that the site's take their place.
func TestListsOfTheSite(t *testing.T) {
	set := load(t, rules.Source{Name: "rules.d/lists.hcl", Text: []byte(`
list "admins" {
  values = ["nadia"]
}
list "office_networks" {
  kind   = "cidr"
  values = ["198.51.100.0/24"]
}
`)})
	for name, empty := range map[string]bool{"admins": false, "office_networks": false, "service_accounts": true, "vpn_asn": true, "scanners": true, "critical_records": false,
		"admin_groups": false, "scanned_accounts": false} {
		list := set.Lists[name]
		if list == nil {
			t.Errorf("no list %s", name)
		} else if got := len(list.Values) == 0; got != empty {
			t.Errorf("list %s holds %v", name, list.Values)
		}
	}
	if !set.Lists["admins"].Contains("Nadia") && !set.Lists["admins"].Contains("nadia") {
		t.Error("the site's administrators are not in the list")
	}
	if !set.Lists["office_networks"].Contains("198.51.100.7") || set.Lists["office_networks"].Contains("203.0.113.9") {
		t.Error("the site's networks are not in the list")
	}
}
