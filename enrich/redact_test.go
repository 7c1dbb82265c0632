package enrich

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

func redactText(r *Redactor, s string) string {
	e := event.Event{Original: s}
	r.Enrich(&e)
	return e.Original
}

func TestRedactText(t *testing.T) {
	r := NewRedactor(nil)
	f := func(in, want string) {
		t.Helper()
		if got := redactText(r, in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		} else if again := redactText(r, got); again != got {
			t.Errorf("a second time: %s", again)
		}
	}
	// key=value, key: value
	f("user=bob password=hunter22 ip=1.2.3.4", "user=bob password=[redacted] ip=1.2.3.4")
	f("password=hunter22", "password=[redacted]")
	f("PASSWORD = hunter22 x", "PASSWORD = [redacted] x")
	f("password: hunter22, user: bob", "password: [redacted], user: bob")
	f("password:hunter22", "password:[redacted]")
	f("{password=a,b;c, user=bob}", "{password=[redacted], user=bob}")
	f("(token=abcd1234)", "(token=[redacted])")
	f("pwd='two words' x=1", "pwd='[redacted]' x=1")
	f(`secret="a \" b" x`, `secret="[redacted]" x`)
	f("db_password=x1 dbpassword=x2 DB-PASSWORD=x3 newPassword=x4 X-Api-Key: x5 password2=x6 password_confirmation=x7 user[password]=x8",
		"db_password=[redacted] dbpassword=[redacted] DB-PASSWORD=[redacted] newPassword=[redacted] X-Api-Key: [redacted] password2=[redacted] password_confirmation=[redacted] user[password]=[redacted]")
	f("MYSQL_PWD=hunter22 mysql -u root", "MYSQL_PWD=[redacted] mysql -u root")
	f(":password => hunter22", ":password => [redacted]")
	f("otp=123456 pin: 1234 totp_code=999999 cvv=123", "otp=[redacted] pin: [redacted] totp_code=[redacted] cvv=[redacted]")
	f("pass\u0077ord=hunter22", "password=[redacted]")
	f("<password>hunter22</password><user>bob</user>", "<password>[redacted]</password><user>bob</user>")
	// JSON, nested and escaped
	f(`{"user":"bob","password":"hun\"ter","n":1}`, `{"user":"bob","password":"[redacted]","n":1}`)
	f(`{"password" : "hunter22"}`, `{"password" : "[redacted]"}`)
	f(`{"pin":1234,"tokens":["aaaa","bbbb"],"a":1}`, `{"pin":"[redacted]","tokens":"[redacted]","a":1}`)
	f(`{"m":"{\"password\":\"hun\\\"ter\",\"a\":1}"}`, `{"m":"{\"password\":\"[redacted]\",\"a\":1}"}`)
	f(`{"m":"login password=hunter22"}`, `{"m":"login password=[redacted]"}`)
	f(`{"m":"login password=hunter22\nnext"}`, `{"m":"login password=[redacted]\nnext"}`)
	f(`{"pa\u0073sword":"hunter22"}`, `{"pa\u0073sword":"[redacted]"}`)
	f(`{"password":null,"token":true}`, `{"password":null,"token":true}`)
	f(`{"password":"","user":"bob"}`, `{"password":"","user":"bob"}`)
	// addresses
	f("GET /login?user=bob&password=hunter22&x=1 HTTP/1.1", "GET /login?user=bob&password=[redacted]&x=1 HTTP/1.1")
	f("GET /?next=%2Fa%3Fpassword%3Dhunter22%26x%3D1", "GET /?next=%2Fa%3Fpassword%3D[redacted]%26x%3D1")
	f("GET /?pass%77ord=hunter22", "GET /?pass%77ord=[redacted]")
	f("https://bob:hunter22@example.com/x", "https://bob:[redacted]@example.com/x")
	f("https://bob@example.com:8080/x", "https://bob@example.com:8080/x")
	// headers
	f("Authorization: Basic Ym9iOmh1bnRlcjIy", "Authorization: [redacted]")
	f("authorization: Token abcdef x", "authorization: [redacted] x")
	f(`"Authorization":"Bearer abc.def.ghi"`, `"Authorization":"[redacted]"`)
	f("sent Bearer 0123456789abcdef end", "sent Bearer [redacted] end")
	f("Cookie: a=bbbb; c=dddd", "Cookie: [redacted]")
	f("Set-Cookie: PHPSESSID=abcdef; HttpOnly", "Set-Cookie: [redacted]")
	f("JSESSIONID=0123456789ABCDEF; x", "JSESSIONID=[redacted]; x")
	// commands
	f("COMMAND=/usr/bin/mysql -u root -phunter22 db", "COMMAND=/usr/bin/mysql -u root -p[redacted] db")
	f("COMMAND=/usr/bin/tool --password hunter22 --token=abcd x", "COMMAND=/usr/bin/tool --password [redacted] --token=[redacted] x")
	f("COMMAND=/usr/bin/sshpass -p hunter22 ssh -p 2222 host", "COMMAND=/usr/bin/sshpass -p [redacted] ssh -p 2222 host")
	f("COMMAND=/usr/bin/curl -u bob:hunter22 https://x/", "COMMAND=/usr/bin/curl -u bob:[redacted] https://x/")
	f("COMMAND=/usr/sbin/useradd -p $6$salt bob", "COMMAND=/usr/sbin/useradd -p [redacted] bob")
	// by form
	f("key -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "key [redacted] end")
	f("key -----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "key [redacted]")
	f("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----")
	f("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "jwt [redacted] end")
	f("AKIAIOSFODNN7EXAMPLE", "[redacted]")
	f("ghp_0123456789abcdefghij0123456789abcdef", "[redacted]")
	f("github_pat_0123456789abcdefghij_x", "[redacted]")
	f("xoxb-0123456789-abcdef", "[redacted]")
	f("card 4111 1111 1111 1111 and 5500-0000-0000-0004, 378282246310005.", "card [redacted] and [redacted], [redacted].")
	f("2026-11-22 4111111111111111", "2026-11-22 [redacted]")
}

// What only looks like a secret stays, byte for byte.
func TestRedactLeavesAlone(t *testing.T) {
	r := NewRedactor(nil)
	for _, s := range []string{
		"Nov 22 10:15:32 web1 sshd[1234]: Failed password for invalid user admin from 203.0.113.7 port 52134 ssh2",
		"Nov 22 10:15:32 web1 sshd[1234]: Accepted password for bob from 203.0.113.7 port 52134 ssh2",
		"Nov 22 10:15:32 web1 passwd[77]: pam_unix(passwd:chauthtok): password changed for alice",
		"Nov 22 10:15:32 web1 passwd: pam_unix(passwd:chauthtok): password changed for alice",
		"Nov 22 10:15:32 web1 chpasswd[77]: pam_unix(chpasswd:chauthtok): password changed for alice",
		"Nov 22 10:15:32 web1 sudo: pam_unix(sudo:auth): conversation failed; auth could not identify password for [bob]",
		"Nov 22 10:15:32 web1 sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/passwd alice",
		"Nov 22 10:15:32 web1 sudo: bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls -p -a -w",
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root",
		"Accepted publickey for bob from 203.0.113.7 port 1 ssh2: RSA SHA256:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
		"password_changed_at=2026 token_type=Bearer mapping=12345678 spin=2 tokenizer=x secretary=y",
		"basic authentication failed, bearer authentication required",
		"order 1234567890123 offset 1763819732000000000 id 4111111111111112 v4.111.1111.11111111",
		"https://example.com:8443/a@b",
		"message repeated 3 times: [ Failed password for root from 203.0.113.7 port 1 ssh2]",
		"2026-11-22T10:15:32.123456+01:00 web1 app: ok",
		"", "=", ":", "password=", "password", "password:", "-", "--", "-p", "<>", "%3D", "eyJ", "://", "password= user=bob",
	} {
		if got := redactText(r, s); got != s {
			t.Errorf("%s\n got %s", s, got)
		}
	}
}

func TestRedactedValueIsReplacedElsewhere(t *testing.T) {
	r := NewRedactor(nil)
	e := event.Event{Original: `{"password":"hun ter&22","user":"bob"}`, Message: "bob used hun ter&22", User: event.User{Name: "bob"}}
	e.Label("query", "p=hun+ter%2622")
	e.NeedURL().Original = "/x?p=hun%20ter%2622"
	e.NeedError().Message = `bad "hun ter\u002622"`
	e.New = `{"a":["hun ter&22",{"b":"x hun ter\u002622"}]}`
	e.UserKey = "hun ter&22"
	e.Source.IP = "203.0.113.7"
	r.Enrich(&e)
	got := fmt.Sprint(e.Original, "|", e.Message, "|", e.Labels, "|", e.URL.Original, "|", e.Error.Message, "|", e.New, "|", e.UserKey, "|", e.User.Name, e.Source.IP)
	want := `{"password":"[redacted]","user":"bob"}|bob used [redacted]|[{query p=[redacted]}]|/x?p=[redacted]|bad "[redacted]"|{"a":["[redacted]",{"b":"x [redacted]"}]}|[redacted]|bob203.0.113.7`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestRedactLabelsByKey(t *testing.T) {
	e := event.Event{Original: "bob,hunter22", Message: "row bob,hunter22"} // the key stood in the header of the file
	e.Label("user_password", "hunter22")
	NewRedactor(nil).Enrich(&e)
	if e.Labels[0].Value != redacted || e.Original != "bob,[redacted]" || e.Message != "row bob,[redacted]" {
		t.Errorf("got %+v %q %q", e.Labels, e.Original, e.Message)
	}
}

func TestRedactJSON(t *testing.T) {
	r := NewRedactor(nil)
	f := func(in, want string) {
		t.Helper()
		e := event.Event{Changes: event.Raw(in)}
		r.Enrich(&e)
		if string(e.Changes) != want {
			t.Errorf("%.80s\n got %s\nwant %s", in, e.Changes, want)
		}
	}
	f(`{"a":1,"b":[true,null,1.50],"c":"x"}`, `{"a":1,"b":[true,null,1.50],"c":"x"}`)
	f(`{"password":{"old":"aaaa","new":"bbbb"},"n":"aaaa bbbb"}`, `{"password":{"old":"[redacted]","new":"[redacted]"},"n":"[redacted] [redacted]"}`)
	f(`[{"field":"password","old":"aaaa","new":1234,"by":"bob"}]`, `[{"field":"password","old":"[redacted]","new":"[redacted]","by":"bob"}]`)
	f(`{"pa\u0073sword":"x"}`, `{"pa\u0073sword":"[redacted]"}`)
	f(`{"m":"{\"token\":\"abcd\"}"}`, `{"m":"{\"token\":\"[redacted]\"}"}`)
	f(`{"card":4111111111111111}`, `{"card":"[redacted]"}`)
	f(`{"password":`, string(rawRedacted))
	f(strings.Repeat("[", 5000)+strings.Repeat("]", 5000), string(rawRedacted))
}

// One secret in every text of the event, in many encodings: afterwards none holds it. The walk is by reflection, so that a field
// added to Event is covered or fails here.
func TestRedactCanary(t *testing.T) {
	const canary = "S3cr3t/C@n+ary q"
	r := NewRedactor(nil)
	forms := []string{canary, url.QueryEscape(canary), url.PathEscape(canary), "x" + canary + "y", `\"` + canary + `\"`,
		base64.StdEncoding.EncodeToString([]byte("bob:" + canary))}
	for i, form := range forms {
		var e event.Event
		for id := range event.Fields {
			if f := event.Fields[id]; f.Go != "" && f.Type != event.IP {
				_ = e.Set(event.FieldID(id), form) // those that cannot hold a text refuse it
			}
		}
		text, _ := json.Marshal(map[string]any{"list": []string{form}, "inner": map[string]string{"x": form}})
		e.Old, e.New, e.Changes, e.Session.Claims = event.Raw(text), event.Raw(text), event.Raw(text), event.Raw(text)
		e.NeedSyslog().StructuredData = event.Raw(text)
		e.Labels = []event.Label{{Key: "x", Value: form}}
		e.Realm = form
		e.Dataset, e.Input, e.Parser, e.ID, e.Category, e.Type = "d", "i", "p", "1", "", "" // ours, not the line's
		e.Original = `{"password":"` + canary + `","also":"` + form + `"} Authorization: Basic ` + forms[5]
		r.Enrich(&e)
		bad := append(forms[:5:5], "S3cr3t")
		if i == 5 {
			bad = nil // base64 of it elsewhere is beyond the promise, at its key it is not:
			if strings.Contains(e.Original, forms[5]) && strings.Contains(e.Original, "Basic "+forms[5]) {
				t.Errorf("Original: %s", e.Original)
			}
		}
		eachString(reflect.ValueOf(&e).Elem(), "Event", func(path, s string) {
			for _, b := range bad {
				if strings.Contains(s, b) {
					t.Errorf("%s: %.100q", path, s)
					return
				}
			}
		})
		for _, raw := range []event.Raw{e.Old, e.New, e.Changes, e.Session.Claims, e.Syslog.StructuredData} {
			if !gjson.Valid(string(raw)) {
				t.Errorf("not valid: %s", raw)
			}
		}
	}
}

func eachString(v reflect.Value, path string, f func(path, s string)) {
	switch v.Kind() {
	case reflect.String:
		f(path, v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			eachString(v.Elem(), path, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "rare" {
				eachString(v.Field(i), path+"."+name, f)
			}
		}
	}
}

// Every text of the struct is visited, but for those that are ours or addresses.
func TestEachTextVisitsAll(t *testing.T) {
	var e event.Event
	for id := range event.Fields {
		if event.Fields[id].Array {
			_ = e.Set(event.FieldID(id), "x") // makes the lists and the groups
		} else {
			_ = e.Set(event.FieldID(id), "1")
		}
	}
	e.NeedSyslog()
	seen := map[*string]bool{}
	eachText(&e, func(s *string) { seen[s] = true })
	eachRaw(&e, func(r *event.Raw) { seen[(*string)(r)] = true })
	ours := map[string]bool{"Kind": true, "Type": true, "Outcome": true, "Dataset": true, "ID": true, "DocID": true, "Category": true,
		"Input": true, "Parser": true, "Source.IP": true, "Sender.IP": true, "Related.IP[0]": true}
	var walk func(v reflect.Value, path string)
	n := 0
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.String:
			n++
			p := v.Addr().Convert(reflect.TypeFor[*string]()).Interface().(*string)
			if path = strings.TrimPrefix(path, "."); !seen[p] && !ours[path] {
				t.Errorf("%s is not visited", path)
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if name := v.Type().Field(i).Name; name != "rare" && name != "Labels" {
					walk(v.Field(i), path+"."+name)
				}
			}
		}
	}
	walk(reflect.ValueOf(&e).Elem(), "")
	if n < 150 {
		t.Errorf("only %d texts", n)
	}
}

func redactConfig(t *testing.T, src string) (*Redactor, string) {
	t.Helper()
	f, _ := conf.Parse("c.hcl", []byte(src), conf.WithEnv(func(string) (string, bool) { return "0123456789abcdef", true }))
	r := NewRedactor(f.Body().Block("redact").Body)
	f.Body().Close()
	return r, f.Diagnostics().Error()
}

func TestRedactConfig(t *testing.T) {
	r, errs := redactConfig(t, `redact {
  keys     = ["badge", "door code"]
  patterns = ["emp-([0-9]+)", "zz+"]
  hash     = { fields = ["user.email", "user.name"], key = env("K") }
}`)
	if errs != "" {
		t.Fatal(errs)
	}
	if got := redactText(r, "badge=1234 door_code: 99 emp-12345 zzzz password=x1"); got != "badge=[redacted] door_code: [redacted] emp-[redacted] [redacted] password=[redacted]" {
		t.Error(got)
	}
	var first string
	for _, mail := range []string{"Bob@Example.com", "bob@example.com"} {
		e := event.Event{Original: "login of " + mail + " bob bobby", Message: "BOB@example.com logged in", User: event.User{Name: "bob", Email: mail}}
		r.Enrich(&e)
		NewUserKey(nil).Enrich(&e)
		e.Finish()
		h := e.User.Email
		if first == "" {
			first = h
		}
		if !strings.HasPrefix(h, "hmac-") || len(h) != 21 || h != first || e.Message != h+" logged in" ||
			e.Original != "login of "+h+" "+e.User.Name+" bobby" || e.UserKey != e.User.Name || e.Related.User[1] != h {
			t.Errorf("got %q %q %q %q %q", h, e.Original, e.Message, e.UserKey, e.Related.User)
		}
	}
	f := func(src, want string) {
		t.Helper()
		if _, got := redactConfig(t, src); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	f(`redact { patterns = ["("] }`, `c.hcl:1:21: patterns: "(" is not a regular expression`)
	f(`redact { patterns = ["a*"] }`, `matches the empty text`)
	f(`redact { keys = ["--"] }`, `"--" has no letters`)
	f(`redact { hash = { fields = ["user.emial"], key = env("K") } }`, `unknown field "user.emial"; did you mean "user.email"?`)
	f(`redact { hash = { fields = ["source.ip"], key = env("K") } }`, `source.ip cannot hold a hash`)
	f(`redact { hash = { fields = ["user.name"], key = "short" } }`, `want at least 16 bytes`)
	f(`redact { hash = { fields = ["user.name"] } }`, `"key" is missing`)
	f(`redact { hosh = 1 }`, `unknown attribute "hosh"`)
}

func TestFromConfig(t *testing.T) {
	o := demo(t)
	f, _ := conf.Parse("c.hcl", []byte("geoip {\n city = \""+o.City+"\"\n asn = \""+o.ASN+"\"\n}\nredact {}\n"))
	c := FromConfig(Blocks{GeoIP: f.Body().Block("geoip").Body, Redact: f.Body().Block("redact").Body}, "", nil)
	if f.Diagnostics().HasErrors() || len(c.Enrichers()) != 4 {
		t.Fatalf("%v, %d enrichers", f.Diagnostics(), len(c.Enrichers()))
	}
	e := event.Event{Original: "password=hunter22", Source: event.Source{IP: "203.0.113.7"}, User: event.User{Name: "Bob"}, Realm: "web1"}
	c.Enrich(&e)
	if e.Source.Geo.CountryISO != "IS" || e.Original != "password=[redacted]" || e.UserKey != "web1/bob" || c.Reload() != nil {
		t.Errorf("got %+v", e)
	}
	bad := func(src, want string) {
		t.Helper()
		f, _ := conf.Parse("c.hcl", []byte(src))
		FromConfig(Blocks{GeoIP: f.Body().Block("geoip").Body}, "", nil)
		if got := f.Diagnostics().Error(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	bad("geoip {}", "names no database")
	bad(`geoip { city = "/none" }`, "c.hcl:1:16: city: cannot be used: no such file or directory")
	bad(`geoip { city = "`+o.City+`", }`, "c.hcl:1")
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{`{"password":"x","a":[1,{"token":{"b":2}}]}`, "password=a&b=c", "Authorization: Basic Ym9iOmh1bnRlcjIy",
		"https://a:b@c/", "-----BEGIN PRIVATE KEY-----", `\"pin\" : \\\"a\\\"`, "4111 1111 1111 1111", "<pin a='x'>b", "%3Dpass%3D", "mysql -pabc", "[[[["} {
		f.Add(s)
	}
	r := NewRedactor(nil)
	f.Fuzz(func(t *testing.T, s string) {
		e := event.Event{Original: s, Message: s, New: event.Raw(s)}
		e.Label("password", s)
		e.Label(s, s)
		quoted, _ := json.Marshal(map[string]string{"password": s, "x": s})
		e.Old = event.Raw(quoted)
		e.NeedURL().Original = s
		r.Enrich(&e)
		for _, raw := range []event.Raw{e.Old, e.New} {
			if raw != "" && !gjson.Valid(string(raw)) {
				t.Errorf("not valid JSON: %q", raw)
			}
		}
		if s != "" && e.Labels[0].Value != redacted {
			t.Errorf("label %q", e.Labels[0].Value)
		}
	})
}

const sshdLine = "Nov 22 10:15:32 web1 sshd[12345]: Failed password for invalid user admin from 203.0.113.77 port 52134 ssh2"

func BenchmarkRedactNothing(b *testing.B) {
	r := NewRedactor(nil)
	e := event.Event{Original: sshdLine, Dataset: event.DatasetPrefix + "linux.auth", Code: "sshd.failed"}
	b.SetBytes(int64(len(sshdLine)))
	b.ReportAllocs()
	for b.Loop() {
		r.Enrich(&e)
	}
}

func BenchmarkRedactNothingJSON(b *testing.B) {
	r := NewRedactor(nil)
	e := event.Event{Original: `{"time":"2026-11-22T10:15:32Z","level":"info","user":{"id":"42","name":"bob","roles":["admin"]},"action":"update","target":{"type":"card","id":"77"},"ip":"203.0.113.7","ua":"Mozilla/5.0 (X11; Linux x86_64)"}`}
	b.SetBytes(int64(len(e.Original)))
	b.ReportAllocs()
	for b.Loop() {
		r.Enrich(&e)
	}
}

func BenchmarkRedactOne(b *testing.B) {
	r := NewRedactor(nil)
	const line = "Nov 22 10:15:32 web1 app[12345]: login user=bob password=hunter22 ip=203.0.113.77"
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		e := event.Event{Original: line, Message: "bob logged in"}
		r.Enrich(&e)
	}
}
