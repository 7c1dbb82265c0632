package outputs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// hook posts bodies to one address of the config. It promises: nothing but the body is made of events; redirects are not
// followed; the address that is dialled, after names are resolved, is none of this machine or of its link, unless that is
// allowed; of the answer a few bytes are read.
type hook struct {
	url       string
	host      string // what may be shown: paths of such addresses are secrets
	method    string
	header    http.Header
	secret    []byte
	client    *http.Client
	transport *http.Transport
	now       func() time.Time

	mu    sync.Mutex
	until time.Time // the server asked for silence until then
}

// SignatureHeader carries "t=<Unix seconds>,v1=<hex of HMAC-SHA256(secret, t + "." + body)>".
const SignatureHeader = "X-Gatebook-Signature"

// deliveryHeader carries the id of the notification, the same when it is sent again.
const deliveryHeader = "X-Gatebook-Delivery"

// sign returns the value of SignatureHeader.
func sign(secret, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// readHook reads what all outputs that post have in common: url, method, headers, secret, timeout, ca, cert, key, allow, proxy.
// nil where something is wrong, which is noted.
func readHook(body *conf.Body, env Env) *hook {
	h := &hook{header: http.Header{}, now: time.Now, method: body.Enum("method", "POST", "POST", "PUT", "PATCH")}
	ok := true
	wrong := func(name, format string, args ...any) {
		body.Errorf(name, format, args...)
		ok = false
	}
	if !body.Require("url", `env("PAGER_URL")`) {
		ok = false
	}
	h.url = body.String("url", "")
	u, err := url.Parse(h.url)
	if body.Has("url") && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" || u.Opaque != "") {
		wrong("url", "wants http:// or https:// and a host name, such as https://hooks.example.com/T/B/X")
	} else if body.Has("url") && u.User != nil {
		wrong("url", `names and passwords do not belong in an address; write headers = { Authorization = env("HOOK_AUTH") }`)
	} else if u != nil {
		h.host = u.Host
	}
	for _, kv := range body.Pairs("headers") {
		if p := headerProblem(kv.Key, kv.Value); p != "" {
			body.File().ErrorAt(kv.ValueRange, "headers: "+p, "")
			ok = false
			continue
		}
		h.header.Set(kv.Key, kv.Value)
	}
	if h.header.Get("Content-Type") == "" {
		h.header.Set("Content-Type", "application/json")
	}
	if h.header.Get("User-Agent") == "" {
		h.header.Set("User-Agent", "gatebook/"+env.Version)
	}
	h.secret = []byte(body.String("secret", ""))
	if body.Has("secret") && !body.Sensitive("secret") {
		body.Warnf("secret", "a secret in the config is read by all who may read the config; better env(\"NAME\") or file(\"PATH\")")
	}
	timeout := body.Duration("timeout", 10*time.Second, 100*time.Millisecond, 5*time.Minute)
	guard := dialGuard{}
	for _, s := range body.Strings("allow") {
		p, err := parsePrefix(s)
		if err != nil {
			wrong("allow", `wants addresses or networks such as "127.0.0.0/8"`)
			break
		}
		guard.allow = append(guard.allow, p)
	}
	tlsConfig, err := hookTLS(body.String("ca", ""), body.String("cert", ""), body.String("key", ""))
	if err != nil {
		name := "ca"
		if body.Has("cert") && !body.Has("ca") {
			name = "cert"
		}
		wrong(name, "%v", err)
	}
	h.transport = &http.Transport{
		TLSClientConfig: tlsConfig, TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: 64 << 10, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute,
		ForceAttemptHTTP2: true, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, Control: guard.control}).DialContext,
	}
	if proxy := body.String("proxy", ""); proxy != "" {
		pu, err := url.Parse(proxy)
		if err != nil || pu.Host == "" || pu.Scheme != "http" && pu.Scheme != "https" && pu.Scheme != "socks5" {
			wrong("proxy", "wants http://, https:// or socks5:// and a host name")
		} else {
			h.transport.Proxy = http.ProxyURL(pu)
		}
	}
	h.client = &http.Client{Transport: h.transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if !ok {
		return nil
	}
	return h
}

