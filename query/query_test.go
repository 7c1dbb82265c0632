package query

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/event"
)

func sample() *event.Event {
	e := &event.Event{Time: event.TimeOf(time.Date(2026, 11, 22, 10, 15, 32, 0, time.UTC)), Action: event.Login, Outcome: event.Failure,
		Dataset: "gatebook.linux.auth", Message: "Failed login of Root", Tags: []string{"a", "b"}}
	e.User.Name, e.User.Roles, e.Source.IP, e.Host.Name, e.Process.Name = "Root", []string{"Admin", "staff"}, "203.0.113.7", "web1", "sshd"
	e.Severity, e.Risk, e.MFA.Used = event.LongOf(73), event.Float{F: 2.5, Valid: true}, event.True
	e.Label("shop", "north")
	e.Label("two", "1")
	e.Label("two", "2")
	return e
}

func parseHCL(t testing.TB, src string) (Expr, hcl.Diagnostics) {
	t.Helper()
	x, diags := hclsyntax.ParseExpression([]byte(src), "q", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", src, diags)
	}
	return FromHCL(x)
}

func TestHCLMatches(t *testing.T) {
	ev := sample()
	f := func(src string, want bool) {
		t.Helper()
		e, diags := parseHCL(t, src)
		if diags.HasErrors() {
			t.Errorf("%s: %v", src, diags)
			return
		}
		if got := Compile(e)(ev); got != want {
			t.Errorf("%s: got %v", src, got)
		}
		if got := Compile(Not{e})(ev); got == want {
			t.Errorf("not (%s): got %v", src, got)
		}
	}
	f(`event.action == "login" && event.outcome == "failure"`, true)
	f(`event.action == "logout" || event.action == "login" || event.action == "otp-request"`, true)
	f(`event.kind == "event"`, true)
	f(`event.severity >= 73 && event.severity < 73.5 && 72 < event.severity`, true)
	f(`event.risk_score > 2.4 && event.risk_score == 2.5`, true)
	f(`user.name == "ROOT" && user.name != "bob"`, true)
	f(`host.name == "WEB1"`, false)
	f(`lower(host.name) == "WEB1"`, true)
	f(`event.dataset == "linux.auth" && event.dataset == "gatebook.linux.auth" && data_stream.dataset == "linux.auth"`, true)
	f(`user.email == null && user.name != null && !(user.id != null)`, true)
	f(`user.email == "x"`, false)
	f(`user.email != "x"`, true)
	f(`event.duration < 5`, false)
	f(`tags == "b" && tags != "c"`, true)
	f(`tags != "a"`, false)
	f(`user.roles == "admin"`, false)
	f(`lower(user.roles) == "admin"`, true)
	f(`cidr(source.ip, "203.0.113.0/24") && !cidr(source.ip, "10.0.0.0/8", "2001:db8::/32")`, true)
	f(`cidr(source.ip, "::ffff:203.0.113.0/120") && source.ip == "::ffff:203.0.113.7"`, true)
	f(`contains(message, "login") && startswith(message, "Failed") && endswith(message, "Root") && matches(message, "^F.*t$")`, true)
	f(`contains(message, "LOGIN")`, false)
	f(`contains(lower(message), "LOGIN") && startswith(user.name, "ro") && matches(user.name, "^ro")`, true)
	f(`contains(["logout", "login"], event.action) && in(event.action, ["login"]) && in(source.ip, ["203.0.113.7"]) && in(event.severity, [1, 73])`, true)
	f(`contains(user.email, "")`, false)
	f(`gatebook.mfa.used && gatebook.mfa.used == true && gatebook.mfa.used != false`, true)
	f(`labels.shop == "north" && labels["two"] == "2" && labels.none == null && exists(labels.shop)`, true)
	f(`labels.two != "1"`, false)
	f(`time >= "2026-11-22" && time < "2026-11-22T10:15:33Z"`, true)
	f(`event.category == "authentication" && event.type == "start"`, true)
	f(`true`, true)
	f(`false || !true`, false)
	f(`process.pid != -1`, true)
}

