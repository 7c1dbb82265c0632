package rules

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/internal/testkit"
)

// exprCase reads a file of attributes as the expressions of one rule, each as its name says: when and except as conditions, the latter with
// prev and aggregates, term, by, title; "define NAME" blocks and "list NAME" blocks give names.
type exprCase struct {
	file    *conf.File
	attrs   []*hclsyntax.Attribute // in the order of the file
	defines map[string]Expr
	lists   map[string]*List
	broken  []string // defines in error
}

func readExprCase(t testing.TB, src []byte) *exprCase {
	t.Helper()
	c := &exprCase{defines: map[string]Expr{}, lists: map[string]*List{
		"nets": {Name: "nets", Kind: ListCIDR}, "admins": {Name: "admins", Kind: ListExact}, "agents": {Name: "agents", Kind: ListRegex}}}
	c.file, _ = conf.Parse("rule.hcl", src, conf.WithoutEnvironment())
	if c.file.Diagnostics().HasErrors() {
		return c
	}
	parsed, diags := hclsyntax.ParseConfig(src, "rule.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, a := range parsed.Body.(*hclsyntax.Body).Attributes {
		c.attrs = append(c.attrs, a)
	}
	slices.SortFunc(c.attrs, func(a, b *hclsyntax.Attribute) int { return a.NameRange.Start.Byte - b.NameRange.Start.Byte })
	return c
}

// reader makes the reader of a place: when, fire (also title), step.
func (c *exprCase) reader(place string) *exprReader {
	berlin, _ := time.LoadLocation("Europe/Berlin")
	x := &exprReader{file: c.file, zone: berlin,
		defined: func(name string) Expr { return c.defines[name] },
		list:    func(name string) *List { return c.lists[name] },
		names: func() []string {
			names := append([]string(nil), c.broken...)
			for n := range c.defines {
				names = append(names, n)
			}
			for n := range c.lists {
				names = append(names, n)
			}
			slices.Sort(names)
			return names
		}}
	switch {
	case strings.HasPrefix(place, "fire"), strings.HasPrefix(place, "title"), strings.HasPrefix(place, "term"), strings.HasPrefix(place, "define"):
		x.prev, x.aggregates = true, true
	case strings.HasPrefix(place, "step"):
		x.steps, x.aggregates = []string{"change", "", "login"}, true
	}
	return x
}

// read reads all expressions and returns what they mean, a line each; "" for one in error.
func (c *exprCase) read() string {
	var sb strings.Builder
	for _, a := range c.attrs {
		x, got := c.reader(a.Name), ""
		switch kind, rest, _ := strings.Cut(a.Name, "_"); kind {
		case "define":
			if e := x.condition(a.Expr); e != nil {
				c.defines[rest], got = e, canonical(e)
			} else {
				c.broken = append(c.broken, rest)
			}
		case "term":
			got = canonical(x.term(a.Expr))
		case "by":
			_, texts := x.groupings(a.Expr)
			got = strings.Join(texts, "; ")
		case "title":
			if t := x.template(a.Expr); t != nil {
				got = templateText(t)
			}
		default:
			got = canonical(x.condition(a.Expr))
		}
		sb.WriteString(a.Name + ": " + got + "\n")
	}
	return sb.String()
}

func templateText(t *Template) string {
	var parts []string
	for _, p := range t.Parts {
		switch {
		case p.Key:
			parts = append(parts, "<key>")
		case p.Expr != nil:
			parts = append(parts, "<"+canonical(p.Expr)+">")
		default:
			parts = append(parts, p.Text)
		}
	}
	return strings.Join(parts, "|")
}

const someDefines = `define_failed = event.action == "login" && event.outcome == "failure"
define_ok = event.action == "login" && event.outcome == "success"
define_far = gap_km(prev) > 300
`

// one reads one expression and returns its meaning; errors fail the test.
func one(t *testing.T, place, src string) string {
	t.Helper()
	c := readExprCase(t, []byte(someDefines+place+" = "+src+"\n"))
	got := c.read()
	if ds := c.file.Diagnostics(); ds.HasErrors() {
		t.Errorf("%s\n%v", src, ds)
		return ""
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], place+": ")
}

