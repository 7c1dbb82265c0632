package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// apacheParser reads the access, SSL request and error logs of Apache httpd 2.2 and 2.4, from files and from syslog.
//
//	line -> [syslog header] -> [Sun Nov 22 10:00:00 2026] [level] ...          apache_error.go  dataset apache.error
//	                           [22/Nov/2026:10:00:00 +0100] address TLSv1 ...  sslRequest       dataset apache.access
//	                           address identity user [time] "..." ...          httpd_access.go  dataset apache.access
type apacheParser struct {
	clock  *syslogClock
	access accessLog
}

const (
	apacheAccessDataset = event.DatasetPrefix + "apache.access"
	apacheErrorDataset  = event.DatasetPrefix + "apache.error"
)

func newApache(label string, body *conf.Body, o Options) (Parser, error) {
	p := &apacheParser{clock: newSyslogClock(o), access: accessLog{dataset: apacheAccessDataset, name: "apache", service: "apache"}}
	if body != nil {
		p.access.name = label
		readAccessLog(body, &p.access)
		body.Close()
	}
	return p, nil
}

func (p *apacheParser) Dataset() string { return apacheAccessDataset }

// Parse implements Parser.
func (p *apacheParser) Parse(line Line, ev *event.Event) error {
	var headed event.Time
	if line.Header != nil {
		headed = line.Header.Time
	}
	var l syslogLine
	if mayHaveHeader(line.Text) && p.clock.split(line.Text, line.Received, &l) {
		if !belongs(l.program, l.message) || !p.text(l.message, line.Received, l.time, true, ev) {
			return ErrNoMatch
		}
		l.around(ev, line.Received)
		return nil
	}
	if line.Header != nil && !belongs(line.Header.Program, line.Text) {
		return ErrNoMatch
	}
	if p.text(line.Text, line.Received, headed, line.Header != nil, ev) {
		return nil
	}
	return ErrNoMatch
}

// text reads a line without its syslog header; behind one, error lines have no time of their own.
func (p *apacheParser) text(s string, received, headed event.Time, hasHeader bool, ev *event.Event) bool {
	if strings.HasPrefix(s, "[") {
		return p.error(s, received, headed, hasHeader, ev) || p.sslRequest(s, ev)
	}
	if isAH(s) {
		p.start(ev)
		ev.Time = headed
		if headed == 0 {
			ev.Tag(tagArrivalTime)
		}
		ev.Message, ev.Code = s, s[:7]
		return true
	}
	return p.access.parse(s, ev)
}

// sslRequest reads the log that Apache's own configuration makes of TLS:
//
//	[time] address protocol cipher "request" bytes
func (p *apacheParser) sslRequest(s string, ev *event.Event) bool {
	end := strings.IndexByte(s[:min(len(s), 48)], ']')
	if end < 0 {
		return false
	}
	at, ok := accessTime(s[1:end])
	if !ok {
		return false
	}
	address, rest := nextWord(s[end+1:])
	protocol, rest := nextWord(rest)
	cipher, rest := nextWord(rest)
	if cipher == "" || !strings.HasPrefix(rest, ` "`) || protocol != "-" && !strings.HasPrefix(protocol, "TLS") && !strings.HasPrefix(protocol, "SSL") {
		return false
	}
	request, bytes := quotedField(rest[1:])
	ev.Dataset, ev.Parser, ev.Service.Type = p.access.dataset, p.access.name, p.access.service
	ev.Time, ev.Action, ev.Outcome = at, event.Request, event.Unknown
	ev.Message = rest[1:]
	p.access.source(address, ev)
	if protocol != "-" {
		ev.Label("tls_protocol", protocol)
	}
	if cipher != "-" {
		ev.Label("tls_cipher", cipher)
	}
	requestLine(ev, request)
	size, rest := nextWord(bytes)
	if n, ok := wholeNumber(size); ok && n >= 0 {
		ev.NeedHTTP().ResponseBytes = event.LongOf(n)
	}
	p.access.rest(ev, rest)
	return true
}

// looksLikeApache is for auto: the error log and the SSL request log. Its access log looks as nginx's does; auto takes that for nginx's.
func looksLikeApache(text string) bool {
	if len(text) < 24 {
		return false
	}
	if text[0] == '[' {
		if text[3] == '/' && text[7] == '/' {
			_, ok := accessTime(text[1:max(1, strings.IndexByte(text[:min(len(text), 48)], ']'))])
			return ok
		}
		if text[4] == ' ' && text[8] == ' ' && monthOf(text[5:]) != 0 {
			return true
		}
		// Behind a syslog header there is no time: [module:error] [pid 7] ..., [error] [client 192.0.2.1] ...
		field, rest, ok := bracketed(text)
		module, level, split := strings.Cut(field, ":")
		if !split {
			level = module
		}
		return ok && isLogLevel(level) && (strings.HasPrefix(rest, " [pid ") || strings.HasPrefix(rest, " [client "))
	}
	if isAH(text) {
		return true
	}
	if text[0] == '{' || isDigit(text[0]) || !looksLikeLinuxAuth(text) {
		return false
	}
	var l syslogLine
	return looksClock.split(text, 0, &l) && isHTTPD(l.program)
}

func isHTTPD(program string) bool {
	return program == "httpd" || program == "apache2" || strings.HasPrefix(program, "httpd/") || strings.HasPrefix(program, "apache2/")
}

// isAH wants "AH00558: ", the number of a message of Apache 2.4.
func isAH(s string) bool {
	if len(s) < 9 || s[0] != 'A' || s[1] != 'H' || s[7] != ':' || s[8] != ' ' {
		return false
	}
	for i := 2; i < 7; i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
