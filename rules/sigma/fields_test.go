package sigma

import (
	"os"
	"slices"
	"strings"
	"testing"
)

var tables = map[string]*fieldTable{"common": commonFields, "linux": linuxFields, "sudo": sudoFields, "audit": auditFields, "web": webFields,
	"okta": oktaFields, "auth0": auth0Fields, "keycloak": keycloakFields}

// TestFieldTables holds every line against the record, and the documentation against the tables.
func TestFieldTables(t *testing.T) {
	page, err := os.ReadFile("../../docs/sigma.md")
	if err != nil {
		t.Fatal(err)
	}
	tr := &translator{}
	for name, table := range tables {
		for sigmaName, term := range table.names {
			got, err := tr.field(table, sigmaName)
			if err != nil || got.many || got.term != term {
				t.Errorf("%s %s: %q, %v", name, sigmaName, got.term, err)
			}
			if !strings.Contains(strings.ToLower(string(page)), "`"+strings.ToLower(sigmaName)+"`") {
				t.Errorf("docs/sigma.md does not name the field %s", sigmaName)
			}
			if !strings.Contains(string(page), "`"+term+"`") {
				t.Errorf("docs/sigma.md does not name %s", term)
			}
		}
	}
}

func TestSlug(t *testing.T) {
	f := func(title, want string) {
		t.Helper()
		if got := slugOf(title); got != want {
			t.Errorf("slugOf(%q) = %q, want %q", title, got, want)
		}
	}
	f("Root Login (SSH) - 2", "root_login_ssh_2")
	f("  Ünï", "n")
	f("日本", "")
	if n := len(slugOf(strings.Repeat("a b", 80))); n > maxSlug {
		t.Errorf("a slug of %d", n)
	}
}

func TestMatchesName(t *testing.T) {
	var got []string
	for _, p := range []string{"sel", "sel*", "*_b", "s*_*b", "*", "sel_a*_b", "x*", "sel_a_b*b"} {
		if matchesName(p, "sel_a_b") {
			got = append(got, p)
		}
	}
	if want := []string{"sel*", "*_b", "s*_*b", "*", "sel_a*_b"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