func TestExpressionErrors(t *testing.T) {
	testkit.Golden(t, "testdata/expr", func(t *testing.T, input []byte) []byte {
		c := readExprCase(t, input)
		c.read()
		var out bytes.Buffer
		if err := c.file.Diagnostics().Write(&out, true); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	})
}

func accept(t *testing.T) func(place, src, want string) {
	return func(place, src, want string) {
		t.Helper()
		if got := one(t, place, src); got != want {
			t.Errorf("%s\n got %s\nwant %s", src, got, want)
		}
	}
}

const failedText = `((event.action == "login") && (event.outcome == "failure"))`

func TestConditions(t *testing.T) {
	f := accept(t)
	f("when", `failed || ok`, `(`+failedText+` || ((event.action == "login") && (event.outcome == "success")))`)
	f("when", `failed && (user.name == "Bob" && (tags != "x"))`, `((event.action == "login") && (event.outcome == "failure") && (user.name == "bob") && (tags != "x"))`)
	f("when", `!(failed) && !!gatebook.mfa.used`, `(!`+failedText+` && !!(gatebook.mfa.used == true))`)
	f("when", `true`, `true`)
	f("when", `5 <= event.severity && 3 * 4 + 2 < event.risk_score && event.duration > duration("1m") * 1000`, `((event.severity >= 5) && (event.risk_score > 14) && (event.duration > 60000))`)
	f("when", `source.ip == "::ffff:203.0.113.9" && cidr(source.ip, "10.0.0.0/8", "2001:db8::1")`, `((source.ip == "203.0.113.9") && cidr(source.ip, "10.0.0.0/8", "2001:db8::1/128"))`)
	f("when", `null != user.email && source.geo.location == null && labels["a b"] == "x" && labels.a-b == "y"`, `(exists(user.email) && !exists(source.geo.location) && (labels.a_b == "x") && (labels.a-b == "y"))`)
	f("when", `time >= "2026-11-22" && "2026-11-22T00:00:00Z" > time`, `((time >= "2026-11-21T23:00:00Z") && (time < "2026-11-22T00:00:00Z"))`)
	f("when", `event.kind == "alert" && event.dataset == "linux.auth"`, `((event.kind == "alert") && (event.dataset == "gatebook.linux.auth"))`)
	f("when", `lower(host.name) == "WEB" && lower(user.name) != "ROOT"`, `((lower(host.name) == "web") && (user.name != "root"))`)
	f("when", `contains(user.name, "X") && startswith(message, "a") && endswith(lower(message), "B") && matches(message, "^a{2}$")`,
		`(contains(user.name, "x") && startswith(message, "a") && endswith(lower(message), "b") && matches(message, "^a{2}$"))`)
	f("when", `contains(["login", "logout"], event.action) && in(event.severity, [1, 2]) && in(source.ip, ["203.0.113.9"])`,
		`(in(event.action, ["login", "logout"]) && ((event.severity == 1) || (event.severity == 2)) && in(source.ip, ["203.0.113.9"]))`)
	f("when", `contains(list.nets, source.ip) && in_list(user.name, "admins") && in_list(tags, list.agents) && contains(list["admins"], source.as.number)`,
		`(in_list(source.ip, list.nets) && in_list(user.name, list.admins) && in_list(tags, list.agents) && in_list(source.as.number, list.admins))`)
	f("when", `exists(user.name) && exists(lower(user.roles))`, `(exists(user.name) && exists(user.roles))`)
	f("when", `user.name == user.target.name && source.ip != gatebook.sender.ip`, `((user.name == user.target.name) && (source.ip != gatebook.sender.ip))`)
	f("when", `contains(message, user.name) && !startswith(domain_of(user.email), "Ex")`, `(contains(message, user.name) && !startswith(domain_of(user.email), "ex"))`)
	f("when", `outside("mon-fri 07:00-19:00") && within("fri-mon 22:00-06:00", "UTC")`,
		`(outside("mon 07:00-19:00, tue 07:00-19:00, wed 07:00-19:00, thu 07:00-19:00, fri 07:00-19:00", "Europe/Berlin") && `+
			`within("mon 00:00-06:00 22:00-24:00, tue 00:00-06:00, fri 22:00-24:00, sat 00:00-06:00 22:00-24:00, sun 00:00-06:00 22:00-24:00", "UTC"))`)
	f("when", `hour() < 6 || weekday("UTC") == 0`, `((hour("Europe/Berlin") < 6) || (weekday("UTC") == 0))`)
	f("when", `coalesce(user.email, user.name, "None") == "BOB" && domain_of(host.name) == "Example.org"`, `((coalesce(user.email, user.name, "none") == "bob") && (domain_of(host.name) == "example.org"))`)
	f("when", `coalesce(source.ip, gatebook.sender.ip) == "::ffff:192.0.2.1" && cidr(coalesce(source.ip, gatebook.sender.ip), "192.0.2.0/24")`,
		`((coalesce(source.ip, gatebook.sender.ip) == "192.0.2.1") && cidr(coalesce(source.ip, gatebook.sender.ip), "192.0.2.0/24"))`)
	f("when", `in(coalesce(user.email, user.name), ["A", "b"])`, `((coalesce(user.email, user.name) == "a") || (coalesce(user.email, user.name) == "b"))`)
	f("when", `coalesce(user.email, user.name) == null`, `(coalesce(user.email, user.name) == null)`)
	f("when", `event.end - event.start > duration("1h") && event.start + 60 >= time`, `(((event.end - event.start) > 3600) && ((event.start + 60) >= time))`)
	f("when", `-event.severity < -5 && (event.severity - 1) % 2 == 0 && 10 / event.severity > 1`, `(((0 - event.severity) < -5) && (((event.severity - 1) % 2) == 0) && ((10 / event.severity) > 1))`)
	f("when", "(failed && # why\n  ok)", `((event.action == "login") && (event.outcome == "failure") && (event.action == "login") && (event.outcome == "success"))`)
}

