package enrich

import (
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// secretForms are the shapes in which a secret stands in a line; %% is the secret.
var secretForms = []string{
	// JSON: keys of one word and of several, nested, in a JSON text once and twice, cut off, not valid
	`{"password":"%%"}`, `{"New Password":"%%"}`, `{"Old Password": "%%"}`, `{"API Key":"%%"}`, `{"Recovery Codes":["%%"]}`, `{"One-Time Code":"%%"}`,
	`{"Private Key":"%%"}`, `{"clientSecret":"%%"}`, `{"access_token":"%%","token_type":"Bearer"}`, `{"a":{"b":[{"c":{"otp":"%%"}}]}}`,
	`{"m":"{\"password\":\"%%\"}"}`, `{"m":"{\"n\":\"{\\\"password\\\":\\\"%%\\\"}\"}"}`, `{"user":"bob","password":"%%`, `{"credentials":{"x":"1","y":"%%`, `{"credentials":{"email":"bob@example.org","password":"%%"}}`,
	`{'password': '%%'}`, `{password: %%}`, `{"passwor\u0064":"%%"}`, `{\u0022password\u0022:\u0022%%\u0022}`, `\x22password\x22:\x22%%\x22`, `{"body":"password=%%&x=1"}`,
	`{"secretData":"{\"value\":\"%%\"}"}`, `{"credentials":[{"type":"password","value":"%%"}]}`, `{"headers":{"authorization":["Bearer %%"]}}`,
	`{"Set-Cookie":["sid=%%"]}`, `{"Cookie":"a=%%; b=%%"}`, `{"session_cookie":"%%"}`,
	// diffs
	`{"password__added":"%%"}`, `{"password__deleted":"%%"}`, `{"password":{"_old":"%%1","_new":"%%"}}`, `{"diff":{"api_key":{"__old":"%%1","__new":"%%"}}}`,
	`{"attribute":"password","old":"%%1","new":"%%"}`, `{"field":"Password","from":"%%","to":"%%2"}`, `{"name":"Authorization","value":"Bearer %%"}`,
	`{"old":"%%","field":"client_secret"}`, `x {"field":"password","old":"%%`, `{"m":"{\"field\":\"password\",\"new\":\"%%\"}"}`, `{"type":"otp","code":"%%"}`,
	// key=value, headings, code
	`password=%%`, `pwd='a b %%'`, `password='it''s %%'`, `New Password: %%`, `API Key: %%`, `Verification code: %%`, `:password => %%`, `'password' => '%%'`,
	`[password] => %%`, `password = "%%"`, `user[password]=%%`, `user.password=%%`, `password:%%`,
	// XML, SOAP, forms
	`<wsse:Password Type="x#PasswordText">%%</wsse:Password>`, `<password><![CDATA[%%<>]]></password>`, `<user password="%%"/>`, `<param name="password">%%</param>`,
	`<param name="password" value="%%"/>`, `&lt;password&gt;%%&lt;/password&gt;`, `&quot;password&quot;:&quot;%%&quot;`, "<password>\n%%\n</password>",
	// URLs: query, fragment, userinfo, encoded once and twice
	`GET /login?user=bob&password=%%&x=1`, `GET /cb#access_token=%%&state=1`, `https://bob:%%@example.com/`, `redis://:%%@db/0`, `GET /?q=%7B%22password%22%3A%22%%%22%7D`,
	`GET /?q=%7B%22password%22%3A%20%22%%%22%7D`, `GET /?q=%257B%2522password%2522%253A%2522%%%2522%257D`, `GET /?next=%2Fa%3Fpassword%3D%%%26x`,
	`GET /?next=%252Fa%253Fpassword%253D%%%2526x`, `to=https%3A%2F%2Fbob%3A%%%40example.com`, `user%5Bpassword%5D=%%`, `p%61ssword=%%`, `password%253D%%`,
	`?X-Amz-Signature=%%`, `?api_key=%%`, `?SAMLResponse=%%`, `?code_verifier=%%`, `?jwt=%%`,
	// headers
	`Authorization: Bearer %%`, `authorization=Bearer%20%%&x=1`, `Authorization: Digest username="bob", nonce="1", response="%%"`, `Proxy-Authorization: Negotiate %%`,
	`curl -H "Authorization: Digest username=\"bob\", response=\"%%\""`, `X-Api-Key: %%`, `Cookie: session=%%; other=%%`, `JSESSIONID=%%`, `connect.sid=s%3A%%`,
	// commands
	`PGPASSWORD=%% psql`, `export DB_PASS=%%`, `mysql -p%% db`, `mysql --password=%%`, `tool --password %%`, `sshpass -p %% ssh x`, `curl -u bob:%% https://x`,
	`curl --user bob:%% https://x`, `curl -H 'Authorization: Bearer %%'`, `openssl enc -k %%`, `openssl -passin pass:%%`, `redis-cli -a %%`, `ldapsearch -w %%`,
	// keys
	`-----BEGIN RSA PRIVATE KEY-----\nMIIE%%\n-----END RSA PRIVATE KEY-----\n`, "-----BEGIN PRIVATE KEY-----\nMIIE%%", `-----BEGIN%20PRIVATE%20KEY-----%0AMII%%`,
	`{"key":"-----BEGIN EC PRIVATE KEY-----\\nMII%%\\n-----END EC PRIVATE KEY-----"}`, `k=-----BEGIN+PRIVATE+KEY-----%0AMII%%%0A-----END+PRIVATE+KEY-----`,
}

const canary = "Zq7canaryXk9wT"

func TestSecretFormsAreRedacted(t *testing.T) {
	r := NewRedactor(nil)
	for _, form := range secretForms {
		for _, around := range []string{"%%", "Nov 22 10:00:00 web1 app[7]: %%", "\xff\xfe%%"} {
			in := strings.ReplaceAll(around, "%%", strings.ReplaceAll(form, "%%", canary))
			ev := event.Event{Original: in, Message: in}
			ev.Label("copy", canary)
			r.Enrich(&ev)
			if strings.Contains(ev.Original+ev.Message, "canary") {
				t.Errorf("%q\n  gives %q", in, ev.Original)
			}
			if again := redactText(r, ev.Original); again != ev.Original {
				t.Errorf("%q\n  a second time %q", ev.Original, again)
			}
		}
	}
	for _, token := range []string{"sk_live_4eC39HqLyjWDarjtT1zdp7dc", "AIzaSyA1234567890abcdefghijklmnopqrstuv", "AKIAIOSFODNN7EXAMPLE", "gho_16C7e42F292c6912E7710c838347Ae178B4a",
		"xoxp-123456789012-abcdefghij", "glpat-abcdefghijklmnopqrst", "npm_abcdefghijklmnopqrstuvwxyz0123456789", "whsec_abcdefghijklmnopqrstuvwxyz012345",
		"shpat_abcdefabcdefabcdefabcdefabcdefab", "dop_v1_abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"} {
		if got := redactText(r, "used "+token+" today"); got != "used [redacted] today" {
			t.Errorf("%s: %s", token, got)
		}
	}
}

// Words about secrets are none; encoded and structured texts without one stay as they are, byte for byte.
func TestHarmlessFormsStay(t *testing.T) {
	r := NewRedactor(nil)
	for _, s := range []string{
		`{"eventType":"password_change","actor":"bob"}`, `password reset requested for bob`, `Invalid password`, `otp requested`, `{"status":"Invalid password","code":5}`,
		`{"token_type":"Bearer","expires_in":3600}`, `{"name":"password policy","value":"strict"}`, `{"field":"email","old":"a@example.org","new":"b@example.org"}`,
		`{"type":"password","from":"203.0.113.7","count":3}`, `{"method":"password","result":"failure"}`, `GET /search?q=%22hello%20world%22%3A1 HTTP/1.1`,
		`GET /a%2525b?x=%27quoted%27`, `a &lt;b&gt; &amp; &quot;c&quot;`, `\x22a\x22:\x22b\x22`, `{"name":"type","type":"name","value":"x"}`, `Location: /password/reset`,
		`<param name="user" value="bob"/>`, `session_id=8f14e45f id=4111 count=837465`, `{"passwordChangedAt":"2026-11-22","mfa":"otp","otpEnabled":true}`,
		`npm_config_registry=x sk_test_ whsec_1`, `User bob failed to enter the one-time code`, `-----BEGIN PUBLIC KEY-----`,
		`{"name":"CHANGE_PASSWORD","parameters":[{"name":"USER_EMAIL","value":"bob@example.com"}]}`, `{"authorization":{"action":"Microsoft.EventHub/read"}}`,
		`{"tokens":{"lifetime":600,"refresh":true}}`, `{"strategy":"jwt","credentials":{"jti":"j1"}}`, `{"credentials":{"email":"bob@example.org","password":"[redacted]"}}`, `(using password: YES)`, `{"password":"*****"}`,
		`{"uniqueQualifier":"-4744923097030659931"}`, `[{"key":"Legacy TLS","value":"Yes"},{"key":"Is CAE Token","value":"False"}]`,
		`{"credentialsNonExpired":true}`, `api keys rotated: 3`, `recovery codes were shown`,
	} {
		if got := redactText(r, s); got != s {
			t.Errorf("%s\n got %s", s, got)
		}
	}
}

func TestNotificationBodies(t *testing.T) {
	r := NewRedactor(nil)
	f := func(body, want string) {
		t.Helper()
		ev := event.Event{Original: `{"body":"` + body + `"}`, Message: body}
		ev.NeedNotification().Body = body
		r.Enrich(&ev)
		if ev.Notification.Body != want || ev.Message != want || ev.Original != `{"body":"`+want+`"}` {
			t.Errorf("%s\n got %s\n     %s\nwant %s", body, ev.Notification.Body, ev.Original, want)
		}
	}
	f("837465 is your verification code.", "[redacted] is your verification code.")
	f("Your one-time code is 204455, valid for 10 minutes.", "Your one-time code is [redacted], valid for 10 minutes.")
	f("Your temporary password is Xy7canary", "Your temporary password is [redacted]")
	f("OTP: 8374", "OTP: [redacted]")
	f("Reset it at https://example.com/password/reset/8f14e45fceea167a5a36dedd4bea2543?email=bob", "Reset it at https://example.com/password/reset/[redacted]?email=bob")
	for _, s := range []string{"Your password was changed on 2026-11-22 at 10:15 from 203.0.113.7.", "Your order 837465 of 3 items has been sent.",
		"Use your passcode to log in.", "Code of conduct, version 2 of 2026", "See https://example.com/password/reset/help"} {
		f(s, s)
	}
	ev := event.Event{Original: `GET /reset/8f14e45fceea167a5a36 HTTP/1.1`}
	ev.NeedURL().Path = "/reset/8f14e45fceea167a5a36"
	r.Enrich(&ev)
	if ev.URL.Path != "/reset/[redacted]" || strings.Contains(ev.Original, "8f14") {
		t.Errorf("got %q %q", ev.URL.Path, ev.Original)
	}
}

// No line of 64 KiB takes long, whatever is in it.
func TestRedactHostileLines(t *testing.T) {
	r := NewRedactor(nil)
	for _, part := range []string{" -p", "%22", "%25", `\x22`, "&quot;", `"field":"password",`, `{"field":"password","old":`, `<a name="pin">`, "password:[", "password={", `"password":"`,
		"x-----BEGIN", "-----BEGIN PRIVATE KEY-----", "://a:", "curl --user ", "mysql -p", "Authorization: Digest a=", `Authorization: Digest a="`, "a,password=b,", "eyJ", "<pin><![CDATA[",
		`\\\"password\\\":\\\"`, "4111 1111 1111 1111 ", "password=abcdef%d ", "/reset/", "api ", "key:", "1 code ", "%2525"} {
		line := strings.Repeat(part, 64<<10/len(part))
		ev := event.Event{Original: line, Message: line}
		ev.NeedNotification().Body = line
		ev.NeedURL().Path = line
		took := testkit.CPU(t, func() { r.Enrich(&ev) })
		if took > time.Second {
			t.Errorf("%q over and over: %s", part, took)
		} else if took > 100*time.Millisecond {
			t.Logf("%q over and over: %s", part, took)
		}
	}
}