// headerProblem says what is wrong with a header of the config.
func headerProblem(name, value string) string {
	if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`|~") != "" {
		return fmt.Sprintf("%q is no name of a header", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Expect", SignatureHeader, deliveryHeader:
		return fmt.Sprintf("%s is set by Gatebook", name)
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Sprintf("the value of %s has a line break or another control character", name)
		}
	}
	return ""
}

func hookTLS(ca, cert, key string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca %s: no PEM certificate in it", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("cert and key go together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate %s: %w", cert, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// errAddress is a dialled address that is refused.
type errAddress struct{ addr netip.Addr }

func (e *errAddress) Error() string {
	return fmt.Sprintf("the name leads to %s, an address of this machine or of its link", e.addr)
}

// dialGuard judges the addresses that connections are made to.
type dialGuard struct{ allow []netip.Prefix }

// control is called by net.Dialer with the address of each attempt, when names are resolved.
func (g *dialGuard) control(network, address string, _ syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("no connections by %s", network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read dialled address: %w", err)
	}
	return g.judge(ap.Addr())
}

func (g *dialGuard) judge(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	for _, p := range g.allow {
		if p.Contains(a) {
			return nil
		}
	}
	if localAddress(a) {
		return &errAddress{a}
	}
	if inner, ok := embedded(a); ok && localAddress(inner) {
		return &errAddress{a}
	}
	return nil
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	compatible  = netip.MustParsePrefix("::/96")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	broadcast   = netip.MustParseAddr("255.255.255.255")
	// Addresses where clouds tell a machine its own secrets, beside 169.254.169.254, which is link-local.
	cloudSecrets = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200")}
)

func localAddress(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || thisNetwork.Contains(a) || a == broadcast {
		return true
	}
	for _, c := range cloudSecrets {
		if a == c {
			return true
		}
	}
	return false
}

// embedded is the IPv4 address that an IPv6 one stands for.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case !a.Is6():
		return a, false
	case nat64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return a, false
}

// answer is what became of a body that was posted.
type answer struct {
	// request is set where the trouble is with the server or the config, not with this body.
	request *RequestError
	// again is set where the server says that it could not take this body now, refused where it never will.
	again, refused bool
	status         int
	reason         string
}

func (a *answer) ok() bool { return a.request == nil && !a.again && !a.refused }

// item is the answer as that of an item of a batch.
func (a *answer) item(index int, stream, id string) ItemError {
	e := ItemError{Index: index, Verdict: Again, Unknown: true, Stream: stream, ID: id, Status: a.status, Type: "notification_failed", Reason: a.reason}
	if a.refused {
		e.Verdict, e.Type, e.Unknown = Refuse, "notification_refused", false
	}
	return e
}

// post sends one body. id becomes a header: it is hex digits of ours.
func (h *hook) post(ctx context.Context, id string, body []byte) answer {
	if wait := h.silence(); wait > 0 {
		return answer{status: http.StatusTooManyRequests, request: &RequestError{Host: h.host, Status: http.StatusTooManyRequests,
			Err: fmt.Errorf("post to %s: it asked to be left alone for %s more", h.host, wait.Round(time.Second))}}
	}
	req, err := http.NewRequestWithContext(ctx, h.method, h.url, bytes.NewReader(body))
	if err != nil {
		return answer{request: &RequestError{Host: h.host, Hold: true, Err: fmt.Errorf("post to %s: the address cannot be used", h.host)}}
	}
	req.Header = h.header.Clone()
	req.Header.Set(deliveryHeader, id)
	if len(h.secret) > 0 {
		req.Header.Set(SignatureHeader, sign(h.secret, body, h.now()))
	}
	res, err := h.client.Do(req)
	if err != nil {
		return answer{request: h.transportError(err)}
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if len(said) < 4<<10 { // the connection can be used again
		_, _ = io.CopyN(io.Discard, res.Body, 1<<10)
	}
	return h.judge(res, cleanText(string(said), 300))
}

func (h *hook) silence() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until.Sub(h.now())
}

// mostSilence bounds Retry-After.
const mostSilence = time.Hour

func (h *hook) judge(res *http.Response, said string) answer {
	a := answer{status: res.StatusCode, reason: fmt.Sprintf("%s answered %d: %s", h.host, res.StatusCode, said)}
	trouble := &RequestError{Host: h.host, Status: a.status, Err: errors.New("post to " + a.reason)}
	if wait := retryAfter(res.Header.Get("Retry-After"), h.now()); wait > 0 && (a.status == http.StatusTooManyRequests || a.status >= 500) {
		h.mu.Lock()
		h.until = h.now().Add(min(wait, mostSilence))
		h.mu.Unlock()
		a.request = trouble
		return a
	}
	switch s := a.status; {
	case s >= 200 && s < 300:
	case s >= 300 && s < 400:
		trouble.Hold, trouble.Remedy = true, "redirects are not followed: write the address it leads to into url"
		a.request = trouble
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusProxyAuthRequired:
		trouble.Hold, trouble.Remedy = true, "check the token in url or headers, and the secret"
		a.request = trouble
	case s == http.StatusNotFound, s == http.StatusMethodNotAllowed, s == http.StatusGone:
		trouble.Hold, trouble.Remedy = true, "check url: nobody takes notifications there"
		a.request = trouble
	case s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		a.request = trouble
	case s >= 500:
		a.again = true
	default:
		a.refused = true
	}
	return a
}

// retryAfter reads RFC 9110 10.2.3: seconds, or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if s == "" {
		return 0
	}
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		return time.Duration(max(0, min(n, int(mostSilence/time.Second)))) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// transportError says why there was no answer, without the address' path.
func (h *hook) transportError(err error) *RequestError {
	var (
		ue      *url.Error
		refused *errAddress
		unknown *tls.CertificateVerificationError
	)
	if errors.As(err, &ue) {
		err = ue.Err
	}
	e := &RequestError{Host: h.host, Unknown: true, Err: fmt.Errorf("post to %s: %w", h.host, err)}
	switch {
	case errors.As(err, &refused):
		e.Unknown, e.Hold = false, true
		e.Remedy = fmt.Sprintf("if that is meant, write allow = [%q]", refused.addr.String())
	case errors.As(err, &unknown):
		e.Unknown, e.Hold, e.Remedy = false, true, "give the authority of the server's certificate as ca, and use the name that the certificate has"
	}
	return e
}

func (h *hook) close() { h.transport.CloseIdleConnections() }