func TestHCLErrorsPointAtTheWord(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		_, diags := parseHCL(t, src)
		var got []string
		for _, d := range diags {
			s := d.Subject
			got = append(got, fmt.Sprintf("%s: %s; %s", src[s.Start.Byte:s.End.Byte], d.Summary, d.Detail))
		}
		if g := strings.Join(got, "\n"); g != want {
			t.Errorf("%s\n got %s\nwant %s", src, g, want)
		}
	}
	f(`user.nmae == "x" && event.action == "logn"`, "user.nmae: unknown field \"user.nmae\"; did you mean \"user.name\"?\n\"logn\": \"logn\" is no value of event.action; did you mean \"login\"?")
	f(`ip == "x"`, `ip: unknown field "ip"; did you mean "source.ip"?`)
	f(`event.outcome == "ok"`, `"ok": "ok" is no value of event.outcome; it is one of success, failure, unknown`)
	f(`event.severity == "73"`, `"73": event.severity is of type long, and this is a text; numbers stand without quotes`)
	f(`user.name == 5`, `5: user.name is of type keyword, and this is a number; write "5"`)
	f(`source.ip == "x"`, `"x": source.ip is an address, and "x" is none; `)
	f(`source.ip > "1.1.1.1"`, `source.ip > "1.1.1.1": addresses have no order that > could ask for; use cidr()`)
	f(`cidr(source.ip, "1.2.3.4/99")`, `cidr(source.ip, "1.2.3.4/99"): "1.2.3.4/99" is not a network; write "203.0.113.0/24"`)
	f(`cidr(user.name, "1.2.3.4/9")`, `cidr(user.name, "1.2.3.4/9"): user.name is of type keyword, not an address; `)
	f(`user.name`, `user.name: user.name alone is no condition; compare it: user.name == "..."`)
	f(`user.name == host.name`, `host.name: a field can only be compared with a value; texts stand in quotes`)
	f(`user.name == "${host.name}"`, `"${host.name}": want a value here: a text in quotes, a number, true, false or null; `)
	f(`matches(user.name, "(")`, `matches(user.name, "("): "(" is not a regular expression: error parsing regexp: missing closing ): `+"`(?i)(`"+`; the syntax is RE2's`)
	f(`contain(user.name, "x")`, `contain: unknown function contain(); did you mean contains()?`)
	f(`exists(user.name, "x")`, `exists(user.name, "x"): exists() wants 1 arguments, got 2; the field comes first`)
	f(`event.original == "x"`, `event.original: event.original cannot be asked for: it is stored and not indexed; `)
	f(`agent.id == "x"`, `agent.id: agent.id cannot be asked for: it is the same for all events of a Gatebook; `)
	f(`user.name < null`, `user.name < null: null can only be asked for by == and !=; `)
	f(`event.severity + 1 == 2`, `event.severity + 1: want a field here; write FIELD == "value"`)
	f(`"text"`, `"text": this is no condition; write FIELD == "value", joined by && and ||`)
	f(`event.risk_score > 1e-99999999`, `1e-99999999: want a value here: a text in quotes, a number, true, false or null; `)
	f(`time > "yesterday"`, `"yesterday": @timestamp is a time, and "yesterday" is none; write "2026-11-22T10:15:32Z" or "2026-11-22"`)
}

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestSimple(t *testing.T) {
	ev := sample()
	f := func(q string, want bool) {
		t.Helper()
		e, err := ParseSimple(q, testNow, nil)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			return
		}
		if got := Compile(e)(ev); got != want {
			t.Errorf("%s: got %v", q, got)
		}
	}
	f("", true)
	f("user.name=root event.outcome=failure", true)
	f("user=root, outcome=failure", true)
	f("event_type=login Host=web1 ip=203.0.113.0/24 ip!=10.0.0.0/8", true)
	f("action!=login", false)
	f("severity>=73 severity<74", true)
	f(`message="Failed login of Root"`, true)
	f(`message~'login of'`, true)
	f("email=null user!=null", true)
	f("dataset=linux.auth labels.shop=north", true)
	f("since=-24h until=now", true)
	f("since=-1h", false)
	f("after=2026-11-22 before=2026-11-23", true)
	f(`since="2026-11-22 10:15:32" until=2026-11-22T10:15:33`, true)
	f("time>=2026-11-22T10:15:33Z", false)
	f("user.name=Root@x", false)
}

