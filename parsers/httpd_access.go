package parsers

import (
	"net/netip"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// accessLog reads the access logs that nginx and Apache share: the Common Log Format, the combined one, and what sites put before
// and after it.
//
//	[vhost] [addresses] address identity user [time] "request" status bytes [time taken] ["referrer" "user agent"] [more ...]
//
// The servers escape quotes in what a client sends. So the first quote that stands behind a time, outside of quoted fields, opens
// the request line, and no user name or header can put a line of its own in its place.
type accessLog struct {
	dataset string
	name    string   // of the parser, in gatebook.parser
	service string   // service.type
	last    bool     // source.ip is the last of several addresses, not the first public one
	extra   []string // label keys of what follows the user agent, in order
}

// readAccessLog reads what the blocks of both servers share.
func readAccessLog(body *conf.Body, a *accessLog) {
	a.last = body.Enum("source", "public", "public", "last") == "last"
	a.extra = body.Strings("extra")
	if len(a.extra) > len(extraKeys) {
		body.Errorf("extra", "more than %d names", len(extraKeys))
	}
	for _, key := range a.extra {
		if key != event.LabelKey(key) {
			body.Errorf("extra", "%q: a name has letters, digits, '_' and '-', at most 64", key)
		}
	}
}

// extraKeys are the labels of further fields that have no name.
var extraKeys = [...]string{"extra_1", "extra_2", "extra_3", "extra_4", "extra_5", "extra_6", "extra_7", "extra_8", "extra_9", "extra_10",
	"extra_11", "extra_12", "extra_13", "extra_14", "extra_15", "extra_16"}

// tagMalformedRequest marks a request line that is none of HTTP's: a scanner, TLS on a plain port, garbage.
const tagMalformedRequest = "malformed-request"

// accessStart finds the request line: open is the place of its quote, bracket that of the time before it.
func accessStart(text string) (bracket, open int, at event.Time, ok bool) {
	for i := 0; i < len(text); {
		q := strings.IndexByte(text[i:], '"')
		if q < 0 {
			return 0, 0, 0, false
		}
		q += i
		if q > 0 && text[q-1] != ' ' {
			i = q + 1 // escaped, or part of a word
			continue
		}
		if bracket, at, ok = timeBefore(text, q); ok {
			return bracket, q, at, true
		}
		if end := quoteEnd(text, q+1); end < 0 {
			return 0, 0, 0, false
		} else {
			i = end + 1
		}
	}
	return 0, 0, 0, false
}

// timeBefore reads the time in brackets that ends one blank before q.
func timeBefore(text string, q int) (bracket int, at event.Time, ok bool) {
	if q < 22 || text[q-2] != ']' {
		return 0, 0, false
	}
	const longest = 40
	from := max(0, q-longest)
	bracket = strings.LastIndexByte(text[from:q-2], '[')
	if bracket < 0 {
		return 0, 0, false
	}
	bracket += from
	at, ok = accessTime(text[bracket+1 : q-2])
	return bracket, at, ok
}

// accessTime reads "22/Nov/2026:10:00:00 +0100", with a fraction too, or RFC 3339 (nginx's $time_iso8601).
func accessTime(s string) (event.Time, bool) {
	if len(s) < 26 || s[2] != '/' {
		return parseISO(s, nil)
	}
	day, month, year := two(s, 0), monthOf(s[3:]), two(s, 7)*100+two(s, 9)
	if s[6] != '/' || s[11] != ':' || s[14] != ':' || s[17] != ':' || month == 0 || year < 1700 || year > 2200 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	hour, minute, second := two(s, 12), two(s, 15), two(s, 18)
	i, nanos := fraction(s, 20)
	if hour > 23 || minute > 59 || second > 60 || len(s) != i+6 || s[i] != ' ' || s[i+1] != '+' && s[i+1] != '-' {
		return 0, false
	}
	eastHours, eastMinutes := two(s, i+2), two(s, i+4)
	if eastHours > 23 || eastMinutes > 59 {
		return 0, false
	}
	east := int64(eastHours*3600 + eastMinutes*60)
	if s[i+1] == '-' {
		east = -east
	}
	return event.Time((daysFromCivil(year, month, day)*secondsADay+int64(hour*3600+minute*60+second)-east)*1e9 + nanos), true
}

// quoteEnd finds the quote that closes a field, the first one from i on that is not escaped; -1 where there is none.
func quoteEnd(text string, i int) int {
	for start := i; i < len(text); {
		q := strings.IndexByte(text[i:], '"')
		if q < 0 {
			return -1
		}
		q += i
		slashes := 0
		for k := q - 1; k >= start && text[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			return q
		}
		i = q + 1
	}
	return -1
}

// requestEnd is quoteEnd for the request line, which a server that escapes nothing may have written: it ends where a status follows.
func requestEnd(text string, i int) int {
	first := -1
	for {
		q := quoteEnd(text, i)
		if q < 0 {
			return first
		}
		if first < 0 {
			first = q
		}
		if rest := text[q+1:]; len(rest) > 1 && rest[0] == ' ' && (rest[1] == '-' || len(rest) > 3 && isDigit(rest[1]) && isDigit(rest[2]) && isDigit(rest[3])) {
			return q
		}
		i = q + 1
	}
}

// parse fills the event of an access line; false says that it is none.
func (a *accessLog) parse(text string, ev *event.Event) bool {
	bracket, open, at, ok := accessStart(text)
	if !ok {
		return false
	}
	text, more, _ := strings.Cut(text, "\n") // an access line has no second one: an input joined what does not belong together
	if open >= len(text) {
		return false
	}
	end := requestEnd(text, open+1)
	if end < 0 {
		return false
	}
	status, rest := nextWord(text[end+1:])
	code, isCode := wholeNumber(status)
	if status != "-" && (!isCode || code < 0 || code > 999) {
		return false
	}
	ev.Dataset, ev.Parser, ev.Service.Type = a.dataset, a.name, a.service
	ev.Time = at
	ev.Action, ev.Outcome = event.Request, event.Unknown
	ev.Message = text[open : len(text)-len(rest)]
	a.clients(text[:bracket], ev)
	requestLine(ev, text[open+1:end])
	if isCode {
		setStatus(ev, status, int(code))
	}
	bytes, rest := nextWord(rest)
	if n, ok := wholeNumber(bytes); ok && n >= 0 {
		ev.NeedHTTP().ResponseBytes = event.LongOf(n)
	} else {
		// What stands there is no size: it belongs to what follows.
		if !absent(bytes) {
			rest = text[len(text)-len(rest)-len(bytes):]
		}
	}
	a.rest(ev, rest)
	ev.Label("continued", more)
	return true
}

// nextWord cuts the next word, which blanks stand around.
func nextWord(s string) (first, rest string) {
	i := 0
	for i < len(s) && s[i] == ' ' {
		i++
	}
	s = s[i:]
	if i = strings.IndexByte(s, ' '); i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

func setStatus(ev *event.Event, text string, status int) {
	ev.Code = text
	if status == 0 {
		return
	}
	ev.NeedHTTP().StatusCode = event.LongOf(int64(status))
	ev.Outcome = event.Success
	if status >= 400 {
		ev.Outcome, ev.Reason = event.Failure, statusReason(status)
	}
}

// clients reads what stands before the time: virtual host, addresses, identity, user.
//
// A user name may have blanks, so it is read last: addresses are taken from the left as long as they are such, or as something
// is left for identity and user.
func (a *accessLog) clients(s string, ev *event.Event) {
	var first, list string
	n := 0
	rest := trimBlanks(s)
	from := rest
	for rest != "" && n < 16 {
		group, single, after := addressGroup(rest)
		if n++; n == 1 && single && group != "-" && moreAddresses(after) {
			first = group
			from = trimBlanks(after)
		}
		rest = trimBlanks(after)
		list = trimBlanks(from[:len(from)-len(rest)])
		if !moreAddresses(rest) {
			break
		}
	}
	if first != "" {
		host, port := hostPort(first)
		ev.NeedURL().Domain = host
		if port.Valid {
			_, text, _ := strings.Cut(first[len(host):], ":")
			ev.Label("server_port", text)
		}
	}
	a.source(list, ev)
	identity, user, _ := strings.Cut(rest, " ")
	if identity != "-" {
		ev.Label("identity", identity)
	}
	if user = trimBlanks(user); user != "-" && user != `""` {
		ev.User.Name = user
	}
}

// addressGroup cuts a quoted field, or words joined by commas; single is a word alone.
func addressGroup(s string) (group string, single bool, rest string) {
	if s[0] == '"' {
		if end := quoteEnd(s, 1); end > 0 {
			return s[1:end], false, s[end+1:]
		}
	}
	single = true
	i := 0
	for {
		end := strings.IndexByte(s[i:], ' ')
		if end < 0 {
			return s, single, ""
		}
		i += end
		if s[i-1] != ',' {
			return s[:i], single, s[i:]
		}
		single = false
		for i < len(s) && s[i] == ' ' {
			i++
		}
		if i == len(s) {
			return s, single, ""
		}
	}
}

// moreAddresses says that s begins with another address, not with identity and user.
func moreAddresses(s string) bool {
	first, rest := nextWord(s)
	if first == "" || first == "-" {
		return false
	}
	if first[0] == '"' {
		return first != `""`
	}
	if strings.HasSuffix(first, ",") || isClientAddress(first) {
		return true
	}
	second, rest := nextWord(rest)
	return second == "-" && rest != ""
}

func isClientAddress(s string) bool {
	if c := s[len(s)-1]; !isDigit(c) && c != ':' && (c|0x20 < 'a' || c|0x20 > 'f') {
		return false
	}
	host, _ := hostPort(s)
	return event.ValidIP(host)
}

// hostPort takes a port off: "192.0.2.1:80", "[2001:db8::1]:80", "example.com:80". An address of IPv6 without brackets has none.
func hostPort(s string) (host string, port event.Long) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return s, port
		}
		if strings.HasPrefix(s[end+1:], ":") {
			port = portNumber(s[end+2:])
		}
		return s[1:end], port
	}
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || strings.IndexByte(s[:i], ':') >= 0 && event.ValidIP(s) {
		return s, port
	}
	if port = portNumber(s[i+1:]); port.Valid {
		return s[:i], port
	}
	return s, port
}

