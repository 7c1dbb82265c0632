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
		template.DNSNames = []string{"localhost"}
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

func tlsBlock(dir, more string) string {
	return fmt.Sprintf("listen = [\"tls://127.0.0.1:0\"]\ntls {\n  cert = \"%[1]s/cert.pem\"\n  key = \"%[1]s/key.pem\"\n%[2]s\n}", dir, more)
}

// secured sends a line over TLS and says how the handshake went, and which certificate the server showed.
func secured(t testing.TB, address, line string, config *tls.Config) (serial string, err error) {
	t.Helper()
	config.ServerName = "localhost"
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		return "", err
	}
	defer c.Close()
	serial = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return serial, err
	}
	if err := c.CloseWrite(); err != nil {
		return serial, err
	}
	// With TLS 1.3 a refusal of the client's certificate comes after its handshake.
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return serial, err
	}
	return serial, nil
}

// The name of a verified client certificate is kept; without one a client is refused, or, where it is optional, has no name.
func TestSyslogClientCertificate(t *testing.T) {
	noLeaks(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	dir := ca.write(t, t.TempDir(), ca.issue(t, "server"))
	for _, mode := range []string{"require", "optional"} {
		sink := &syslogSink{}
		r := startSyslog(t, tlsBlock(dir, fmt.Sprintf("client_ca = \"%s/ca.pem\"\nclient_cert = %q", dir, mode)), sink, Env{})
		address := r.addresses[0].String()
		if _, err := secured(t, address, "<1>known", &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(t, "edge-7")}}); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		sink.wait(t, 1)
		if s := sink.source("<1>known"); s == nil || s.SenderName != "edge-7" || s.SenderIP != "127.0.0.1" {
			t.Errorf("%s: %+v", mode, s)
		}
		if _, err := secured(t, address, "<1>stranger", &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{stranger.issue(t, "edge-7")}}); err == nil {
			t.Errorf("%s: a certificate of another authority is taken", mode)
		}
		_, err := secured(t, address, "<1>nobody", &tls.Config{RootCAs: ca.pool})
		if (err == nil) != (mode == "optional") {
			t.Errorf("%s: without certificate: %v", mode, err)
		}
		if mode == "optional" {
			sink.wait(t, 2)
			if s := sink.source("<1>nobody"); s.SenderName != "" {
				t.Errorf("%+v", s)
			}
		} else {
			testkit.Eventually(t, patience, func() bool { return r.figure("syslog_connections_refused_total", "tls", "handshake") == 2 })
			if sink.count() != 1 {
				t.Errorf("%d lines", sink.count())
			}
		}
		if _, err := secured(t, address, "<1>old", &tls.Config{RootCAs: ca.pool, MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{ca.issue(t, "x")}}); err == nil {
			t.Errorf("%s: TLS 1.1 is taken", mode)
		}
	}
}

// A new certificate is used by the next handshake; a broken one leaves the old in place and is told once.
func TestSyslogCertificateIsReadAgain(t *testing.T) {
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
	sink := &syslogSink{}
	r := startSyslog(t, tlsBlock(dir, ""), sink, Env{Logger: logger})
	serial := func() string {
		t.Helper()
		s, err := secured(t, r.addresses[0].String(), "<1>x", &tls.Config{RootCAs: ca.pool})
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
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
