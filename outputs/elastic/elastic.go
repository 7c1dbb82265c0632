// Package elastic speaks to Elasticsearch 8 and 9 and OpenSearch 2 and 3: one bulk request at a time, one look-up of ids, and what prepares a cluster.
// It knows requests and answers, nothing of logs, cursors or retries: whoever calls it decides what comes next, and therefore
// learns of every failure whether the server may have done the work all the same (RequestError.Unknown).
//
//	Parts (raw or gzip members) -> body -> esapi.BulkRequest -> elastictransport -> host pool -> server
//	                                                                                               |
//	Answer (items, indices, refusals)  <- one pass over pooled bytes <-----------------------------/
//
// Setup prepares a cluster:
//
//	what the server is and has -> layout (types, lifecycle, pipeline, tiers) -> items (policies, templates, roles) -> what is there of them -> changes -> streams that exist
//
// It promises: a request is sent once (no retry inside), no product check, no secret in an error text, and an Answer has
// exactly as many items as were sent. Setup changes nothing that does not carry its mark, and deletes nothing.
package elastic

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
)

// Config says where the servers are and who we are.
type Config struct {
	Hosts              []string // URLs with scheme, without user and password
	APIKey             string   // as Elasticsearch gives it, base64 of id:key
	Username, Password string
	CA                 string // PEM file of the authorities to trust; empty: those of the system
	Cert, Key          string // PEM files of a client certificate
	Gzip               bool
	Level              int           // of gzip, 1 to 9; 0 is 1
	Timeout            time.Duration // of one request, answer included; 0 is 90 s
	Connections        int           // kept open per host; 0 is 4
	UserAgent          string
	Now                func() time.Time // nil is time.Now
	// OnHost is told, where there are several hosts, that one failed and the others take its place (err says why), and that
	// it works again (nil). It must not wait. nil tells nobody.
	OnHost func(host string, err error)
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	conf      Config
	pool      *pool
	transport *elastictransport.Client
	http      *http.Transport
	zip       gzipPool
	// requireStream is cleared by the first server that does not know the parameter.
	requireStream atomic.Bool
}

// New checks the config, reads the certificates and makes a client. It sends nothing.
func New(c Config) (*Client, error) {
	if c.Timeout <= 0 {
		c.Timeout = 90 * time.Second
	}
	if c.Connections <= 0 {
		c.Connections = 4
	}
	if c.Level == 0 {
		c.Level = 1
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	urls, err := ParseHosts(c.Hosts)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	cl := &Client{conf: c, pool: newPool(urls, c.Now, c.OnHost)}
	cl.zip.level = c.Level
	cl.requireStream.Store(true)
	cl.http = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 10 * time.Second,
		DisableCompression:  true, // the answers are short, unpacking them costs more than it saves
		MaxIdleConnsPerHost: c.Connections,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      32 << 10,
	}
	cl.transport, err = elastictransport.NewClient(
		elastictransport.WithUserAgent(c.UserAgent),
		elastictransport.WithURLs(urls...),
		elastictransport.WithBasicAuth(c.Username, c.Password),
		elastictransport.WithAPIKey(c.APIKey),
		// With retries inside, an attempt whose outcome is unknown would be hidden from us.
		elastictransport.WithDisableRetry(),
		elastictransport.WithTransport(roundTripper{cl.http}),
		elastictransport.WithConnectionPoolFunc(func([]*elastictransport.Connection, elastictransport.Selector) elastictransport.ConnectionPool {
			return cl.pool
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("make transport: %w", err)
	}
	return cl, nil
}

// ParseHosts reads the URLs of servers.
func ParseHosts(hosts []string) ([]*url.URL, error) {
	if len(hosts) == 0 {
		return nil, errors.New(`no hosts given: hosts = ["https://localhost:9200"]`)
	}
	urls := make([]*url.URL, 0, len(hosts))
	for i, h := range hosts {
		u, err := url.Parse(strings.TrimRight(h, "/"))
		// url.Parse's own error repeats the text, which may hold a password.
		switch {
		case err != nil:
			return nil, fmt.Errorf("host %d is not a URL such as https://es1:9200", i+1)
		case u.User != nil:
			return nil, fmt.Errorf("host %d holds a user name: credentials go to username and password, or api_key", i+1)
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return nil, fmt.Errorf("host %d wants http:// or https:// and a host name, such as https://es1:9200", i+1)
		case u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("host %d has more than scheme, host, port and path", i+1)
		}
		if slices.ContainsFunc(urls, func(o *url.URL) bool { return o.String() == u.String() }) {
			return nil, fmt.Errorf("host %d is given twice", i+1)
		}
		urls = append(urls, u)
	}
	return urls, nil
}

func tlsConfig(c Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca %s: no PEM certificate in it", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("cert and key go together")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate %s: %w", c.Cert, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Close gives the connections free.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.transport.Close(context.Background())
}

// RequestError says why a request got no usable answer.
type RequestError struct {
	Host    string // without credentials
	Status  int    // HTTP status, 0 where there was no answer
	Type    string // of the server's error, such as security_exception
	Reason  string // in the server's words
	Err     error  // what went wrong on the way, nil where the server answered
	Unknown bool   // the server may have done the work, wholly or in part
	// Elsewhere says that this host rests now and another does not: the next request goes there.
	Elsewhere bool
}

func (e *RequestError) Error() string {
	switch {
	case e.Err != nil && e.Status != 0:
		return fmt.Sprintf("%s: status %d: %v", e.Host, e.Status, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Host, e.Err)
	case e.Type != "" || e.Reason != "":
		return fmt.Sprintf("%s: status %d: %s: %s", e.Host, e.Status, e.Type, e.Reason)
	}
	return fmt.Sprintf("%s: status %d %s", e.Host, e.Status, http.StatusText(e.Status))
}

func (e *RequestError) Unwrap() error { return e.Err }