func portNumber(s string) event.Long {
	if n, ok := parseDigits(s); ok && n <= 65535 {
		return event.LongOf(n)
	}
	return event.Long{}
}

// source chooses source.ip from a list of addresses, which is kept whole where there are several: the first public one, as
// X-Forwarded-For has the client first; where none is public the first; by the config the last, which the server itself saw.
func (a *accessLog) source(list string, ev *event.Event) {
	var chosen, name string
	var port event.Long
	count := 0
	for rest := list; rest != ""; {
		i := 0
		for i < len(rest) && rest[i] != ' ' && rest[i] != ',' && rest[i] != '"' {
			i++
		}
		item := rest[:i]
		rest = rest[min(i+1, len(rest)):]
		if absent(item) {
			continue
		}
		count++
		host, itemPort := hostPort(item)
		ip, err := netip.ParseAddr(host)
		switch {
		case len(host) > 45 || err != nil || ip.Zone() != "":
			if name == "" || a.last {
				name = item
			}
		case a.last || chosen == "":
			chosen, port = host, itemPort
		case isPublic(ip) && !isPublicText(chosen):
			chosen, port = host, itemPort
		}
	}
	ev.Source.IP, ev.Source.Port = plainIP(chosen), port
	switch {
	case chosen != "" || name == "":
	case strings.IndexByte(name, ':') < 0:
		ev.Source.Domain = name
	default:
		ev.Label("remote_addr", name) // unix:, or what is no address
	}
	if count > 1 {
		ev.Label("forwarded_for", list)
	}
}

// plainIP takes the form of IPv6 off an address of IPv4 (::ffff:192.0.2.1), so that both count as one.
func plainIP(s string) string {
	if len(s) > 7 && strings.EqualFold(s[:7], "::ffff:") && isIPv4(s[7:]) {
		return s[7:]
	}
	return s
}

var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	return !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsUnspecified() && !ip.IsMulticast() && !sharedAddresses.Contains(ip)
}

func isPublicText(s string) bool {
	ip, err := netip.ParseAddr(s)
	return err == nil && isPublic(ip)
}
