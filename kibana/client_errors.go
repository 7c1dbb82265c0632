package kibana

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Error is what went wrong between us and Kibana.
type Error struct {
	Doing  string // "import saved objects"
	Status int    // of HTTP; 0 where there was no answer
	Reason string // printable, bounded, without secrets
	Remedy string // what to do about it; may be empty
	Err    error  // below it; may be nil
}

func (e *Error) Error() string {
	text := e.Doing + ": "
	if e.Status != 0 && e.Status != http.StatusOK {
		text += fmt.Sprintf("status %d: ", e.Status)
	}
	text += e.Reason
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

func (k *Client) fail(doing string, status int, reason, remedy string) error {
	return &Error{Doing: doing, Status: status, Reason: k.clean(reason), Remedy: remedy}
}

func (k *Client) notKibana(doing string, status int) error {
	return k.fail(doing, status, "what answers there is no Kibana", "check the address: https://HOST:5601, with the path that Kibana has behind a proxy")
}

// refused explains an answer that is no success.
func (k *Client) refused(doing string, status int, header http.Header, body []byte) error {
	var answer struct {
		Message string
		Error   json.RawMessage
	}
	isJSON := json.Unmarshal(body, &answer) == nil
	reason := answer.Message
	if reason == "" {
		reason = http.StatusText(status)
	}
	remedy := ""
	switch {
	case status >= 300 && status < 400:
		return k.redirected(doing, status, header.Get("Location"))
	case strings.Contains(string(answer.Error), "no handler found for uri") || header.Get("X-Elastic-Product") != "" && header.Get("kbn-name") == "":
		return k.fail(doing, status, "this is Elasticsearch, not Kibana", "Kibana has an address of its own, often port 5601")
	case status == http.StatusUnauthorized:
		remedy = "check the API key, or user name and password: Kibana does not know them"
		if k.config.APIKey == "" && k.config.Username == "" {
			remedy = "give an API key, or user name and password"
		}
	case status == http.StatusForbidden:
		remedy = "give the key or user the Kibana privileges Saved Objects Management and Dashboard (all) in the space"
		if strings.Contains(doing, "rules") {
			remedy = "give the key or user the Kibana privilege Security (all) in the space, and the index privileges that its rules page asks for"
		}
	case status == http.StatusNotFound && k.space != "" && doing != askStatus:
		remedy = fmt.Sprintf("check that the space %s is there (its identifier, not its title), and the address", k.config.Space)
	case status == http.StatusNotFound:
		remedy = "check the address: Kibana may have a path behind a proxy (server.basePath)"
	case status == http.StatusRequestEntityTooLarge:
		remedy = "raise savedObjects.maxImportPayloadBytes, or the limit of the proxy in front"
	case status == http.StatusServiceUnavailable:
		remedy = "wait until Kibana is ready, or see its log"
	case status == http.StatusBadRequest && strings.Contains(reason, "kbn-xsrf"):
		remedy = "a proxy in front takes the header kbn-xsrf away: let it pass"
	}
	if !isJSON && remedy == "" {
		return k.notKibana(doing, status)
	}
	return k.fail(doing, status, reason, remedy)
}

// redirected names where to, without what a query may hold. Nothing is sent there.
func (k *Client) redirected(doing string, status int, location string) error {
	to, remedy := "nowhere", "give the address that Kibana itself has"
	if u, err := url.Parse(location); err == nil && location != "" {
		to = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		switch {
		case strings.Contains(u.Path, "login") || strings.Contains(u.Path, "/security/"):
			remedy = "it wants a login: give an API key, or user name and password that Kibana knows"
		case strings.Contains(u.Path, "spaces/space_selector"):
			remedy = "name the space"
		case u.Scheme == "https" && strings.HasPrefix(k.base+"/", "http://"+u.Host+"/"):
			remedy = "write https:// in the address"
		}
	}
	return k.fail(doing, status, "what answers there sends us to "+to, remedy)
}

// mostReason bounds, in bytes, what is repeated of an answer.
const mostReason = 500

// clean makes a text of the other side fit to be shown: one bounded line, without our secrets.
func (k *Client) clean(text string) string {
	for _, secret := range []string{k.config.APIKey, k.config.Password, base64.StdEncoding.EncodeToString([]byte(k.config.Username + ":" + k.config.Password))} {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if end := mostReason; len(text) > end {
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "..."
	}
	return text
}

func remedyOfWay(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		dns       *net.DNSError
	)
	switch {
	case errors.As(err, &authority):
		return "give the PEM file of the authority that signed Kibana's certificate"
	case errors.As(err, &name):
		return "use a name that stands in Kibana's certificate"
	case errors.As(err, &invalid):
		return "renew Kibana's certificate, or check this machine's clock"
	case errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch):
		return "Kibana does not speak TLS there: write http:// in the address"
	case errors.As(err, &alert):
		return "Kibana refuses the TLS connection"
	case errors.As(err, &dns):
		return "check the host name in the address"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check the address, and that Kibana runs"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "Kibana does not answer in time: check that it runs, and the way to it"
	case strings.Contains(err.Error(), "malformed HTTP response"), strings.HasSuffix(err.Error(), "EOF"):
		return "where Kibana speaks TLS, write https:// in the address"
	}
	return ""
}
