package outputs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Every error of every kind of output, with its place.
func TestConfig(t *testing.T) {
	f := func(kind, src, want string) {
		t.Helper()
		file, ds := conf.Parse("g.hcl", []byte("output \""+kind+"\" \"x\" {\n"+src+"\n}\n"), conf.WithEnv(func(string) (string, bool) { return "secret-of-env", true }))
		if len(ds) > 0 {
			t.Fatal(ds)
		}
		compile := func(body *conf.Body, e hcl.Expression) func(*event.Event) bool {
			return func(*event.Event) bool { return true }
		}
		out, _ := New(kind, "x", file.Body().Blocks("output", 2)[0].Body, Env{DataDir: t.TempDir(), Compile: compile})
		if out != nil {
			out.Close()
		}
		got := file.Diagnostics().Error()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", src, diff)
		}
		if strings.Contains(got, "secret-of-env") {
			t.Error("secret shown")
		}
	}
	f("elasticsearch", `hosts = ["http://localhost:9200"]
api_key = env("KEY")
when = event.kind == "alert"`, "")
	f("elasticsearch", ``, `g.hcl:1:1: output "elasticsearch" "x": attribute "hosts" is missing; write hosts = ["https://localhost:9200"]`)
	f("elasticsearch", `hosts = ["localhost:9200"]`, `g.hcl:2:9: hosts: host 1 wants http:// or https:// and a host name, such as https://es1:9200`)
	f("elasticsearch", `hosts = [env("H")]`, `g.hcl:2:9: hosts: host 1 wants http:// or https:// and a host name, such as https://es1:9200`)
	f("elasticsearch", `hosts = ["http://a"]
api_key = env("K")
username = "u"
password = env("P")`, `g.hcl:3:11: api_key: api_key and username: one of them is enough`)
	f("elasticsearch", `hosts = ["http://a"]
password = "literal"`, `g.hcl:1:1: username: username and password go together
g.hcl:3:12: warning: password: a secret in the config is read by all who may read the config; better env("NAME") or file("PATH")`)
	f("elasticsearch", `hosts = ["http://a"]
ca = "/nonexistent/ca.pem"`, `g.hcl:3:6: ca: read ca: open /nonexistent/ca.pem: no such file or directory`)
	f("elasticsearch", `hosts = ["http://a"]
requird = true`, `g.hcl:3:1: unknown attribute "requird" in output "elasticsearch" "x"; did you mean "required"?`)
	f("file", `path = "relative"`, `g.hcl:2:8: path: wants an absolute path, or "-" for standard output`)
	f("file", `path = "-"
keep = 3`, `g.hcl:3:8: keep: standard output is not rotated`)
	f("file", `path = "/tmp/x"
max_lag = "1GiB"`, "")
	f("file", `path = "/tmp/x"
max_lag = "1GiB"
required = true`, `g.hcl:3:11: max_lag: an output with max_lag skips what is older: it is not required; leave out one of them`)
	f("file", `path = "/tmp/x"
required = false`, `g.hcl:3:12: required: required = false wants max_lag = "1GiB" or another size, past which the output skips`)
	f("store", `retention = { default = "365d", "auth_service.audit" = "7y" }`, "")
	f("store", `retention = { default = "long" }`, `g.hcl:2:25: retention of default: want a duration such as "365d"`)
}

// Every kind of output has its page.
func TestRegistryIsDocumented(t *testing.T) {
	doc := readFile(t, "../docs/outputs.md")
	for kind := range Registry {
		if !strings.Contains(doc, "output \""+kind+"\"") {
			t.Errorf("docs/outputs.md has no example of %s", kind)
		}
	}
}
