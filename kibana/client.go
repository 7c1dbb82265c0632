package kibana

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// ClientConfig says how one Kibana is reached.
type ClientConfig struct {
	URL                string // https://kibana:5601, with the path that Kibana has behind a proxy; it may end in /s/SPACE
	Space              string // "" is the default space
	APIKey             string // as Elasticsearch gives it, base64 of id:key
	Username, Password string
	CA                 string // PEM file of the authority that signed Kibana's certificate
	UserAgent          string
}

// Client talks to one Kibana. It is safe for concurrent use. It follows no redirects, and no error of it holds a secret.
type Client struct {
	config ClientConfig
	base   string // address of Kibana
	space  string // "" or /s/SPACE
	http   *http.Client
}

// requestTime bounds one request: an import of all objects takes seconds, of hundreds of rules a minute or so.
const requestTime = 3 * time.Minute

// mostAnswer bounds what is read of an answer.
const mostAnswer = 16 << 20

var (
	spaceName = regexp.MustCompile(`^[a-z0-9_-]{1,100}$`)
	spacePath = regexp.MustCompile(`/s/([^/]*)$`)
)

// New checks the config; nothing is sent yet.
func New(c ClientConfig) (*Client, error) {
	address := strings.TrimRight(c.URL, "/")
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("the address of Kibana wants http:// or https:// and a host name, such as https://kibana:5601")
	case u.User != nil:
		return nil, errors.New("the address of Kibana holds credentials: give them apart from it")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the address of Kibana is one without ? and #")
	case c.APIKey != "" && c.Username != "":
		return nil, errors.New("an API key and a user name with a password: Kibana takes one of them")
	case strings.ContainsAny(c.APIKey+c.UserAgent, "\r\n") || strings.ContainsAny(c.Username, ":\r\n"):
		return nil, errors.New("credentials for Kibana: a line break, or a colon in the user name")
	}
	if m := spacePath.FindStringSubmatch(u.Path); m != nil {
		if c.Space != "" && c.Space != m[1] {
			return nil, fmt.Errorf("the address of Kibana names the space %q, and %q is asked for", m[1], c.Space)
		}
		c.Space, address = m[1], strings.TrimSuffix(address, u.EscapedPath()[len(u.EscapedPath())-len(m[0]):])
	}
	if c.Space != "" && !spaceName.MatchString(c.Space) {
		return nil, fmt.Errorf("%q is no name of a Kibana space: lower-case letters, digits, - and _ (its identifier, not its title)", c.Space)
	}
	k := &Client{config: c, base: address}
	if c.Space != "" && c.Space != "default" {
		k.space = "/s/" + url.PathEscape(c.Space)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca %s: no PEM certificate in it", c.CA)
		}
	}
	k.http = &http.Client{Transport: t, Timeout: requestTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return k, nil
}

// Close gives up idle connections.
func (k *Client) Close() { k.http.CloseIdleConnections() }

// Imported is what became of an import.
type Imported struct {
	Count    int      // taken
	Warnings []string // what Kibana has to say of them
}

const askStatus = "ask Kibana for its status"

// Status asks for Kibana's version, and whether it is one that takes our objects. The credentials are not judged by it: some Kibanas show their status to everybody.
func (k *Client) Status(ctx context.Context) (version string, err error) {
	const doing = askStatus
	status, header, body, err := k.do(ctx, doing, http.MethodGet, k.base+"/api/status", "", nil)
	if err != nil {
		return "", err
	}
	var s struct {
		Version struct{ Number string }
		Status  struct {
			Overall struct{ Level, Summary string }
		}
	}
	if status == http.StatusServiceUnavailable && json.Unmarshal(body, &s) == nil && s.Status.Overall.Level != "" {
		return s.Version.Number, k.fail(doing, status, "Kibana is "+s.Status.Overall.Level+": "+s.Status.Overall.Summary, "wait until it is available, or see its log")
	}
	if status != http.StatusOK {
		return "", k.refused(doing, status, header, body)
	}
	if header.Get("osd-name") != "" {
		return "", k.fail(doing, status, "this is OpenSearch Dashboards, which has no Lens and cannot show what we make", "")
	}
	if err := json.Unmarshal(body, &s); err != nil || s.Status.Overall.Level == "" && s.Version.Number == "" {
		return "", k.notKibana(doing, status)
	}
	if n := s.Version.Number; n != "" && !newEnough(n) {
		return n, k.fail(doing, status, fmt.Sprintf("Kibana %.40q is too old", n), "the objects have the form of 8.9: take Kibana 8.9 or later")
	}
	return s.Version.Number, nil
}

func newEnough(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 8 || major == 8 && minor >= 9
}

