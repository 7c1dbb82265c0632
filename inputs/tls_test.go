package inputs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatebook/gatebook/internal/testkit"
)

// authority issues certificates for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if name == "server" {
		template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write writes a certificate, its key and the authority into the folder, and returns it.
func (a *authority) write(t testing.TB, dir string, c tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
		"ca.pem": {Type: "CERTIFICATE", Bytes: a.cert.Raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tlsRig is an input that listens with TLS.
type tlsRig struct {
	kind, address string
	refused       func() bool          // two clients
	sender        func(string) *Source // of a line; nil where it has not come
}

// tlsRigs are the kinds of input that listen with TLS.
var tlsRigs = map[string]func(t *testing.T, dir, more string, log *slog.Logger) *tlsRig{
	"syslog": func(t *testing.T, dir, more string, log *slog.Logger) *tlsRig {
		sink := &syslogSink{}
		r := startSyslog(t, "listen = [\"tls://127.0.0.1:0\"]\n"+tlsBlock(dir, more), sink, Env{Logger: log})
		return &tlsRig{"syslog", r.addresses[0].String(), func() bool { return r.figure("syslog_connections_refused_total", "tls", "handshake") == 2 }, sink.source}
	},
	"bulk": func(t *testing.T, dir, more string, log *slog.Logger) *tlsRig {
		sink := newTestSink()
		r := start(t, "bulk", "api_key = \""+testSecret+"\"\n"+tlsBlock("", more), sink, Env{Dir: dir, Logger: log})
		return &tlsRig{"bulk", r.address, func() bool { return true }, func(line string) *Source {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			for i, l := range sink.lines {
				if strings.Contains(l.Text, line) {
					return sink.sources[i]
				}
			}
			return nil
		}}
	},
}

// tlsBlock has the files of authority.write; an empty folder is the config's.
func tlsBlock(dir, more string) string {
	return fmt.Sprintf("tls {\n  cert = %q\n  key = %q\n%s\n}", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), more)
}

// send sends a line and says which certificate the server showed, and what became of the connection.
func (r *tlsRig) send(line string, config *tls.Config) (serial string, err error) {
	config.ServerName = "localhost"
	c, err := tls.Dial("tcp", r.address, config)
	if err != nil {
		return "", err
	}
	defer c.Close()
	serial = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	text := line + "\n"
	if r.kind == "bulk" {
		text = fmt.Sprintf("{\"create\":{}}\n{\"message\":%q}\n", line)
		text = fmt.Sprintf("POST /_bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ApiKey %s\r\nContent-Length: %d\r\n\r\n%s", testSecret, len(text), text)
	}
	if _, err := io.WriteString(c, text); err != nil {
		return serial, err
	}
	if err := c.CloseWrite(); err != nil {
		return serial, err
	}
	// With TLS 1.3 a refusal of the client's certificate comes after its handshake.
	answer, err := io.ReadAll(c)
	if err == nil && r.kind == "bulk" && !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		err = errors.New(string(answer))
	}
	return serial, err
}

