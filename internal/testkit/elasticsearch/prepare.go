package elasticsearch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const openSearchLogging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// prepare makes the data folder: config, certificates, owner. What an earlier node left there stays.
func (n *Node) prepare(ctx context.Context) error {
	if n.opts.DataDir == "" {
		dir, err := os.MkdirTemp("", "gatebook-es-")
		if err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		n.opts.DataDir, n.tempData = dir, true
	}
	data, err := filepath.Abs(n.opts.DataDir)
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	n.opts.DataDir = data
	for _, d := range []string{"config", "data", "logs", "tmp", "modules", "plugins"} {
		if err := os.MkdirAll(filepath.Join(data, d), 0o755); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
	}
	if err := n.writeConfig(); err != nil {
		return err
	}
	n.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if n.opts.Security {
		if err := n.prepareTLS(); err != nil {
			return err
		}
	}
	if n.opts.Flavor == OpenSearch {
		return nil
	}
	if err := n.dropPrivileges(); err != nil {
		return err
	}
	return n.prepareKeystore(ctx)
}

func (n *Node) writeConfig() error {
	conf := filepath.Join(n.opts.DataDir, "config")
	var y strings.Builder
	fmt.Fprintf(&y, "cluster.name: testkit\nnode.name: n%d\npath.data: %s/data\npath.logs: %s/logs\n", n.opts.Port, n.opts.DataDir, n.opts.DataDir)
	fmt.Fprintf(&y, "network.host: 127.0.0.1\nhttp.port: %d\ntransport.port: 0\ndiscovery.type: single-node\n", n.opts.Port)
	y.WriteString("cluster.routing.allocation.disk.threshold_enabled: false\n")
	if n.opts.Flavor == OpenSearch {
		if n.opts.ProductHeader && n.opts.Version == 2 { // OpenSearch 3 does not know the setting
			y.WriteString("compatibility.override_main_response_version: true\n")
		}
		fmt.Fprintln(&y, n.opts.ExtraYAML)
		err := os.WriteFile(filepath.Join(conf, "opensearch.yml"), []byte(y.String()), 0o644)
		return errors.Join(err, os.WriteFile(filepath.Join(conf, "log4j2.properties"), []byte(openSearchLogging), 0o644))
	}
	fmt.Fprintf(&y, "xpack.security.enabled: %t\n", n.opts.Security)
	if n.opts.Flavor == Min || n.opts.Flavor == ESQL {
		y.WriteString("testshim.root: true\n")
	}
	if n.opts.Security {
		y.WriteString("xpack.security.http.ssl:\n  enabled: true\n  certificate: http.pem\n  key: http.key\n" +
			"  certificate_authorities: [ca.pem]\n  client_authentication: optional\n")
	}
	fmt.Fprintln(&y, n.opts.ExtraYAML)
	for _, f := range []string{"jvm.options", "log4j2.properties"} {
		b, err := os.ReadFile(filepath.Join(n.home, "config", f))
		if err == nil {
			err = os.WriteFile(filepath.Join(conf, f), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("write config: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(conf, "elasticsearch.yml"), []byte(y.String()), 0o644)
}

// dropPrivileges finds out how to run the server, which refuses to run as root: as nobody, or, where nobody cannot reach
// the folders, in a user namespace in which root has another number.
func (n *Node) dropPrivileges() error {
	if os.Getuid() != 0 {
		return nil
	}
	const nobody = 65534
	ready := filepath.Join(n.home, ".ready")
	data := filepath.Join(n.opts.DataDir, "data")
	ways := []struct {
		uid int
		as  []string
	}{
		{nobody, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}},
		{0, []string{"unshare", "--user", "--map-user=1000", "--map-group=1000"}},
	}
	for _, w := range ways {
		if err := chownAll(n.opts.DataDir, w.uid); err != nil {
			return err
		}
		test := append(w.as[1:len(w.as):len(w.as)], "test", "-r", ready, "-a", "-w", data)
		if exec.Command(w.as[0], test...).Run() == nil {
			n.as = w.as
			return nil
		}
	}
	return fmt.Errorf("run as another user than root: neither setpriv nor unshare reaches %s; set GATEBOOK_TESTKIT_CACHE to a folder that user nobody can read", n.home)
}

func chownAll(dir string, id int) error {
	return filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, id, id)
	})
}

// prepareKeystore stores the password of user elastic.
func (n *Node) prepareKeystore(ctx context.Context) error {
	if !n.opts.Security {
		return nil
	}
	if _, err := os.Stat(filepath.Join(n.opts.DataDir, "config", "elasticsearch.keystore")); err == nil {
		return nil
	}
	tool := filepath.Join(n.home, "bin", "elasticsearch-keystore")
	if out, err := n.command(ctx, tool, "create", "-s").CombinedOutput(); err != nil {
		return fmt.Errorf("make keystore: %w\n%s", err, out)
	}
	cmd := n.command(ctx, tool, "add", "-s", "-x", "-f", "bootstrap.password")
	cmd.Stdin = strings.NewReader(n.opts.Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set password: %w\n%s", err, out)
	}
	return nil
}

// prepareTLS makes an authority, a server and a client certificate, and a client that trusts the authority.
func (n *Node) prepareTLS() error {
	if _, err := os.Stat(n.CAFile()); errors.Is(err, os.ErrNotExist) {
		if err := writeCertificates(filepath.Join(n.opts.DataDir, "config")); err != nil {
			return fmt.Errorf("make certificates: %w", err)
		}
	}
	ca, err := os.ReadFile(n.CAFile())
	if err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	n.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	return nil
}

func writeCertificates(dir string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := certificate("testkit authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	if err := writeCertificate(dir, "ca", ca, ca, caKey, caKey); err != nil {
		return err
	}
	for name, usage := range map[string]x509.ExtKeyUsage{"http": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		c := certificate("testkit " + name)
		c.ExtKeyUsage, c.KeyUsage = []x509.ExtKeyUsage{usage}, x509.KeyUsageDigitalSignature
		c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"}
		if err := writeCertificate(dir, name, c, ca, key, caKey); err != nil {
			return err
		}
	}
	return nil
}

func certificate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100)) // never fails since Go 1.24
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
	}
}

func writeCertificate(dir, name string, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}
