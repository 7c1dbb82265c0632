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

// tlsFiles is the certificate of a listener, read again when its files change.
type tlsFiles struct {
	cert, key, clientCA string
	server              *tls.Config
	log                 *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	checked time.Time
	changed [2]time.Time // of the files
}

// certificateCheck is how often the files are looked at.
const certificateCheck = 10 * time.Second

func decodeTLS(b *conf.Body) *tlsFiles {
	defer b.Close()
	return &tlsFiles{cert: b.RequiredString("cert"), key: b.RequiredString("key"), clientCA: b.String("client_ca", "")}
}

// open reads the files; relative paths start from dir.
func (f *tlsFiles) open(dir string, log *slog.Logger) error {
	f.log = log
	for _, p := range []*string{&f.cert, &f.key, &f.clientCA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	f.server = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return f.certificate(time.Now()), nil
	}}
	if f.clientCA != "" {
		pem, err := os.ReadFile(f.clientCA)
		if err != nil {
			return fmt.Errorf("read client_ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read client_ca %s: no certificate in it", f.clientCA)
		}
		f.server.ClientCAs, f.server.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return f.load(time.Now())
}

// load reads certificate and key.
func (f *tlsFiles) load(now time.Time) error {
	changed, err := f.times()
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	c, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("read certificate %s: %w", f.cert, err)
	}
	f.current, f.changed, f.checked = &c, changed, now
	return nil
}

func (f *tlsFiles) times() (t [2]time.Time, err error) {
	for i, path := range []string{f.cert, f.key} {
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		t[i] = info.ModTime()
	}
	return t, err
}

// certificate is the current one. Where new files cannot be read, the old certificate stays.
func (f *tlsFiles) certificate(now time.Time) *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.checked) < certificateCheck {
		return f.current
	}
	f.checked = now
	if changed, err := f.times(); err == nil && changed != f.changed {
		if err := f.load(now); err != nil {
			f.log.Error("new certificate cannot be used; the old one stays", "error", err)
		} else {
			f.log.Info("certificate read again")
		}
	}
	return f.current
}

// certificateName is the name that a verified certificate gives its holder.
func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	}
	return c.Subject.CommonName
}