// The name of a verified client certificate is kept; without one a client is refused, or, where it is optional, has no name of it.
func TestClientCertificate(t *testing.T) {
	noLeaks(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	dir := ca.write(t, t.TempDir(), ca.issue(t, "server"))
	f := func(kind, mode, unnamed string) {
		r := tlsRigs[kind](t, dir, fmt.Sprintf("client_ca = %q\nclient_cert = %q", filepath.Join(dir, "ca.pem"), mode), nil)
		at := kind + ", " + mode
		if _, err := r.send("<1>known", &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, "edge-7")}}); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		testkit.Eventually(t, patience, func() bool { return r.sender("<1>known") != nil })
		if s := r.sender("<1>known"); s.SenderName != "edge-7" || s.SenderIP != "127.0.0.1" || s.SenderPort == 0 {
			t.Errorf("%s: %+v", at, s)
		}
		if _, err := r.send("<1>stranger", &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{stranger.issue(t, "edge-7")}}); err == nil {
			t.Errorf("%s: a certificate of another authority is taken", at)
		}
		_, err := r.send("<1>nobody", &tls.Config{RootCAs: ca.pool})
		if (err == nil) != (mode == "optional") {
			t.Errorf("%s: without certificate: %v", at, err)
		}
		if mode == "optional" {
			testkit.Eventually(t, patience, func() bool { return r.sender("<1>nobody") != nil })
			if s := r.sender("<1>nobody"); s.SenderName != unnamed {
				t.Errorf("%s: %+v", at, s)
			}
		} else {
			testkit.Eventually(t, patience, r.refused)
			if r.sender("<1>nobody") != nil {
				t.Errorf("%s: a client without certificate is taken", at)
			}
		}
		if r.sender("<1>stranger") != nil {
			t.Errorf("%s: the line of a stranger is taken", at)
		}
		if _, err := r.send("<1>old", &tls.Config{RootCAs: ca.pool, MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{ca.issue(t, "x")}}); err == nil {
			t.Errorf("%s: TLS 1.1 is taken", at)
		}
	}
	f("syslog", "require", "")
	f("syslog", "optional", "")
	f("bulk", "require", "default")
	f("bulk", "optional", "default")
}

// New files are used by the next handshake, client_ca, too; broken ones leave the old in place and are told once.
func TestCertificatesAreReadAgain(t *testing.T) {
	for kind := range tlsRigs {
		t.Run(kind, func(t *testing.T) { certificatesAreReadAgain(t, kind) })
	}
}

func certificatesAreReadAgain(t *testing.T, kind string) {
	ca := newAuthority(t)
	first, second := ca.issue(t, "server"), ca.issue(t, "server")
	dir := ca.write(t, t.TempDir(), first)
	var log strings.Builder
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))
	r := tlsRigs[kind](t, dir, fmt.Sprintf("client_ca = %q", filepath.Join(dir, "ca.pem")), logger)
	// A session of the first client_ca is kept in the cache: it is not resumed by another.
	client := &tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{ca.issue(t, "edge")}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	client.RootCAs.AddCert(ca.cert)
	serial := func() string {
		t.Helper()
		s, err := r.send("<1>x", client)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	of := func(c tls.Certificate) string {
		parsed, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return parsed.SerialNumber.String()
	}
	if serial() != of(first) {
		t.Error("not the first certificate")
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if serial() != of(first) {
			t.Error("a broken file has taken the place of the first certificate")
		}
	}
	mu.Lock()
	told := strings.Count(log.String(), "cannot be used")
	mu.Unlock()
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	ca.write(t, dir, second)
	for range 2 {
		if serial() != of(second) {
			t.Error("not the second certificate")
		}
	}
	other := newAuthority(t)
	pool, err := os.ReadFile(filepath.Join(other.write(t, t.TempDir(), second), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pool, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.send("<1>x", client); err == nil {
		t.Error("a certificate of an authority that is gone is taken")
	}
	client.Certificates = []tls.Certificate{other.issue(t, "edge")}
	serial()
}

// HTTP/2 is not spoken: none of its ways to make many streams of one connection has to be bounded.
func TestTLSOffersHTTP1Only(t *testing.T) {
	ca := newAuthority(t)
	dir := ca.write(t, t.TempDir(), ca.issue(t, "server"))
	r := tlsRigs["bulk"](t, dir, "", nil)
	c, err := tls.Dial("tcp", r.address, &tls.Config{RootCAs: ca.pool, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p := c.ConnectionState().NegotiatedProtocol; p == "h2" {
		t.Errorf("%q", p)
	}
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err == nil && !strings.HasPrefix(string(b), "HTTP/1.1 4") && !strings.HasPrefix(string(b), "HTTP/1.1 5") {
		t.Errorf("the preface of HTTP/2 is answered %q", b)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
