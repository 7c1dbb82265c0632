package inputs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// signature is how a sender proves a body by HMAC (RFC 2104): GitHub's, Slack's, Stripe's and many others' way.
type signature struct {
	header, prefix  string
	secret          []byte
	algorithm       func() hash.Hash
	decode          func(string) ([]byte, error)
	content         []string // what is signed: texts, "{timestamp}" and "{body}"
	timestampHeader string
	tolerance       time.Duration
}

func decodeSignature(b *conf.Body) *signature {
	defer b.Close()
	s := &signature{header: b.String("header", "X-Hub-Signature-256"), prefix: b.String("prefix", "")}
	if !b.Has("prefix") && strings.EqualFold(s.header, "X-Hub-Signature-256") {
		s.prefix = "sha256="
	}
	if b.Require("secret", `file("/etc/gatebook/hook.key")`) {
		if s.secret = []byte(b.String("secret", "")); len(s.secret) == 0 && b.Has("secret") {
			b.Errorf("secret", "is empty")
		} else {
			warnShort(b, "secret")
		}
	}
	s.algorithm = map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}[b.Enum("algorithm", "sha256", "sha256", "sha1", "sha512")]
	s.decode = hex.DecodeString
	if b.Enum("encoding", "hex", "hex", "base64") == "base64" {
		s.decode = base64.StdEncoding.DecodeString
	}
	s.timestampHeader = b.String("timestamp", "")
	s.tolerance = b.Duration("tolerance", 5*time.Minute, time.Second, 24*time.Hour)
	content := b.String("content", "{body}")
	s.content = splitContent(content)
	has := func(part string) bool { return strings.Contains(content, part) }
	switch {
	case !has("{body}"):
		b.Errorf("content", "lacks {body}: what is not signed could be changed")
	case s.timestampHeader != "" && !has("{timestamp}"):
		b.Errorf("content", "lacks {timestamp}: a time that is not signed proves nothing; write \"{timestamp}.{body}\" or as the sender signs it")
	case s.timestampHeader == "" && has("{timestamp}"):
		b.Errorf("timestamp", "is missing: name the header that holds the time, in seconds since 1970")
	}
	return s
}

// splitContent cuts a template into its parts.
func splitContent(s string) (parts []string) {
	for s != "" {
		at, part := len(s), ""
		for _, p := range [...]string{"{body}", "{timestamp}"} {
			if i := strings.Index(s, p); i >= 0 && i < at {
				at, part = i, p
			}
		}
		parts = append(parts, s[:at])
		if part != "" {
			parts = append(parts, part)
		}
		s = s[at+len(part):]
	}
	return parts
}

// given is what the headers say: the signature and the time of signing. False is what can be no signature of now.
func (s *signature) given(h http.Header, now time.Time) (sum []byte, timestamp string, ok bool) {
	text, ok := strings.CutPrefix(h.Get(s.header), s.prefix)
	if !ok || text == "" || len(text) > 256 {
		return nil, "", false
	}
	sum, err := s.decode(text)
	if err != nil || len(sum) != s.algorithm().Size() {
		return nil, "", false
	}
	if s.timestampHeader != "" {
		timestamp = h.Get(s.timestampHeader)
		at, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil || now.Sub(time.Unix(at, 0)).Abs() > s.tolerance {
			return nil, "", false
		}
	}
	return sum, timestamp, true
}

// verify says whether the headers prove the body.
func (s *signature) verify(h http.Header, body string, now time.Time) bool {
	want, timestamp, ok := s.given(h, now)
	if !ok {
		return false
	}
	mac := hmac.New(s.algorithm, s.secret)
	for _, part := range s.content {
		switch part {
		case "{body}":
			part = body
		case "{timestamp}":
			part = timestamp
		}
		_, _ = io.WriteString(mac, part) // never fails (documented)
	}
	return hmac.Equal(mac.Sum(nil), want)
}
