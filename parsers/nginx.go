package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// nginxParser reads the access and error logs of nginx, from files and from syslog.
//
//	line -> [syslog header] -> 2026/11/22 10:00:00 [level] ...  nginx_error.go   dataset nginx.error
//	                           address - user [time] "..." ...  httpd_access.go  dataset nginx.access
type nginxParser struct {
	clock  *syslogClock
	access accessLog
}

const (
	nginxAccessDataset = event.DatasetPrefix + "nginx.access"
	nginxErrorDataset  = event.DatasetPrefix + "nginx.error"
)

func newNginx(label string, body *conf.Body, o Options) (Parser, error) {
	p := &nginxParser{clock: newSyslogClock(o), access: accessLog{dataset: nginxAccessDataset, name: "nginx", service: "nginx"}}
	if body != nil {
		p.access.name = label
		readAccessLog(body, &p.access)
		body.Close()
	}
	return p, nil
}

func (p *nginxParser) Dataset() string { return nginxAccessDataset }

// Parse implements Parser.
func (p *nginxParser) Parse(line Line, ev *event.Event) error {
	var l syslogLine
	text := line.Text
	if mayHaveHeader(text) && p.clock.split(text, line.Received, &l) {
		if !belongs(l.program, l.message) || !p.text(l.message, line.Received, ev) {
			return ErrNoMatch
		}
		l.around(ev, line.Received)
		return nil
	}
	if line.Header != nil && !belongs(line.Header.Program, text) {
		return ErrNoMatch
	}
	if p.text(text, line.Received, ev) {
		return nil
	}
	// What journalctl -o cat and the like leave of a header: "host nginx[7]: ", even twice.
	for range 2 {
		i := strings.Index(text[:min(len(text), 320)], ": ")
		if i < 0 || !isTag(text[:i]) {
			return ErrNoMatch
		}
		text = text[i+2:]
		if ev.Reset(); p.text(text, line.Received, ev) {
			return nil
		}
	}
	return ErrNoMatch
}

func (p *nginxParser) text(s string, received event.Time, ev *event.Event) bool {
	if len(s) > 20 && s[4] == '/' && isDigit(s[0]) {
		return p.error(s, received, ev)
	}
	return p.access.parse(s, ev)
}

// mayHaveHeader says quickly whether a syslog header may stand in front: a priority, a month, or a date as RFC 3339 has it.
func mayHaveHeader(s string) bool {
	if len(s) < 16 {
		return false
	}
	return s[0] == '<' || s[3] == ' ' && monthOf(s) != 0 || s[10] == 'T' && s[4] == '-' && s[7] == '-'
}

// belongs says whether a text behind a syslog header may be a web server's. Any program's text can hold what looks like an access line,
// such as a user name in one of sshd; where the program is none of ours, the text has to begin with an address, a date or a bracket.
func belongs(program, text string) bool {
	if program == "" || program == "nginx" || isHTTPD(program) {
		return true
	}
	first, _ := nextWord(text)
	if first == "" {
		return false
	}
	if first = strings.Trim(first, `",`); first == "" || first[0] == '[' || len(first) == 10 && first[4] == '/' {
		return true
	}
	return isClientAddress(first)
}

// around sets what a syslog header says of a text that has been parsed: the text's own time, message and process stay.
func (l *syslogLine) around(ev *event.Event, received event.Time) {
	at, message, pid := ev.Time, ev.Message, ev.Process.PID
	l.fill(ev, received)
	ev.Message = message
	if at != 0 {
		ev.Time = at
	}
	if pid.Valid {
		ev.Process.PID = pid
	}
}

// isTag wants "[host ]program[[pid]]".
func isTag(s string) bool {
	blanks := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			blanks++
		case c == '"' || c == '(' || c < ' ':
			return false
		}
	}
	return s != "" && blanks <= 1
}

// looksLikeNginx is for auto: an error line of nginx, or any access line but Apache's own. The text of another program's syslog line
// may hold an access line, so such lines count only where the program is nginx.
func looksLikeNginx(text string) bool {
	if len(text) < 22 {
		return false
	}
	if isDigit(text[0]) && text[4] == '/' && text[7] == '/' && text[19] == ' ' {
		return text[20] == '['
	}
	if text[0] == '{' || text[0] == '[' {
		return false
	}
	if looksLikeLinuxAuth(text) {
		var l syslogLine
		return looksClock.split(text, 0, &l) && l.program == "nginx"
	}
	_, _, _, ok := accessStart(text)
	return ok
}
