package kibana_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatebook/gatebook/kibana"
)

const secretKey = "c2VjcmV0OmtleQ=="

// answering is a server that gives one answer.
func answering(t *testing.T, status int, header http.Header, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, v := range header {
			w.Header()[name] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, c kibana.ClientConfig) *kibana.Client {
	t.Helper()
	k, err := kibana.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// What is sent is exactly what Kibana's API asks for.
func TestImportRequest(t *testing.T) {
	f := func(c kibana.ClientConfig, rules bool, wantPath, wantAuth string) {
		t.Helper()
		file := string(objects(t))
		answer := `{"success":true,"successCount":3,"warnings":[{"type":"simple","message":"look"}],"successResults":[]}`
		if rules {
			file = `{"rule_id":"gatebook-a","type":"query"}` + "\n" + `{"exported_count":1}` + "\n"
			answer = `{"success":true,"success_count":3,"rules_count":3,"errors":[]}`
		}
		calls := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls++
			if r.Method != "POST" || r.URL.EscapedPath() != wantPath || r.URL.RawQuery != "overwrite=true" {
				t.Errorf("%s %s, want POST %s?overwrite=true", r.Method, r.URL, wantPath)
			}
			if r.Header.Get("kbn-xsrf") != "true" || r.Header.Get("Authorization") != wantAuth || r.Header.Get("User-Agent") != "gatebook/test" {
				t.Errorf("headers %v", r.Header)
			}
			kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || kind != "multipart/form-data" {
				t.Errorf("content type %s", r.Header.Get("Content-Type"))
				return
			}
			form := multipart.NewReader(r.Body, params["boundary"])
			part, err := form.NextPart()
			if err != nil || part.FormName() != "file" || !strings.HasSuffix(part.FileName(), ".ndjson") {
				t.Errorf("part %v: %v", part, err)
				return
			}
			if b, err := io.ReadAll(part); err != nil || string(b) != file {
				t.Errorf("the file that came is not the one that was sent: %v", err)
			}
			if _, err := form.NextPart(); !errors.Is(err, io.EOF) {
				t.Errorf("more than one part: %v", err)
			}
			io.WriteString(w, answer)
		}))
		defer s.Close()
		c.URL, c.UserAgent = s.URL+c.URL, "gatebook/test"
		k := client(t, c)
		do := k.ImportObjects
		if rules {
			do = k.ImportRules
		}
		got, err := do(context.Background(), []byte(file))
		if err != nil || got.Count != 3 || calls != 1 || !rules && (len(got.Warnings) != 1 || got.Warnings[0] != "look") {
			t.Errorf("%+v, %v after %d calls", got, err, calls)
		}
	}
	f(kibana.ClientConfig{APIKey: secretKey}, false, "/api/saved_objects/_import", "ApiKey "+secretKey)
	f(kibana.ClientConfig{URL: "/", Space: "default"}, false, "/api/saved_objects/_import", "")
	f(kibana.ClientConfig{Space: "security", Username: "u", Password: "p:w"}, false, "/s/security/api/saved_objects/_import", "Basic dTpwOnc=")
	f(kibana.ClientConfig{URL: "/kib%20ana/s/soc-1/"}, false, "/kib%20ana/s/soc-1/api/saved_objects/_import", "")
	f(kibana.ClientConfig{Space: "soc_1"}, true, "/s/soc_1/api/detection_engine/rules/_import", "")
}

