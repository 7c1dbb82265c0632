package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// squidFields are the fields of squid's native access log behind the time: "ELAPSED CLIENT CODE/STATUS BYTES METHOD URL USER HIERARCHY/PEER TYPE". squid
// escapes blanks in each of them.
type squidFields struct {
	elapsed, client, result, bytes, method, url, user string
}

func (f *squidFields) read(s string) bool {
	for _, p := range [...]*string{&f.elapsed, &f.client, &f.result, &f.bytes, &f.method, &f.url, &f.user} {
		*p, s = word(s)
		s = trimBlanks(s)
	}
	return f.user != "" && strings.IndexByte(f.result, '/') > 0
}

func squidLike(s string) bool {
	elapsed, rest := word(s)
	client, rest := word(rest)
	if !parseLong(elapsed).Valid || !isAddress(client) && !isHostName(client) {
		return false
	}
	result, rest := word(rest)
	_, status, ok := strings.Cut(result, "/")
	bytes, _ := word(rest)
	return ok && len(status) == 3 && parseLong(status).Valid && parseLong(bytes).Valid
}

// squidText reads a request of the proxy. One that names a user and is asked for a password again (407) is a refused login.
func squidText(ev *event.Event, s string) bool {
	var f squidFields
	if !f.read(s) {
		return false
	}
	ev.Service.Name, ev.Session.Protocol, ev.Process.Name = "squid", "http", "squid"
	address(ev, f.client)
	code, status, _ := strings.Cut(f.result, "/")
	h := ev.NeedHTTP()
	h.StatusCode = parseLong(status)
	h.ResponseBytes = parseLong(f.bytes)
	if f.method != "NONE" && f.method != "-" {
		h.Method = f.method
	}
	ev.NeedURL().Original = f.url
	if ms := parseLong(f.elapsed); ms.Valid && ms.N < 1<<40 {
		ev.Duration = event.LongOf(ms.N * 1e6)
	}
	if f.user != "-" {
		ev.User.Name = f.user
	}
	switch {
	case status == "407" && ev.User.Name != "":
		return refuse(ev, f.result, event.Login, "proxy login refused")
	case status == "407":
		return refuse(ev, f.result, event.Request, "proxy login required")
	case strings.Contains(code, "DENIED"), status >= "400":
		return refuse(ev, f.result, event.Request, f.result)
	}
	return say(ev, f.result, event.Request, event.Success)
}
