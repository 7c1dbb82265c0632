package query

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/event"
)

func mustHCL(t *testing.T, src string) Expr {
	t.Helper()
	e, diags := parseHCL(t, src)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	return e
}

func TestDSL(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		got, err := DSL(mustHCL(t, src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		if !json.Valid(got) {
			t.Errorf("%s: not JSON: %s", src, got)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", src, diff)
		}
	}
	f(`event.action == "login"`, `{"term":{"event.action":{"value":"login"}}}`)
	f(`event.action != "login"`, `{"bool":{"must_not":[{"term":{"event.action":{"value":"login"}}}]}}`)
	f(`event.action == "login" && event.outcome != "success" && !(tags == "a" || tags == "b")`,
		`{"bool":{"filter":[{"term":{"event.action":{"value":"login"}}}],"must_not":[{"term":{"event.outcome":{"value":"success"}}},{"term":{"tags":{"value":"a"}}},{"term":{"tags":{"value":"b"}}}]}}`)
	f(`event.action == "login" || source.ip == null`,
		`{"bool":{"should":[{"term":{"event.action":{"value":"login"}}},{"bool":{"must_not":[{"exists":{"field":"source.ip"}}]}}],"minimum_should_match":1}}`)
	f(`true`, `{"match_all":{}}`)
	f(`false || !true`, `{"match_none":{}}`)
	f(`true && (event.code == "a" || false)`, `{"term":{"event.code":{"value":"a"}}}`)
	f(`event.dataset == "linux.auth"`, `{"term":{"event.dataset":{"value":"gatebook.linux.auth"}}}`)
	f(`user.name == "Root"`, `{"term":{"user.name":{"value":"root","case_insensitive":true}}}`)
	f(`user.name == "" || user.name == "1001"`, `{"bool":{"should":[{"term":{"user.name":{"value":""}}},{"term":{"user.name":{"value":"1001"}}}],"minimum_should_match":1}}`)
	f(`user.name == "Ägir.x"`, `{"regexp":{"user.name":{"value":"[äÄ][gG][iIİ][rR]\\.[xX]","flags":"NONE"}}}`)
	f(`in(user.name, ["root", "Bob"])`, `{"bool":{"should":[{"term":{"user.name":{"value":"root","case_insensitive":true}}},{"term":{"user.name":{"value":"bob","case_insensitive":true}}}],"minimum_should_match":1}}`)
	f(`in(event.code, ["a", "b"])`, `{"terms":{"event.code":["a","b"]}}`)
	f(`in(event.code, ["a"])`, `{"term":{"event.code":{"value":"a"}}}`)
	f(`in(event.code, [])`, `{"match_none":{}}`)
	f(`in(source.ip, ["::ffff:203.0.113.7", "2001:db8::1"])`, `{"terms":{"source.ip":["203.0.113.7","2001:db8::1"]}}`)
	f(`event.code == "\"}}],\\x"`, `{"term":{"event.code":{"value":"\"}}],\\x"}}}`)
	f(`event.code > "b"`, `{"range":{"event.code":{"gt":"b"}}}`)
	f(`labels.a < "b"`, `{"range":{"labels.a":{"gte":"","lt":"b"}}}`)
	f(`labels["two words"] == "b"`, `{"term":{"labels.two_words":{"value":"b"}}}`)
	f(`lower(labels.a) == "B"`, `{"bool":{"filter":[{"exists":{"field":"labels.a"}},{"term":{"labels.a":{"value":"b","case_insensitive":true}}}]}}`)
	f(`event.severity >= 73`, `{"range":{"event.severity":{"gte":73}}}`)
	f(`event.severity >= 72.5`, `{"range":{"event.severity":{"gte":73,"lte":9223372036854775807}}}`)
	f(`event.severity == 72.5 || event.severity == 72.0`, `{"bool":{"should":[{"match_none":{}},{"term":{"event.severity":{"value":72}}}],"minimum_should_match":1}}`)
	f(`event.severity < 1e30`, `{"exists":{"field":"event.severity"}}`)
	f(`event.risk_score > 2.5 && event.risk_score < 1e39`, `{"bool":{"filter":[{"range":{"event.risk_score":{"gt":2.5}}},{"exists":{"field":"event.risk_score"}}]}}`)
	f(`gatebook.mfa.used`, `{"term":{"gatebook.mfa.used":{"value":true}}}`)
	f(`time >= "2026-11-22T10:15:32.123456789Z"`, `{"range":{"@timestamp":{"gte":"2026-11-22T10:15:32.123Z","format":"strict_date_optional_time"}}}`)
	f(`event.start == "1969-12-31T23:59:59.9999Z"`, `{"range":{"event.start":{"gte":"1969-12-31T23:59:59.999Z","lte":"1969-12-31T23:59:59.999Z","format":"strict_date_optional_time"}}}`)
	f(`cidr(source.ip, "203.0.113.77/24")`, `{"term":{"source.ip":{"value":"203.0.113.0/24"}}}`)
	f(`cidr(source.ip, "203.0.113.77/24", "2001:db8::/32")`, `{"terms":{"source.ip":["203.0.113.0/24","2001:db8::/32"]}}`)
	f(`cidr(source.ip, "::/0")`, `{"bool":{"should":[{"range":{"source.ip":{"gte":"::","lte":"::fffe:ffff:ffff"}}},{"range":{"source.ip":{"gte":"::1:0:0:0","lte":"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}}}],"minimum_should_match":1}}`)
	f(`contains(process.name, "a*b?\\")`, `{"wildcard":{"process.name":{"value":"*a\\*b\\?\\\\*"}}}`)
	f(`startswith(process.name, "a*")`, `{"prefix":{"process.name":{"value":"a*"}}}`)
	f(`endswith(user.email, "@Example.org")`, `{"wildcard":{"user.email":{"value":"*@example.org","case_insensitive":true}}}`)
	f(`endswith(user.email, "é")`, `{"regexp":{"user.email":{"value":".*[éÉ]","flags":"NONE"}}}`)
	f(`contains(message, "") && exists(message)`, `{"bool":{"filter":[{"exists":{"field":"message"}},{"exists":{"field":"message"}}]}}`)
	f(`matches(process.name, "^ssh")`, `{"regexp":{"process.name":{"value":"ssh.*","flags":"NONE"}}}`)
	f(`matches(user.name, "^ro$")`, `{"regexp":{"user.name":{"value":"[Rr][Oo]","flags":"NONE"}}}`)

	refused := func(src, want string) {
		t.Helper()
		_, err := DSL(mustHCL(t, src))
		var fe *FieldError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	refused(`event.code == "a" && contains(message, "x")`, `contains(message, "x")`)
	refused(`message != "x"`, `message == "x"`)
	refused(`user.name < "x"`, `user.name < "x"`)
	refused(`contains(labels.a, "x")`, `labels.a`)
	refused(`matches(labels.a, "x")`, `labels.a`)
	refused(`matches(event.code, "\\bx")`, `word boundaries`)
	refused(`matches(event.code, "`+strings.Repeat("ab", 501)+`")`, `1000`)
}

func TestKQL(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		got, err := KQL(mustHCL(t, src), KQLOptions{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", src, diff)
		}
	}
	f(`event.action == "login" && (event.outcome != "success" || tags == "a") && !(tags == "b" || tags == "c")`,
		`event.action : "login" and (not event.outcome : "success" or tags : "a") and not (tags : "b" or tags : "c")`)
	f(`event.code == "a" || event.code == "b" && host.name == "c"`, `event.code : "a" or (event.code : "b" and host.name : "c")`)
	f(`source.ip == null`, `not source.ip : *`)
	f(`exists(message)`, `message : *`)
	f(`in(source.ip, ["203.0.113.7", "2001:db8::1"]) && event.code == "a"`, `(source.ip : "203.0.113.7" or source.ip : "2001:db8::1") and event.code : "a"`)
	f(`cidr(source.ip, "203.0.113.0/24", "2001:db8::/32")`, `source.ip : "203.0.113.0/24" or source.ip : "2001:db8::/32"`)
	f(`event.code == "a\" or *\\ \n{x}"`, `event.code : "a\" or *\\ \n{x}"`)
	f(`event.code == "a\\" && host.name == "x\\\\"`, `event.code : "a\u005c" and host.name : "x\\\u005c"`)
	f(`event.severity >= 73 && event.severity < -1`, `event.severity >= 73 and event.severity < "-1"`)
	f(`event.severity > 72.5`, `event.severity >= 73`)
	f(`event.risk_score == 2.5`, `event.risk_score : 2.5`)
	f(`gatebook.mfa.used != true`, `not gatebook.mfa.used : true`)
	f(`time >= "2026-11-22" && time < "2026-11-22T10:15:32.5Z"`, `@timestamp >= "2026-11-22T00:00:00.000Z" and @timestamp < "2026-11-22T10:15:32.500Z"`)
	f(`startswith(process.name, "a-b")`, `process.name : a-b*`)
	f(`contains(process.name, "or")`, `process.name : *or*`)
	f(`endswith(process.name, "é")`, `process.name : *é`)
	f(`labels.shop == "x y"`, `labels.shop : "x y"`)
	f(`user.name == "1001"`, `user.name : "1001"`)
	f(`event.code > "b"`, `event.code > "b"`)
	f(`true`, `*`)
	f(`!true`, `not *`)

	if got, err := KQL(mustHCL(t, `user.name == "Root"`), KQLOptions{ExactCase: true}); err != nil || got != `user.name : "root"` {
		t.Errorf("%s, %v", got, err)
	}
	refused := func(src, want string) {
		t.Helper()
		_, err := KQL(mustHCL(t, src), KQLOptions{})
		var fe *FieldError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
	refused(`event.code == "a" && user.name == "root"`, `user.name == "root"`)
	refused(`matches(event.code, "x")`, `regular expressions`)
	refused(`contains(message, "x")`, `message`)
	refused(`contains(event.code, "a b")`, `' '`)
	refused(`startswith(event.code, "a(")`, `'('`)
	refused(`contains(labels.a, "x")`, `labels.a`)
	refused(`labels.a < "x"`, `labels.a`)
	refused(`cidr(source.ip, "::/0")`, `::/0`)
}

func TestLucenePattern(t *testing.T) {
	f := func(pattern, want string) {
		t.Helper()
		got, err := lucenePattern(pattern)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", pattern, got, err, want)
		}
	}
	f(`a`, `.*a.*`)
	f(`^a$`, `a`)
	f(`^`, `.*`)
	f(`^$`, ``)
	f(`^^a`, `a.*`)
	f(`(^|:)root($|:)`, `(()|.*\:)root(()|\:.*)`)
	f(`^(a|b)$`, `[a-b]`)
	f(`^a|b$`, `(a.*|.*b)`)
	f(`^a+b*c?d{2,3}e{2,}$`, `(a)+(b)*(c)?(d){2,3}(e){2,}`)
	f(`^.$`, "[^\n]")
	f(`(?s)^.$`, `.`)
	f(`^[^a]$`, `[^a]`)
	f(`^[^/"]+$`, `([^\"\/])+`)
	f(`^\d\.\w$`, `[0-9]\.[0-9A-Z_a-z]`)
	f(`(?i)^k-`, "[Kk\u212a]\\-.*")
	f(`^"#@&<1-2>~$`, `\"\#\@\&\<1\-2\>\~`)
	f(`^(?:)a$`, `()a`)
	refused := func(pattern, want string) {
		t.Helper()
		got, err := lucenePattern(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v, want %q", pattern, got, err, want)
		}
	}
	refused(`a^b`, "ends")
	refused(`^(^a)?`, "ends")
	refused(`(^a)*`, "ends")
	refused(`(?m)^a`, "lines")
	refused(`\ba`, "word boundaries")
	refused(`[^\x00-\x{10FFFF}]`, "nothing")
}

// The whole numbers that the query asks for are those that the comparison in memory accepts, where they meet the limits of either too.
func TestIntegersThat(t *testing.T) {
	wants := []float64{0, 0.5, -0.5, 2.5, 1 << 53, 1<<53 + 2, -(1 << 60), 1 << 62, 1 << 63, -(1 << 63), 1e19, -1e19, 1e300, -1e300, math.Inf(1), math.Inf(-1)}
	for range 2000 {
		wants = append(wants, math.Ldexp(rand.Float64()-0.5, rand.IntN(66)))
	}
	for _, want := range wants {
		for op := Eq; op <= Ge; op++ {
			if op == Ne {
				continue
			}
			low, high, ok := integersThat(op, want)
			for _, n := range []int64{low, high, low - 1, low + 1, high - 1, high + 1, 0, 1, -1, math.MaxInt64, math.MinInt64, rand.Int64(), -rand.Int64()} {
				if in := ok && low <= n && n <= high; in != ordered(op, float64(n), want) {
					t.Fatalf("%d %s %v: %v, from %d to %d %v", n, op, want, in, low, high, ok)
				}
			}
		}
	}
}

// What ToLower makes of any character is what the pattern of its lower case finds.
func TestFoldedPatternHasAllForms(t *testing.T) {
	for r := rune(0); r < 0x20000; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		lower := []rune(strings.ToLower(string(r)))
		if len(lower) == 1 && !strings.ContainsRune(string(upperOf(lower[0])), r) {
			t.Errorf("%U: its lower case %U does not name it", r, lower[0])
		}
	}
}

func TestStoredFieldsAreRefused(t *testing.T) {
	for _, e := range []Expr{Exists{Field{ID: event.FieldEventOriginal}}, Compare{Field: Field{ID: event.FieldEventOriginal}}} {
		if _, err := DSL(e); err == nil || !strings.Contains(err.Error(), "stored") {
			t.Errorf("%T: %v", e, err)
		}
		if _, err := KQL(e, KQLOptions{}); err == nil || !strings.Contains(err.Error(), "stored") {
			t.Errorf("%T: %v", e, err)
		}
	}
}
