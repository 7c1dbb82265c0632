package inputs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// syslogTLS is the server's side of TLS (RFC 5425). Its files are looked at before each handshake and read again when they have changed;
// files that cannot be used leave the old ones in place, and that is said once for each change.
type syslogTLS struct {
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

func decodeSyslogTLS(b *conf.Body) *syslogTLS {
	defer b.Close()
	t := &syslogTLS{cert: b.RequiredString("cert"), key: b.RequiredString("key"), clientCA: b.String("client_ca", "")}
	t.require = b.Enum("client_cert", "require", "require", "optional") == "require"
	if b.Has("client_cert") && t.clientCA == "" {
		b.Errorf("client_cert", "no certificate can be checked without client_ca; add client_ca = \"clients.pem\"")
	}
	return t
}

// open reads the files; relative paths start from dir.
func (t *syslogTLS) open(dir string, log *slog.Logger) error {
	t.log = log
	for _, p := range []*string{&t.cert, &t.key, &t.clientCA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	states, err := t.states()
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if t.current, err = t.load(); err != nil {
		return err
	}
	t.changed = states
	return nil
}

func (t *syslogTLS) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.cert, t.key)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", t.cert, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if t.clientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.clientCA)
	if err != nil {
		return nil, fmt.Errorf("read client_ca: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read client_ca %s: no certificate in it", t.clientCA)
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if t.require {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

func (t *syslogTLS) states() (s [3]fileState, err error) {
	for i, path := range []string{t.cert, t.key, t.clientCA} {
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
func (t *syslogTLS) config() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	states, err := t.states()
	if err != nil || states == t.changed { // a file that is being replaced may be away for a moment
		return t.current
	}
	t.changed = states
	next, err := t.load()
	if err != nil {
		t.log.Error("new certificate cannot be used; the old one stays", "error", err)
		return t.current
	}
	t.log.Info("certificate read again", "cert", t.cert)
	t.current = next
	return next
}

// peerName is the name in the client's verified certificate; "" where none was shown.
func peerName(s tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 {
		return ""
	}
	c := s.PeerCertificates[0]
	if name := certificateName(c); name != "" {
		return name
	}
	return c.Subject.String()
}
