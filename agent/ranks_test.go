package agent_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/gatebook/gatebook/"

// ranks says which packages of ours each package may import, itself and what is below it aside. A package that is not
// listed fails the test: new ones take their place here first.
var ranks = map[string][]string{
	"event":                          {},
	"event/gen":                      {"event"},
	"buffer":                         {"internal/fsx"},
	"inputs/tail":                    {},
	"internal/conf":                  {},
	"internal/fsx":                   {},
	"internal/testkit":               {"internal/testkit/elasticsearch"},
	"internal/testkit/elasticsearch": {},
	"configs/gen":                    {},
	"packaging":                      {},
	"parsers":                        {"event", "internal/conf"},
	"enrich":                         {"event", "internal/conf"},
	"enrich/demogeo":                 {},
	"query":                          {"event", "internal/conf"},
	"query/sessions":                 {"event"},
	"query/querytest":                {"query", "event", "internal/conf"},
	"inputs":                         {"inputs/tail", "event", "internal/conf"},
	"store":                          {"event", "query", "internal/conf"},
	"rules":                          {"event", "query", "internal/conf"},
	"rules/library":                  {},
	"rules/state":                    {"internal/fsx"},
	"rules/simulate":                 {"event"},
	"rules/engine":                   {"rules", "event", "query", "internal/conf"},
	"rules/ruletest":                 {"rules", "rules/engine", "event", "query", "internal/conf"},
	"rules/sigma":                    {"rules", "event", "query", "internal/conf"},
	"dashboard":                      {"event", "query", "internal/conf"},
	"kibana":                         {"dashboard", "event", "query", "internal/conf"},
	"kibana/detection":               {"kibana", "rules", "rules/library", "event", "query", "internal/conf"},
	"outputs/elastic":                {"event", "query", "internal/conf"},
	"outputs":                        {"outputs/elastic", "store", "query", "event", "buffer", "internal/conf", "internal/fsx"},
	"agent/pipeline":                 {"parsers", "enrich", "event", "buffer", "inputs", "inputs/tail", "internal/conf", "internal/fsx"},
	"agent/replay":                   {"*"},
	"agent/replay/replaytest":        {"*"},
	"agent":                          {"*"},
	"cmd/gatebook":                   {"*"},
	"configs":                        {},
	"bench":                          {"*"},
	"bench/sink":                     {},
}

func TestImportRanks(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Deps", module+"...").Output()
	if err != nil {
		t.Skipf("go list is needed: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "bench/") {
			name = "bench"
		}
		allowed, ok := ranks[name]
		if !ok {
			t.Errorf("%s has no rank: add it to the table", name)
			continue
		}
		for _, d := range p.Deps {
			if dep, ours := strings.CutPrefix(d, module); ours && !contains(allowed, dep) {
				t.Errorf("%s imports %s, which its rank forbids", name, dep)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == "*" || x == s {
			return true
		}
	}
	return false
}
