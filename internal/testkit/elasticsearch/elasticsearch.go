// Package elasticsearch starts one real Elasticsearch (or OpenSearch) node on 127.0.0.1 for tests.
//
// The server comes from artifacts on Maven Central, fetched on first use into a cache folder; nothing of it is part of
// this repository. It needs Maven and a JDK (java, javac, jar): 17 or newer for Elasticsearch 8, 17 to 23 for OpenSearch 2, 21 or newer
// for Elasticsearch 9 and OpenSearch 3. [ErrMissing] and [ErrOldJDK] say what is not there.
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
// # What there is
//
//	                      flavor, version   downloads   what is in it
//	Elasticsearch 8.19.13 Min               103 MB      server, netty transport, x-pack-core, security
//	                      Full              + 920 MB    + painless, ingest processors, reindex, aggregations, logsdb, KQL
//	Elasticsearch 8.19.21 ESQL              125 MB      as Min, and ES|QL, KQL
//	Elasticsearch 9.4.3   Min, 9            124 MB      as Min of 8
//	                      Full, 9           + 950 MB    as Full of 8, less logsdb and KQL
//	OpenSearch 2.19.1     OpenSearch        53 MB       server and all its modules; no plugins, no security
//	OpenSearch 3.8.0      OpenSearch, 3     71 MB       the same
//
// What is real: server, transport and security are Elastic's own minimal distribution; flavor [Full] adds the stock modules
// of the same build, out of the SonarQube archive that bundles them;
// flavor [ESQL] adds ES|QL, put together from its published jars, less what it has of painless and of machine learning (CATEGORIZE).
// What is not: GET/PUT/DELETE _data_stream and _ilm come from es/src/TestShim.java (and GET / in the flavors [Min] and [ESQL]); data streams
// behind them are real, lifecycle policies are validated and stored but never executed. The field types wildcard,
// constant_keyword, match_only_text, scaled_float and version are absent, as are data stream lifecycle, SQL, EQL and the geoip processor.
// ES|QL is in flavor [ESQL] alone.
//
// # What cannot be had
//
// Looked for on Maven Central on 2026-11-22 by the coordinates that their projects publish under:
//
//   - OpenSearch's index state management (_plugins/_ism): org.opensearch.plugin:opensearch-index-management has no artifact there, under no
//     version; nor has org.opensearch:opensearch-index-management or org.opensearch.plugin:opensearch-index-management-spi.
//     Only opensearch-job-scheduler, on which it builds, is published. OpenSearch answers _plugins/_ism with status 400, "no handler found".
//   - Elasticsearch's x-pack-ilm, x-pack-eql, x-pack-ql, data-streams, wildcard and constant-keyword: no artifacts. What runs ILM, EQL and data
//     stream lifecycle is in the full distribution alone, which is not on Maven Central.
//   - Elasticsearch's mapper-extras (scaled_float, match_only_text): org.elasticsearch.plugin:mapper-extras-client ends with 7.17.29.
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
	// ESQL is Min with ES|QL and KQL; 125 MB of downloads.
	ESQL Flavor = "esql"
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
	case Min, Full, ESQL, OpenSearch:
	default:
		return fmt.Errorf("start elasticsearch: unknown flavor %q", o.Flavor)
	}
	versions := []int{8, 9}
	switch o.Flavor {
	case OpenSearch:
		versions = []int{2, 3}
	case ESQL:
		versions = []int{8}
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