func TestFireConditions(t *testing.T) {
	f := accept(t)
	f("fire", `count() >= 5`, `(count() >= 5)`)
	f("fire", `5 < count(failed) && ratio(failed) > 0.8`, `((count(`+failedText+`) > 5) && (ratio(`+failedText+`) > 0.8))`)
	f("fire", `distinct(user.name) >= 10 && distinct(user.name, source.ip) > 1 && distinct([lower(host.name), source.ip]) > 1`,
		`((distinct(user.name) >= 10) && (distinct([user.name, source.ip]) > 1) && (distinct([lower(host.name), source.ip]) > 1))`)
	f("fire", `sum(http.response.body.bytes) > 1000 && min(event.severity) < max(event.severity) && rate() > 2.5`,
		`((sum(http.response.body.bytes) > 1000) && (min(event.severity) < max(event.severity)) && (rate() > 2.5))`)
	f("fire", `first_seen([user_agent.name, user_agent.os.name], "90d") && !first_seen(source.ip, "1d")`,
		`(first_seen([user_agent.name, user_agent.os.name], "2160h0m0s") && !first_seen(source.ip, "24h0m0s"))`)
	f("fire", `rarity(hour("UTC"), "60d") < 0.01`, `(rarity(hour("UTC"), "1440h0m0s") < 0.01)`)
	f("fire", `gap_km(prev) > 300 && speed_kmh(prev) > 900 && far`, `((gap_km(prev) > 300) && (speed_kmh(prev) > 900) && (gap_km(prev) > 300))`)
	f("fire", `count() >= 20 && count() > 3 * baseline("hour-of-week", "28d", 0.99)`, `((count() >= 20) && (count() > (3 * baseline("hour-of-week", "672h0m0s", 0.99))))`)
	f("fire", `since(prev) > duration("60d") || since(prev) == null`, `((since(prev) > 5.184e+06) || (since(prev) == null))`)
	f("fire", `active_distinct(source.geo.country_iso_code) >= 2 && active_distinct([source.ip, host.name]) >= 2`,
		`((active_distinct(source.geo.country_iso_code) >= 2) && (active_distinct([source.ip, host.name]) >= 2))`)
	f("fire", `prev.source.ip == null && source.ip != prev.source.ip && prev.user.name == "Bob" && prev.event.dataset == "linux.auth"`,
		`((prev.source.ip == null) && (source.ip != prev.source.ip) && (prev.user.name == "bob") && (prev.event.dataset == "gatebook.linux.auth"))`)
	f("fire", `contains(list.nets, prev.source.ip) && cidr(prev.source.ip, "10.0.0.0/8") && prev.gatebook.mfa.used && matches(prev.user.name, "^a") && exists(prev.labels.x)`,
		`(in_list(prev.source.ip, list.nets) && cidr(prev.source.ip, "10.0.0.0/8") && (prev.gatebook.mfa.used == true) && matches(prev.user.name, "^a") && (prev.labels.x != null))`)
	f("fire", `time - prev.time < 60 && prev.time > "2026-11-22"`, `(((time - prev.time) < 60) && (prev.time > 1.795302e+09))`)
	f("step", `ok && source.ip != change.source.ip && first_seen(source.ip, "90d") && lower(login.host.name) == "WEB"`,
		`((event.action == "login") && (event.outcome == "success") && (source.ip != step[0].source.ip) && first_seen(source.ip, "2160h0m0s") && (lower(step[2].host.name) == "web"))`)
}