// ImportObjects brings saved objects in, over those that have the same ids. All ids have to begin with Prefix: nothing that we did not make is touched.
func (k *Client) ImportObjects(ctx context.Context, ndjson []byte) (Imported, error) {
	const doing = "import saved objects"
	if err := allOurs(ndjson, "id"); err != nil {
		return Imported{}, fmt.Errorf("%s: %w", doing, err)
	}
	var answer struct {
		Success      *bool
		SuccessCount int
		Warnings     []struct{ Message string }
		Errors       []struct {
			Type, ID string
			Error    struct {
				Type, Message string
				References    []struct{ Type, ID string }
			}
		}
	}
	if err := k.upload(ctx, doing, k.space+"/api/saved_objects/_import", ndjson, &answer); err != nil {
		return Imported{}, err
	}
	if answer.Success == nil {
		return Imported{}, k.notKibana(doing, http.StatusOK)
	}
	n := Imported{Count: answer.SuccessCount}
	for _, w := range answer.Warnings {
		n.Warnings = append(n.Warnings, k.clean(w.Message))
	}
	var list []string
	for _, e := range answer.Errors {
		what := e.Error.Message
		switch e.Error.Type {
		case "conflict", "ambiguous_conflict":
			what = "an object of that id is in another space; delete it there, or import into that space"
		case "missing_references":
			what = "it refers to what is not there:"
			for _, r := range e.Error.References {
				what += " " + r.Type + " " + r.ID
			}
		case "unsupported_type":
			what = "this Kibana does not know the type"
		}
		list = append(list, k.clean(e.Type+" "+e.ID+": "+what))
	}
	return n, k.notAll(doing, *answer.Success, len(answer.Errors), list)
}

// ImportRules brings detection rules in, over those that have the same rule_id, which has to begin with Prefix.
func (k *Client) ImportRules(ctx context.Context, ndjson []byte) (Imported, error) {
	const doing = "import detection rules"
	if err := allOurs(ndjson, "rule_id"); err != nil {
		return Imported{}, fmt.Errorf("%s: %w", doing, err)
	}
	var answer struct {
		Success      *bool
		SuccessCount int `json:"success_count"`
		Errors       []struct {
			RuleID string `json:"rule_id"`
			Error  struct{ Message string }
		}
	}
	if err := k.upload(ctx, doing, k.space+"/api/detection_engine/rules/_import", ndjson, &answer); err != nil {
		return Imported{}, err
	}
	if answer.Success == nil {
		return Imported{}, k.notKibana(doing, http.StatusOK)
	}
	var list []string
	for _, e := range answer.Errors {
		list = append(list, k.clean(e.RuleID+": "+e.Error.Message))
	}
	return Imported{Count: answer.SuccessCount}, k.notAll(doing, *answer.Success, len(answer.Errors), list)
}

// allOurs checks that every line is an object whose id is one of ours.
func allOurs(ndjson []byte, key string) error {
	n := 0
	for line := range bytes.Lines(ndjson) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		n++
		var o map[string]json.RawMessage
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
		if _, summary := o["exported_count"]; summary {
			continue // the last line of an export
		}
		var id string
		if json.Unmarshal(o[key], &id) != nil || !strings.HasPrefix(id, Prefix) {
			return fmt.Errorf("object %d has the %s %.100q, which does not begin with %s: only Gatebook's own are brought in", n, key, id, Prefix)
		}
	}
	if n == 0 {
		return errors.New("there is nothing to bring in")
	}
	return nil
}

// mostTold bounds how many errors of an import are repeated.
const mostTold = 10

func (k *Client) notAll(doing string, success bool, n int, list []string) error {
	if success && n == 0 {
		return nil
	}
	if n > mostTold {
		list = append(list[:mostTold:mostTold], fmt.Sprintf("and %d more", n-mostTold))
	}
	if n == 0 {
		list = []string{"Kibana does not say what"}
	}
	return fmt.Errorf("%s: Kibana refused %d:\n  %s", doing, n, strings.Join(list, "\n  "))
}

// upload sends a file as a form does.
func (k *Client) upload(ctx context.Context, doing, path string, ndjson []byte, answer any) error {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "gatebook.ndjson") // Kibana takes no other ending
	if err == nil {
		_, err = part.Write(ndjson)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	status, header, body, err := k.do(ctx, doing, http.MethodPost, k.base+path+"?overwrite=true", w.FormDataContentType(), form.Bytes())
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return k.refused(doing, status, header, body)
	case json.Unmarshal(body, answer) != nil:
		return k.notKibana(doing, status)
	}
	return nil
}

func (k *Client) do(ctx context.Context, doing, method, address, contentType string, send []byte) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(send))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("kbn-xsrf", "true") // Kibana refuses what a web page could send
	if k.config.UserAgent != "" {
		req.Header.Set("User-Agent", k.config.UserAgent)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if k.config.APIKey != "" {
		req.Header.Set("Authorization", "ApiKey "+k.config.APIKey)
	} else if k.config.Username != "" {
		req.SetBasicAuth(k.config.Username, k.config.Password)
	}
	res, err := k.http.Do(req)
	if err != nil {
		return 0, nil, nil, &Error{Doing: doing, Reason: k.clean(err.Error()), Remedy: remedyOfWay(err), Err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err != nil {
		return 0, nil, nil, &Error{Doing: doing, Reason: "read the answer: " + k.clean(err.Error()), Err: err}
	}
	return res.StatusCode, res.Header, body, nil
}
