package main

import (
	"fmt"
	"time"
)

const clf = "02/Jan/2006:15:04:05 -0700"

// nginxAccess is the access log of a web server.
func nginxAccess() (out []line) {
	say := func(at time.Time, ip, user, request string, status, bytes int, referrer, agent string) {
		out = append(out, line{at, fmt.Sprintf(`%s - %s [%s] "%s" %d %d "%s" "%s"`, ip, user, at.Format(clf), request, status, bytes, referrer, agent)})
	}
	for day := range days {
		for range 45 {
			at, agent := within(day, 6, 23), pick(agents...)
			ip := fmt.Sprintf("192.0.2.%d", 1+random.IntN(250))
			say(at, ip, "-", "GET "+pick("/", "/products", "/products/17", "/cart", "/static/app.js", "/login")+" HTTP/2.0", pick(200, 200, 200, 304, 404), 200+random.IntN(20000), pick("-", "https://www.example.com/"), agent)
		}
		for range 3 {
			say(within(day, 8, 18), "192.0.2.20", "ops", "GET /status HTTP/1.1", 200, 512, "-", "curl/8.9.1")
		}
	}
	at := first.AddDate(0, 0, 5).Add(3 * time.Hour)
	for i, path := range []string{"/.env", "/.git/config", "/wp-login.php", "/admin/", "/phpmyadmin/", "/api/v1/users?limit=10000", "/../../etc/passwd", "/backup.sql", "/server-status", "/cgi-bin/test.cgi"} {
		say(at.Add(time.Duration(i)*time.Second), "203.0.113.150", "-", "GET "+path+" HTTP/1.1", pick(403, 404), 153, "-", "Mozilla/5.0 zgrab/0.x")
	}
	say(at.Add(20*time.Second), "203.0.113.150", "-", `\x16\x03\x01\x00\xEE`, 400, 157, "-", "-")
	for i := range 25 {
		say(at.Add(time.Duration(60+i*2)*time.Second), "203.0.113.151", "-", "POST /login HTTP/1.1", 401, 90, "-", "python-requests/2.32")
	}
	return out
}

// apacheError is the error log of a web server that asks for passwords.
func apacheError() (out []line) {
	say := func(at time.Time, module, level, ip, text string) {
		out = append(out, line{at, fmt.Sprintf("[%s] [%s:%s] [pid %d:tid %d] [client %s:%d] %s", at.Format("Mon Jan 02 15:04:05.000000 2006"), module, level, 2000+random.IntN(20), 140000000000000+random.IntN(1000), ip, port(), text)})
	}
	for day := range days {
		for range 2 {
			say(within(day, 8, 19), "core", "info", fmt.Sprintf("192.0.2.%d", 10+random.IntN(100)), "AH00128: File does not exist: /srv/www/favicon.ico")
		}
		if random.IntN(2) == 0 {
			say(within(day, 8, 18), "auth_basic", "error", "192.0.2.16", `AH01617: user carol: authentication failure for "/reports": Password Mismatch`)
		}
	}
	at := first.AddDate(0, 0, 12).Add(6 * time.Hour)
	for i := range 20 {
		if i%3 == 0 {
			say(at.Add(time.Duration(i*5)*time.Second), "auth_basic", "error", "203.0.113.44", fmt.Sprintf("AH01618: user %s not found: /reports", pick("admin", "root", "test")))
		} else {
			say(at.Add(time.Duration(i*5)*time.Second), "auth_basic", "error", "203.0.113.44", `AH01617: user carol: authentication failure for "/reports": Password Mismatch`)
		}
	}
	say(at.Add(3*time.Minute), "authz_core", "error", "203.0.113.44", "AH01630: client denied by server configuration: /srv/www/.htpasswd")
	return out
}
