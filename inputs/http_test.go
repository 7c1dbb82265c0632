package inputs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Objects, lists and lines become lines; the answer comes after the fsync.
func TestHTTPTakesRecords(t *testing.T) {
	sink := newTestSink()
	r := start(t, "http", "path = \"/hook\"\nparser = \"json\"", sink, Env{})
	f := func(body, want string, headers ...string) {
		t.Helper()
		before := len(sink.texts())
		got := r.want(200, "POST", "/hook", body, headers...)
		lines := sink.texts()[before:]
		if strings.Join(lines, "|") != want || got.body != fmt.Sprintf(`{"accepted":%d}`, len(lines)) {
			t.Errorf("%s: %q, answer %s", body, lines, got.body)
		}
	}
	f(`{"a":1}`, `{"a":1}`)
	f("{\n \"a\": 1\n}\n", "{\n \"a\": 1\n}", "Content-Type", "application/vnd.x+json; charset=utf-8")
	f(`[{"a":1}, {"a":2},"a line"]`, `{"a":1}|{"a":2}|a line`)
	f("{\"a\":1}\r\n\n {\"a\":2}", `{"a":1}|{"a":2}`, "Content-Type", "application/x-ndjson")
	f("[]", "")
	f(zipped(`{"a":1}`), `{"a":1}`, "Content-Encoding", "gzip")
	if s := sink.sources[0]; s.Key != "/hook|127.0.0.1" || s.Parser != "json" || s.Envelope != "" || s.SenderIP != "127.0.0.1" || s.SenderName != "" {
		t.Errorf("%+v", s)
	}

	sink.held = true
	answers := make(chan reply, 1)
	for len(sink.arrived) > 0 {
		<-sink.arrived
	}
	go func() { answers <- r.do("POST", "/hook", `{}`) }()
	<-sink.arrived
	select {
	case got := <-answers:
		t.Fatalf("answered before the fsync: %+v", got)
	default:
	}
	sink.release(errDisk)
	if got := <-answers; got.status != 503 {
		t.Errorf("%+v", got)
	}
}