func TestClientConfig(t *testing.T) {
	f := func(want string, c kibana.ClientConfig) {
		t.Helper()
		_, err := kibana.New(c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("https://kibana:5601", kibana.ClientConfig{URL: "kibana:5601"})
	f("https://kibana:5601", kibana.ClientConfig{URL: "https://"})
	f("https://kibana:5601", kibana.ClientConfig{URL: "file:///etc/passwd"})
	f("holds credentials", kibana.ClientConfig{URL: "https://elastic:hunter2@kibana:5601"})
	f("without ? and #", kibana.ClientConfig{URL: "https://kibana:5601/?x=hunter2"})
	f("takes one of them", kibana.ClientConfig{URL: "https://kibana", APIKey: "hunter2", Username: "u"})
	f("a line break", kibana.ClientConfig{URL: "https://kibana", APIKey: "hunter2\r\nX: y"})
	f("no name of a Kibana space", kibana.ClientConfig{URL: "https://kibana", Space: "../admin"})
	f("no name of a Kibana space", kibana.ClientConfig{URL: "https://kibana", Space: "My Space"})
	f("no name of a Kibana space", kibana.ClientConfig{URL: "https://kibana/s/%2e%2e"})
	f(`names the space "a", and "b"`, kibana.ClientConfig{URL: "https://kibana/s/a", Space: "b"})
	f("read ca", kibana.ClientConfig{URL: "https://kibana", CA: filepath.Join(t.TempDir(), "none.pem")})
	f("no PEM certificate", kibana.ClientConfig{URL: "https://kibana", CA: "client_test.go"})
}

// Each refusal says what it is and what to do, and tells no secret.
func TestImportErrors(t *testing.T) {
	mine := []byte(`{"type":"search","id":"gatebook-x"}` + "\n")
	f := func(status int, header http.Header, body string, want ...string) {
		t.Helper()
		s := answering(t, status, header, body)
		k := client(t, kibana.ClientConfig{URL: s.URL, Space: "soc", APIKey: secretKey})
		_, err := k.ImportObjects(context.Background(), mine)
		if err == nil {
			t.Errorf("%d %s: no error", status, body)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%d %s: %v, want %q", status, body, err, w)
			}
		}
		if strings.Contains(err.Error(), secretKey) || len(err.Error()) > 3000 {
			t.Errorf("the error holds the key, or is too long: %v", err)
		}
	}
	kbn := http.Header{"Kbn-Name": {"kibana"}}
	f(401, kbn, `{"statusCode":401,"error":"Unauthorized","message":"[security_exception] missing `+secretKey+`"}`, "status 401", "missing ***", "check the API key")
	f(403, kbn, `{"statusCode":403,"error":"Forbidden","message":"Unable to bulk_create"}`, "status 403: Unable to bulk_create", "Saved Objects Management")
	f(404, kbn, `{"statusCode":404,"error":"Not Found","message":"Not Found"}`, "check that the space soc is there")
	f(413, kbn, `{"message":"Payload content length greater than maximum allowed"}`, "maxImportPayloadBytes")
	f(503, nil, `Kibana server is not ready yet`, "wait until Kibana is ready")
	f(400, kbn, `{"message":"Request must contain a kbn-xsrf header."}`, "proxy in front")
	f(302, http.Header{"Location": {"/login?next=%2Fapi&token=" + secretKey}}, "", "sends us to /login", "it wants a login")
	f(302, http.Header{"Location": {"https://user:pass@other.example.com/x"}}, "", "sends us to https://other.example.com/x", "the address that Kibana itself has")
	f(301, http.Header{"Location": {"https://127.0.0.1/api"}}, "", "sends us to https://127.0.0.1/api", "the address that Kibana itself has")
	f(302, http.Header{"Location": {"/spaces/space_selector"}}, "", "name the space")
	f(400, http.Header{"X-Elastic-Product": {"Elasticsearch"}}, `{"error":"no handler found for uri [/api/saved_objects/_import] and method [POST]"}`, "this is Elasticsearch, not Kibana")
	f(200, nil, `<html>hello</html>`, "no Kibana")
	f(200, nil, `{}`, "no Kibana")
	f(502, nil, `<html>bad gateway</html>`, "status 502", "no Kibana")
	f(200, kbn, `{"success":false,"successCount":1,"errors":[{"type":"search","id":"gatebook-x","error":{"type":"missing_references","references":[{"type":"index-pattern","id":"gatebook-events"}]}},`+
		`{"type":"dashboard","id":"gatebook-y","error":{"type":"conflict"}},{"type":"dashboard","id":"gatebook-z","error":{"type":"unknown","message":"bad\u001b[31m\nthing","statusCode":400}},{"type":"map","id":"m","error":{"type":"unsupported_type"}}]}`,
		"Kibana refused 4", "search gatebook-x: it refers to what is not there: index-pattern gatebook-events", "dashboard gatebook-y: an object of that id is in another space", "gatebook-z: bad [31m thing", "does not know the type")
	f(200, kbn, `{"success":false,"successCount":0,"errors":[]}`, "does not say what")
	f(400, kbn, `{"message":"`+strings.Repeat("é", 5000)+`"}`, "...")
	f(200, kbn, `{"success":false,"successCount":0,"errors":[`+strings.TrimSuffix(strings.Repeat(`{"type":"t","id":"i","error":{"type":"unknown","message":"m"}},`, 50), ",")+`]}`, "refused 50", "and 40 more")

	s := answering(t, 200, kbn, `{"success":false,"success_count":1,"errors":[{"rule_id":"gatebook-a","error":{"status_code":400,"message":"unknown field"}}]}`)
	got, err := client(t, kibana.ClientConfig{URL: s.URL}).ImportRules(context.Background(), []byte(`{"rule_id":"gatebook-a"}`))
	if got.Count != 1 || err == nil || !strings.Contains(err.Error(), "gatebook-a: unknown field") {
		t.Errorf("%+v, %v", got, err)
	}
	s = answering(t, 403, kbn, `{"message":"API [POST] is unauthorized"}`)
	if _, err = client(t, kibana.ClientConfig{URL: s.URL}).ImportRules(context.Background(), []byte(`{"rule_id":"gatebook-a"}`)); err == nil || !strings.Contains(err.Error(), "Security (all)") {
		t.Error(err)
	}
}

// What is not ours is not sent.
func TestImportOnlyOurs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	defer s.Close()
	k := client(t, kibana.ClientConfig{URL: s.URL})
	f := func(want, file string) {
		t.Helper()
		if _, err := k.ImportObjects(context.Background(), []byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := k.ImportRules(context.Background(), []byte(strings.ReplaceAll(file, `"id"`, `"rule_id"`))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(`"theirs", which does not begin with gatebook-`, `{"id":"gatebook-a"}`+"\n"+`{"id":"theirs"}`)
	f("object 1", `{"id":7}`)
	f("object 2: ", `{"id":"gatebook-a"}`+"\n"+`{"id":`)
	f("nothing to bring in", "\n")
}

func TestStatus(t *testing.T) {
	f := func(status int, header http.Header, body, want, wantErr string) {
		t.Helper()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" || r.URL.Path != "/base/api/status" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			for name, v := range header {
				w.Header()[name] = v
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		defer s.Close()
		got, err := client(t, kibana.ClientConfig{URL: s.URL + "/base", Space: "soc"}).Status(context.Background())
		if got != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %q, %v; want %q, %q", body, got, err, want, wantErr)
		}
	}
	of := func(version string) string {
		return fmt.Sprintf(`{"name":"k","uuid":"u","version":{"number":%q,"build_number":1},"status":{"overall":{"level":"available","summary":"All good"}}}`, version)
	}
	f(200, nil, of("8.9.0"), "8.9.0", "")
	f(200, nil, of("8.19.13"), "8.19.13", "")
	f(200, nil, of("9.2.0"), "9.2.0", "")
	f(200, nil, `{"status":{"overall":{"level":"available"}}}`, "", "") // shown to those who have not logged in
	f(200, nil, of("8.8.2"), "8.8.2", "is too old")
	f(200, nil, of("7.17.0"), "7.17.0", "take Kibana 8.9 or later")
	f(200, http.Header{"Osd-Name": {"osd"}}, of("2.19.1"), "", "OpenSearch Dashboards")
	f(503, nil, `{"version":{"number":"8.9.0"},"status":{"overall":{"level":"critical","summary":"Elasticsearch is gone"}}}`, "8.9.0", "Kibana is critical: Elasticsearch is gone")
	f(503, nil, "Kibana server is not ready yet", "", "wait until Kibana is ready")
	f(401, http.Header{"Kbn-Name": {"k"}}, `{"message":"Unauthorized"}`, "", "give an API key")
	f(200, nil, `"hello"`, "", "no Kibana")
	f(404, nil, `404 page not found`, "", "server.basePath")
}

// Credentials go to nobody else, and a certificate that nobody vouches for ends it.
func TestConnections(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	s := answering(t, 307, http.Header{"Location": {other.URL + "/api/status"}}, "")
	f := func(c kibana.ClientConfig, want string) {
		t.Helper()
		c.Username, c.Password = "elastic", "hunter2"
		_, err := client(t, c).Status(context.Background())
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		var e *kibana.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(kibana.ClientConfig{URL: s.URL}, "sends us to "+other.URL)
	ready := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"version":{"number":"9.0.0"},"status":{"overall":{"level":"available"}}}`)
	})
	secure := httptest.NewUnstartedServer(ready)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	f(kibana.ClientConfig{URL: secure.URL}, "give the PEM file of the authority")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	f(kibana.ClientConfig{URL: secure.URL, CA: ca}, "")
	f(kibana.ClientConfig{URL: strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), CA: ca}, "a name that stands in Kibana's certificate")
	f(kibana.ClientConfig{URL: strings.Replace(s.URL, "http:", "https:", 1)}, "write http:// in the address")
	s.Close()
	f(kibana.ClientConfig{URL: s.URL}, "nothing listens there")
}
