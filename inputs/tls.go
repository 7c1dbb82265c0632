package inputs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// tlsFiles is the server's side of TLS, for every input that listens. Its files are looked at before each handshake and read again when
// they have changed; files that cannot be used leave the old ones in place, and that is said once for each change.
type tlsFiles struct {
	cert, key, clientCA string
	require             bool // a client without a certificate is refused

	log     *slog.Logger
	mu      sync.Mutex
	current *tls.Config
	changed [3]fileState
}

type fileState struct {
	modified time.Time
	size     int64
}

// decodeTLS reads a block `tls`.
func decodeTLS(b *conf.Body) *tlsFiles {
	defer b.Close()
	f := &tlsFiles{cert: b.RequiredString("cert"), key: b.RequiredString("key"), clientCA: b.String("client_ca", "")}
	f.require = b.Enum("client_cert", "require", "require", "optional") == "require"
	if b.Has("client_cert") && f.clientCA == "" {
		b.Errorf("client_cert", "no certificate can be checked without client_ca; add client_ca = \"clients.pem\"")
	}
	return f
}

// open reads the files; relative paths start from dir.
func (f *tlsFiles) open(dir string, log *slog.Logger) error {
	f.log = log
	for _, p := range []*string{&f.cert, &f.key, &f.clientCA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	states, err := f.states()
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if f.current, err = f.load(); err != nil {
		return err
	}
	f.changed = states
	return nil
}

func (f *tlsFiles) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", f.cert, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if f.clientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.clientCA)
	if err != nil {
		return nil, fmt.Errorf("read client_ca: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read client_ca %s: no certificate in it", f.clientCA)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if f.require {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

func (f *tlsFiles) states() (s [3]fileState, err error) {
	for i, path := range []string{f.cert, f.key, f.clientCA} {
		if path == "" {
			continue
		}
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		s[i] = fileState{info.ModTime(), info.Size()}
	}
	return s, err
}

// config is the one for the next handshake.
func (f *tlsFiles) config() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	states, err := f.states()
	if err != nil || states == f.changed { // a file that is being replaced may be away for a moment
		return f.current
	}
	f.changed = states
	next, err := f.load()
	if err != nil {
		f.log.Error("new certificate cannot be used; the old one stays", "error", err)
		return f.current
	}
	f.log.Info("certificate read again", "cert", f.cert)
	f.current = next
	return next
}

// server is the server's end of a connection. Each set of files has a tls.Config, and so session tickets, of its own: a session that a
// client_ca vouched for is not resumed when that client_ca is gone, as it could be by way of GetConfigForClient.
func (f *tlsFiles) server(c net.Conn) *tls.Conn { return tls.Server(c, f.config()) }

// listener hands out TLS connections. Their handshake is the matter of who takes them.
func (f *tlsFiles) listener(l net.Listener) net.Listener { return &tlsListener{l, f} }

type tlsListener struct {
	net.Listener
	files *tlsFiles
}

func (l *tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.files.server(c), nil
}

// peerName is the name in the client's verified certificate: its first DNS name, its e-mail address, its common name or its whole
// subject. It is "" where none was shown.
func peerName(s tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 {
		return ""
	}
	c := s.PeerCertificates[0]
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return c.Subject.String()
}
