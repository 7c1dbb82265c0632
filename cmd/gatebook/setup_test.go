package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// gatebookSetup runs the command with the clusters of a config.
func gatebookSetup(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), append([]string{"setup"}, args...), strings.NewReader(""), &out, &problems)
	return code, out.String(), problems.String()
}

// The command against a real server, as a person runs it: first to see, then to do, then again; an agent that may not set anything up then delivers.
func TestSetupCommand(t *testing.T) {
	node := testkit.SharedElasticsearch(t)
	s := newSite(t, "")
	s.configure("namespace = \"prepared\"\n", fmt.Sprintf(`output "elasticsearch" "siem" {
  hosts     = [%q]
  retention = { default = "90d", "linux.auth" = "7y" }
}
`, node.URL()))
	clear := func() {
		node.Do("DELETE", "/_data_stream/logs-gatebook.*", "")
		node.Do("DELETE", "/_index_template/gatebook*", "")
		node.Do("DELETE", "/_component_template/gatebook*", "")
	}
	clear()
	t.Cleanup(clear)
	expect := func(code int, stdout, stderr, want string, not ...string) {
		t.Helper()
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, want %q in\n%s\n%s", code, want, stdout, stderr)
		}
		for _, n := range not {
			if strings.Contains(stdout, n) {
				t.Errorf("%q in\n%s", n, stdout)
			}
		}
	}
	code, out, problems := gatebookSetup(t, "--config", s.config, "--dry-run")
	expect(code, out, problems, "/_index_template/gatebook: would be installed\n", ": installed")
	if status, _ := node.Do("GET", "/_index_template/gatebook", ""); status != 404 {
		t.Errorf("a dry run installed a template: %d", status)
	}
	code, out, problems = gatebookSetup(t, "--config", s.config)
	expect(code, out, problems, "/_index_template/gatebook-linux.auth: installed\n", "would")
	for _, note := range []string{"no ingest processor that could do it", "security is off on this cluster", "types of fields that the server lacks"} {
		if !strings.Contains(out, note) {
			t.Errorf("no %q in\n%s", note, out)
		}
	}
	code, out, problems = gatebookSetup(t, "--elasticsearch", node.URL())
	expect(code, out, problems, "/_index_template/gatebook-linux.auth: up to date\n", "installed", "changed")
	code, out, problems = gatebookSetup(t, "--elasticsearch", node.URL(), "--retention", "auth_service.audit=30d")
	expect(code, out, problems, "/_ilm/policy/gatebook-30d: installed\n", "changed")

	s.write(1, 3)
	p := s.start()
	testkit.Eventually(t, time.Minute, func() bool { return node.Count("logs-gatebook.linux.auth-prepared") == 3 })
	p.Term(time.Minute)
	var settings map[string]struct {
		Settings struct {
			Index struct{ Lifecycle struct{ Name string } }
		}
	}
	node.Must("GET", "/logs-gatebook.linux.auth-prepared/_settings", "", &settings)
	for index, s := range settings {
		if s.Settings.Index.Lifecycle.Name != "gatebook-7y" {
			t.Errorf("%s is under %q", index, s.Settings.Index.Lifecycle.Name)
		}
	}

	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, problems = gatebookSetup(t, "--elasticsearch", node.URL(), "--username", "u", "--password-file", password, "--agent-key", "web1")
	if code != 1 || out != "" || !strings.Contains(problems, "its security is off") {
		t.Errorf("a key where there are none: exit code %d\n%s\n%s", code, out, problems)
	}
	node.Must("DELETE", "/_data_stream/logs-gatebook.linux.auth-prepared", "", nil)
	node.Must("DELETE", "/_index_template/gatebook", "", nil)
	node.Must("PUT", "/_index_template/gatebook", `{"index_patterns":["gatebook-*"]}`, nil)
	code, out, problems = gatebookSetup(t, "--config", s.config)
	if code != 1 || out != "" || !strings.Contains(problems, "/_index_template/gatebook: there is one of this name that Gatebook did not make") {
		t.Errorf("a template of somebody else: exit code %d\n%s\n%s", code, out, problems)
	}
}

// What the command sends to a Kibana.
func TestSetupKibana(t *testing.T) {
	var sent []string
	bodies := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		b, _ := io.ReadAll(r.Body)
		bodies[r.URL.Path] = string(b)
		switch {
		case strings.HasSuffix(r.URL.Path, "/api/status"):
			io.WriteString(w, `{"version":{"number":"8.17.0"},"status":{"overall":{"level":"available"}}}`)
		case strings.Contains(r.URL.Path, "saved_objects"):
			io.WriteString(w, `{"success":true,"successCount":41}`)
		default:
			io.WriteString(w, `{"success":true,"success_count":99,"rules_count":99,"errors":[]}`)
		}
	}))
	defer s.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("c2VjcmV0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--kibana", s.URL, "--space", "soc", "--api-key-file", key, "--namespace", "prod", "--rules"}
	code, out, problems := gatebookSetup(t, append(args, "--dry-run")...)
	if code != 0 || !strings.Contains(out, "would be imported") || len(sent) != 1 {
		t.Errorf("dry run: exit code %d, sent %q\n%s\n%s", code, sent, out, problems)
	}
	sent = nil
	code, out, problems = gatebookSetup(t, args...)
	if code != 0 || out != "Kibana: version 8.17.0\nKibana: 41 data views, saved searches and dashboards imported\nKibana: 99 detection rules imported\n" {
		t.Errorf("exit code %d\n%s\n%s", code, out, problems)
	}
	want := []string{"GET /api/status ApiKey c2VjcmV0", "POST /s/soc/api/saved_objects/_import?overwrite=true ApiKey c2VjcmV0", "POST /s/soc/api/detection_engine/rules/_import?overwrite=true ApiKey c2VjcmV0"}
	if strings.Join(sent, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent %q, want %q", sent, want)
	}
	for path, part := range map[string]string{"/s/soc/api/saved_objects/_import": "logs-gatebook.*-prod", "/s/soc/api/detection_engine/rules/_import": `"rule_id":"gatebook`} {
		if !strings.Contains(bodies[path], part) {
			t.Errorf("%s: no %q in what was sent", path, part)
		}
	}
}