func TestTextsAndGroupings(t *testing.T) {
	f := accept(t)
	f("title", `"${count()} failed logins for ${key}"`, `<count()>| failed logins for |<key>`)
	f("title", `"$${x} is %%{plain}"`, `${x} is %{plain}`)
	f("title", `"${key}"`, `<key>`)
	f("title", `""`, ``)
	f("title", `"${user.changes.roles} by ${coalesce(user.email, prev.user.name)}, ${since(prev) / 3600} h"`,
		`<user.changes.roles>| by |<coalesce(user.email, prev.user.name)>|, |<(since(prev) / 3600)>| h`)
	f("by", `[source.ip, lower(host.name)]`, `source.ip, lower(host.name)`)
	f("by", `[[gatebook.user.key], [source.ip], [source.ip, gatebook.user.key], [labels.shop]]`, `gatebook.user.key; source.ip; source.ip, gatebook.user.key; labels.shop`)
	f("by", `[]`, ``)
	f("by", `[coalesce(user.email, user.name), domain_of(user.email), hour("UTC")]`, `coalesce(user.email, user.name), domain_of(user.email), hour("UTC")`)
	f("term", `gatebook.session.id`, `gatebook.session.id`)
	f("term", `2 + 3 * 4`, `14`)
}

// What one field is asked is a Match, so that the engine's index and package query can have it.
func TestOneFieldIsAMatch(t *testing.T) {
	f := func(src string, want bool) {
		t.Helper()
		c := readExprCase(t, []byte("when = "+src+"\n"))
		e := c.reader("when").condition(c.attrs[0].Expr)
		if _, got := e.(*Match); got != want {
			t.Errorf("%s: %T %v", src, e, c.file.Diagnostics())
		}
	}
	f(`user.name == "x"`, true)
	f(`"x" == user.name`, true)
	f(`lower(host.name) != "x"`, true)
	f(`event.severity > 60 * 2`, true)
	f(`event.duration > duration("5m")`, true)
	f(`null == user.email`, true)
	f(`lower(user.email) != null`, true)
	f(`gatebook.mfa.used`, true)
	f(`gatebook.mfa.used == false`, true)
	f(`in(event.severity, [1, 2])`, true)
	f(`in_list(event.severity, [1, 2])`, true)
	f(`contains(["a"], user.roles)`, true)
	f(`matches((user.name), ("a"))`, true)
	f(`time > "2026-11-22"`, true)
	f(`user.name == user.target.name`, false)
	f(`contains(list.nets, source.ip)`, false)
	f(`hour() == 3`, false)
}

func TestEventAloneAndWalk(t *testing.T) {
	f := func(place, src string, want bool) {
		t.Helper()
		c := readExprCase(t, []byte(someDefines+place+" = "+src+"\n"))
		c.read()
		e := c.reader(place).condition(c.attrs[len(c.attrs)-1].Expr)
		if e == nil {
			t.Errorf("%s: %v", src, c.file.Diagnostics())
		} else if got := EventAlone(e); got != want {
			t.Errorf("%s: got %v", src, got)
		}
	}
	f("when", `failed && outside("mon 07:00-19:00") && contains(list.nets, coalesce(source.ip, gatebook.sender.ip))`, true)
	f("fire", `failed && count() > 5`, false)
	f("fire", `!far`, false)
	f("fire", `in_list(coalesce(user.email, prev.user.name), list.admins)`, false)
	f("step", `lower(coalesce(host.name, change.host.name)) == "x"`, false)
	f("fire", `event.severity + (1 - since(prev)) > 0`, false)
}
