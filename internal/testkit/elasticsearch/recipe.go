package elasticsearch

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
)

// files holds what servers are built from: one folder per server, one folder of sources per major version.
//
//go:embed es/pom.xml es/src es/src8 es/src9 os/pom.xml os/src os/src2 os/src3
var files embed.FS

// recipe is how one server is built.
type recipe struct {
	folder         string   // of files, and the beginning of the name of its folder in the cache
	properties     []string // of the pom, in place of its own: versions
	sources        []string // compiled for it, in the folder
	modules        []string // what flavor Full takes over from the SonarQube archive
	minJDK, maxJDK int      // major versions that it runs on; 0 is no limit
}

var (
	elasticsearch8 = recipe{
		folder:  "es",
		sources: []string{"src/TestShim.java", "src8/Cluster.java"},
		modules: []string{
			"aggregations", "analysis-common", "counted-keyword", "dot-prefix-validation", "health-shards-availability",
			"ingest-common", "lang-painless", "logsdb", "parent-join", "reindex", "rest-root", "x-pack-kql", "x-pack-redact",
		},
		minJDK: 17,
	}
	elasticsearchESQL = recipe{
		folder:     "es",
		properties: []string{"es.version=8.19.21"},
		sources:    []string{"src/TestShim.java", "src8/Cluster.java"},
		minJDK:     17,
	}
	elasticsearch9 = recipe{
		folder:     "es",
		properties: []string{"es.version=9.4.3", "sonar.version=26.9.0.129388"},
		sources:    []string{"src/TestShim.java", "src9/Cluster.java"},
		modules: []string{
			"aggregations", "analysis-common", "counted-keyword", "dot-prefix-validation", "health-shards-availability",
			"ingest-common", "lang-painless", "parent-join", "reindex", "rest-root", "x-pack-redact",
		},
		minJDK: 21,
	}
	openSearch2 = recipe{
		folder:  "os",
		sources: []string{"src/OsNode.java", "src2/ProductHeader.java"},
		minJDK:  17,
		maxJDK:  23, // its security manager is gone from Java 24
	}
	openSearch3 = recipe{
		folder:     "os",
		properties: []string{"runner.version=3.8.0.0"},
		sources:    []string{"src/OsNode.java", "src3/ProductHeader.java"},
		minJDK:     21,
	}
)

// recipe is how the server of these options is built.
func (o *Options) recipe() recipe {
	switch {
	case o.Flavor == OpenSearch && o.Version == 3:
		return openSearch3
	case o.Flavor == OpenSearch:
		return openSearch2
	case o.Flavor == ESQL:
		return elasticsearchESQL
	case o.Version == 9:
		return elasticsearch9
	default:
		return elasticsearch8
	}
}

// name is the folder in the cache: whatever changes a recipe changes it.
func (r recipe) name() (string, error) {
	h := sha256.New()
	for _, f := range append([]string{"pom.xml"}, r.sources...) {
		b, err := files.ReadFile(r.folder + "/" + f)
		if err != nil {
			return "", fmt.Errorf("read recipe: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", f, len(b))
		h.Write(b)
	}
	fmt.Fprint(h, r.properties, r.modules, shimDescriptor)
	return r.folder + "-" + hex.EncodeToString(h.Sum(nil)[:6]), nil
}