func TestSimpleErrors(t *testing.T) {
	f := func(q, caret, want string) {
		t.Helper()
		_, err := ParseSimple(q, testNow, nil)
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%s: got %v", q, err)
			return
		}
		if got := se.Caret(); got != q+"\n"+caret {
			t.Errorf("got\n%s\nwant\n%s\n%s", got, q, caret)
		}
		if se.Error() != want {
			t.Errorf("%s\n got %s\nwant %s", q, se, want)
		}
	}
	f("user.nmae=root", "^^^^^^^^^", `column 1: unknown field "user.nmae"; did you mean "user.name"?`)
	f("outcome=failure usr=x", "                ^^^", `column 17: unknown field "usr"; did you mean "user"?`)
	f("root", "^^^^", `column 1: want FIELD=VALUE here; write user.name=root, or outcome=failure, or since=-24h`)
	f("ä=1", "^", `column 1: unknown field "ä"; the fields are listed in docs/fields.md; what has no field of its own is labels.NAME`)
	f("user=", "^^^^^", `column 1: the value is missing; write user=VALUE, or user=null for events without it`)
	f(`user="x`, "     ^^", `column 6: the quote is not closed`)
	f("=x", "^", `column 1: want FIELD=VALUE here; write user.name=root, or outcome=failure, or since=-24h`)
	f("outcome=failed", "        ^^^^^^", `column 9: "failed" is no value of event.outcome; it is one of success, failure, unknown`)
	f("port=ssh", "     ^^^", `column 6: source.port is a number, and "ssh" is none`)
	f("since=tomorrow", "      ^^^^^^^^", `column 7: "tomorrow" is no time; write "2026-11-22T10:15:32Z", 2026-11-22, now, or a length before now such as -24h or -7d`)
	f("since>-1h", "^^^^^^", `column 1: since takes = only`)
	f("ip=300.1.1.1", "   ^^^^^^^^^", `column 4: source.ip is an address, and "300.1.1.1" is none`)
	f("ip=1.1.1.1/77", "   ^^^^^^^^^^", `column 4: "1.1.1.1/77" is not a network; write "203.0.113.0/24"`)
}

func FuzzSimple(f *testing.F) {
	f.Add(`user=root since=-24h message~"x\"y" ip!=1.0.0.0/8`)
	f.Fuzz(func(t *testing.T, q string) {
		e, err := ParseSimple(q, testNow, nil)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) {
				t.Fatalf("error without a place: %v", err)
			}
			_ = se.Caret()
			_ = se.Error()
			return
		}
		Compile(e)(sample())
		SQL(e)
	})
}

// What hostile text a question holds, the condition has only question marks of it.
func TestSQLHoldsNoText(t *testing.T) {
	const evil = `x' OR 1=1; --`
	for _, src := range []string{`user.name == "` + evil + `"`, `labels["` + evil + `"] == "` + evil + `"`, `contains(message, "` + evil + `")`,
		`in(event.code, ["` + evil + `"])`, `matches(tags, "` + evil + `")`, `startswith(event.code, "` + evil + `")`} {
		e, diags := parseHCL(t, src)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if where, args := SQL(Not{e}); strings.Contains(where, "OR 1") || len(args) == 0 {
			t.Errorf("%s: %s", src, where)
		}
	}
}

func TestCompiledAllocatesNothing(t *testing.T) {
	e, _ := parseHCL(t, `event.action == "login" && user.name == "root" && cidr(source.ip, "203.0.113.0/24") && event.type == "start" && tags == "b" &&
		event.category == "authentication" && labels.two == "2" && event.severity > 5 && contains(message, "login")`)
	f, ev := Compile(e), sample()
	if !f(ev) {
		t.Fatal("no match")
	}
	if n := testing.AllocsPerRun(100, func() { f(ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	e, err := ParseSimple("user=root outcome=failure action=login ip=203.0.113.0/24", testNow, nil)
	if err != nil {
		b.Fatal(err)
	}
	f, ev := Compile(e), sample()
	b.ReportAllocs()
	for b.Loop() {
		f(ev)
	}
}
