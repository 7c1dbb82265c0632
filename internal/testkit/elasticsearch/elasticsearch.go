// Package elasticsearch starts one real Elasticsearch (or OpenSearch) node on 127.0.0.1 for tests.
//
// The server comes from artifacts on Maven Central, fetched on first use into a cache folder; nothing of it is part of
// this repository. It needs a JDK 17 or newer (java, javac, jar) and Maven; [ErrMissing] says what is not there.
//
//	Maven Central --mvn--> cache/<hash of the recipe>/home-min|home-full|home-opensearch   (built once, under a file lock)
//	                                        |
//	Start: config + certificates in a data folder of its own -> JVM as an unprivileged user -> healthy -> *Node
//	                                        |
//	a watchdog holds a pipe to this process: when this process ends, however it ends, the node is killed
//
// Promises: Start returns only once the cluster is yellow or better; Kill is a SIGKILL of the server itself; Restart runs
// again on the same port and data; no node outlives the process that started it.
//
// What is real: server, transport and security are Elastic's own minimal distribution; flavor [Full] adds the stock modules
// (painless, ingest processors, reindex, aggregations) of the same build, out of the SonarQube archive that bundles them.
// What is not: GET/PUT/DELETE _data_stream and _ilm come from es/src/TestShim.java (and GET / in flavor [Min]); data streams
// behind them are real, lifecycle policies are validated and stored but never executed. The field types wildcard,
// constant_keyword, match_only_text, scaled_float and version are absent, as are SQL, EQL and the geoip processor.
package elasticsearch

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Flavor says which server is started.
type Flavor string

const (
	// Min is Elasticsearch from 100 MB of downloads: no painless, no ingest processors, no reindex.
	Min Flavor = "min"
	// Full adds those; 1 GB of downloads on first use.
	Full Flavor = "full"
	// OpenSearch is OpenSearch 2, 53 MB of downloads, without security.
	OpenSearch Flavor = "opensearch"
)

// Options of a node. The zero value is a Min node without security on a free port with a data folder of its own.
type Options struct {
	Flavor    Flavor        // default Min
	Version   int           // major version: 8 (the default) or 9 of Elasticsearch, 2 (the default) or 3 of OpenSearch
	Security  bool          // https and users: "elastic" with Password; see Node.CAFile, Node.ClientCertFiles. Not for OpenSearch.
	Password  string        // of user elastic; default "testkit-secret"
	ExtraYAML string        // further lines of elasticsearch.yml (or opensearch.yml); must not repeat a key
	Heap      string        // JVM heap; default "512m"
	JavaOpts  string        // further JVM options
	Port      int           // HTTP port; 0 is a free one
	DataDir   string        // kept if given (may hold the data of an earlier node); else a temporary folder, removed at the end
	Timeout   time.Duration // for the start; default 300 s. Building the server on first use does not count.
	// ProductHeader makes OpenSearch answer with the header that the Elasticsearch v8 client asks for.
	ProductHeader bool
}

// ErrFetch is what Start returns, wrapped, when the server is not in the cache and cannot be fetched.
var ErrFetch = errors.New("fetch server from Maven Central")

// ErrMissing is what Start returns, wrapped, when a tool that it needs is not installed.
var ErrMissing = errors.New("needs a JDK 17 or newer and Maven: apt-get install openjdk-17-jdk-headless maven")

func (o *Options) setDefaults() error {
	if o.Flavor == "" {
		o.Flavor = Min
	}
	switch o.Flavor {
	case Min, Full, OpenSearch:
	default:
		return fmt.Errorf("start elasticsearch: unknown flavor %q", o.Flavor)
	}
	versions := []int{8, 9}
	if o.Flavor == OpenSearch {
		versions = []int{2, 3}
	}
	if o.Version == 0 {
		o.Version = versions[0]
	}
	if !slices.Contains(versions, o.Version) {
		return fmt.Errorf("start %s: there is no version %d, only %v", o.Flavor, o.Version, versions)
	}
	if o.Flavor == OpenSearch && o.Security {
		return errors.New("start opensearch: security is not available")
	}
	if o.Password == "" {
		o.Password = "testkit-secret"
	}
	if o.Heap == "" {
		o.Heap = "512m"
	}
	if o.Timeout == 0 {
		o.Timeout = 300 * time.Second
	}
	return nil
}