// What is wrong is told, with its place.
func TestHTTPRefuses(t *testing.T) {
	sink, full := newTestSink(), false
	r := start(t, "http", simpleKey+"\nmax_body = \"2KiB\"\nmax_line = \"1KiB\"", sink, Env{Full: func() bool { return full }})
	f := func(status int, body, want string, headers ...string) {
		t.Helper()
		got := r.want(status, "POST", "/", body, headers...)
		if !strings.Contains(got.body, want) || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	f(400, "", "empty")
	f(400, `{"a":1`, "line 1, column 6: unexpected end of JSON input")
	f(400, "{\n  \"a\": x\n}", "line 2, column 8: invalid character 'x'")
	f(400, "{\"a\":1}\n{\"b\":}\n", "line 2, column 6: invalid character '}'")
	f(400, "{\"a\":1}\n7\n", "line 2 is not an object")
	f(400, `[{"a":1},7]`, "element 2 of the list")
	f(400, "7", "no object and no list")
	f(400, "hello", "line 1, column 1")
	f(413, `{"a":"`+strings.Repeat("x", 1024)+`"}`, "record 1 is longer than max_line")
	f(413, strings.Repeat(" ", 3000), "longer than 2048 bytes")
	f(415, "a=b", "only JSON", "Content-Type", "application/x-www-form-urlencoded")
	f(415, "{}", "only gzip", "Content-Encoding", "br")
	f(401, "{}", "missing or unknown key", "Authorization", "Bearer x")
	r.want(404, "POST", "/other", "{}")
	r.want(405, "GET", "/", "")
	full = true
	f(429, "{}", "buffer is full")
	if n := len(sink.texts()); n != 0 {
		t.Errorf("%d lines", n)
	}
}

// Signatures as GitHub, Slack and others make them, each with a path and a parser of its own.
func TestHTTPSignatures(t *testing.T) {
	sink := newTestSink()
	r := start(t, "http", `
key "github" {
  path = "/github"
  hmac { secret = "s1" }
}
key "slack" {
  path   = "/slack"
  parser = "raw"
  hmac {
    header    = "X-Slack-Signature"
    prefix    = "v0="
    secret    = "s2"
    timestamp = "X-Slack-Request-Timestamp"
    content   = "v0:{timestamp}:{body}"
  }
}
key "legacy" {
  path = "/github"
  hmac {
    header    = "X-Sign"
    algorithm = "sha1"
    encoding  = "base64"
    secret    = "s3"
  }
}`, sink, Env{})
	r.header = http.Header{}
	sign := func(secret, text string) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(text))
		return hex.EncodeToString(m.Sum(nil))
	}
	const body = `{"a":1}`
	last := func(want string) {
		t.Helper()
		if got := sink.sources[len(sink.sources)-1].SenderName; got != want {
			t.Errorf("sender %q", got)
		}
	}
	r.want(200, "POST", "/github", body, "X-Hub-Signature-256", "sha256="+sign("s1", body))
	last("github")
	m := hmac.New(sha1.New, []byte("s3"))
	m.Write([]byte(body))
	r.want(200, "POST", "/github", body, "X-Sign", base64.StdEncoding.EncodeToString(m.Sum(nil)))
	last("legacy")
	r.want(401, "POST", "/github", body+" ", "X-Hub-Signature-256", "sha256="+sign("s1", body))
	r.want(401, "POST", "/github", body, "X-Hub-Signature-256", sign("s1", body))
	r.want(401, "POST", "/github", body, "X-Hub-Signature-256", "sha256=zz")
	r.want(401, "POST", "/github", body)
	r.want(401, "POST", "/slack", body, "X-Hub-Signature-256", "sha256="+sign("s1", body))
	r.want(415, "POST", "/github", zipped(body), "X-Hub-Signature-256", "sha256="+sign("s1", body), "Content-Encoding", "gzip")
	at := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	slack := func(status int, stamp, signed string) {
		t.Helper()
		r.want(status, "POST", "/slack", body, "X-Slack-Request-Timestamp", stamp, "X-Slack-Signature", "v0="+sign("s2", "v0:"+signed+":"+body))
	}
	now, old := at(0), at(-time.Hour)
	slack(200, now, now)
	last("slack")
	slack(401, old, old)
	slack(401, now, old)
	slack(401, "soon", "soon")
	if n := figure(r.input, "http_unauthorized_total", ""); n != 8 {
		t.Errorf("%v unauthorized counted", n)
	}
	if n := figure(r.input, "http_items_total", "github"); n != 1 {
		t.Errorf("%v of github", n)
	}
}

// FuzzHTTPBody: any body is split or refused; what is taken is in the body, and JSON objects unless it is a text of a list.
func FuzzHTTPBody(f *testing.F) {
	f.Add(`{"a":1}`)
	f.Add(`[{"a":1},"x\n"]`)
	f.Add("{}\n{}\r\n\n{\"a\":[")
	f.Add("\ufeff{}")
	f.Fuzz(func(t *testing.T, body string) {
		lines, refused := splitJSON(body, 1000)
		if refused != nil {
			if refused.status < 400 || refused.reason == "" || lines != nil {
				t.Fatalf("%+v", refused)
			}
			return
		}
		list := strings.HasPrefix(strings.Trim(strings.TrimPrefix(body, "\ufeff"), " \t\r\n"), "[")
		total := 0
		for _, l := range lines {
			if !list && (!strings.Contains(body, l) || !isObject(strings.TrimLeft(l, "\r\n"))) || l == "" {
				t.Fatalf("%q of %q", l, body)
			}
			total += len(l)
		}
		if total > len(body) {
			t.Fatalf("%d bytes of %d", total, len(body))
		}
	})
}
