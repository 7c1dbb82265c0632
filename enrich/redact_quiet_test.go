package enrich

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// fragments are what secrets, their names and what looks like them are made of.
var fragments = []string{"password", "PASSWD", "pass", "word", "token", "Token_", "secret", "pin", "otp", "api", "key", "Key", "cookie", "cookie2",
	"session_key", "k8", "42", "old", "new", "hash", "text", "_", "-", ".", " ", "  ", ":", "=", "://", "@", "%3D", "%3a", "%5B", "%5D", "%", ">", "<", "</",
	"\"", "'", "\\", "\\\"", `\u0070`, `\u00`, "[", "]", "{", "}", "(", ")", ",", ";", "&", "\n", "--", "-p", "-----BEGIN PRIVATE KEY-----", "xoxb-1234567890ab",
	"glpat-abcdefghijklmnop", "eyJhbGciOi", ".eyJ", "AKIAABCDEFGHIJKLMNOP", "ghp_aaaaaaaaaaaaaaaaaaaaaaaa", "github_pat_aaaaaaaaaaaaaaaaaaaaaaaa",
	"sk_live_aaaaaaaaaaaa", "Bearer abcdefgh12", "basic Ym9iOmh1bnRlcjIy", "mysql", "curl", "-u a:b", "4111111111111111", "4111 1111 1111 1111",
	"4111-1111-1111-1111", "378282246310005", "1", "22", "10:15:32", "2026-11-22", "203.0.113.9", "bob", "hunter2", "sshd[123]", "\xff", "é", "x", "%22", "%2522", "%253D", `\x22`, "&quot;", "&lt;", "&", "name", "field", "\":\"", "=\"", "code", "npm_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"AIzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "value"}

// What quiet clears, the scan would clear: it asks the same by a shorter way.
func TestQuietIsWhatTheScanSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, keys := range [][]string{nil, {"session_key", "k8", "4711", "x"}} {
		k := newKeySet(keys)
		loud := 0
		for range 200_000 {
			var b strings.Builder
			for range 1 + rng.IntN(9) {
				b.WriteString(fragments[rng.IntN(len(fragments))])
			}
			s := b.String()
			_, hit := k.find(s, 0)
			_, _, card := findCard(s, 0)
			want := !hit && !card && !strings.Contains(s, `\u00`) && len(k.namedSpans(s)) == 0 && k.quietEncoded(s)
			if got := k.quiet(s); got != want {
				t.Fatalf("quiet(%q) = %v, the scan says %v", s, got, want)
			}
			if !want {
				loud++
			}
		}
		if loud < 20_000 {
			t.Errorf("only %d of the texts held a secret", loud)
		}
	}
}

// mayEnd never turns a name away that match would know, with what may stand behind it.
func TestMayEndLetsEveryNamePass(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	parts := append(strings.Fields(partKeys+" "+wholeKeys+" "+headerKeys+" "+cookieKeys+" "+trailers), "a", "b2", "_", "-", ".", "1", "x_", "session", "key", "k8", "4711", "é")
	k := newKeySet([]string{"session_key", "k8", "4711", "q", "d-7"})
	hits := 0
	for range 300_000 {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			p := parts[rng.IntN(len(parts))]
			switch rng.IntN(4) {
			case 0:
				p = strings.ToUpper(p)
			case 1:
				p = strings.ToUpper(p[:1]) + p[1:]
			}
			b.WriteString(p)
		}
		w := b.String()
		if _, ok := k.match(w); !ok {
			continue
		}
		hits++
		if !k.mayEnd(w, true) || !k.mayEnd(w, false) {
			t.Fatalf("%q names a secret and mayEnd turns it away", w)
		}
	}
	if hits < 10_000 {
		t.Errorf("only %d names", hits)
	}
}

// Names with a number or a separator behind them, and encoded ones, are names still.
func TestRedactNumberedNames(t *testing.T) {
	r := NewRedactor(nil)
	for _, s := range []string{"password_2=hunter22", "password-2-=hunter22", `"password2":"hunter22"`, "user%5Bpassword%5D=hunter22", "cookie-2: a=hunter22",
		`{"passwor\u0064":"hunter22"}`, `{"\u0070assword\u0022":"hunter22"}`, `{"toke\u006e":"hunter22"}`, "password%201=hunter22"} {
		if got := redactText(r, s); strings.Contains(got, "hunter22") {
			t.Errorf("%q: %q", s, got)
		}
	}
}
