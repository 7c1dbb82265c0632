package parsers

import (
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// syslogLine is one line of a syslog file, split. All strings are substrings of the line, but structured data.
//
//	[<PRI>]Nov 22 12:00:00 host program(module)[pid]: message            RFC 3164 4.1, as files have it
//	[<PRI>]2026-11-22T12:00:00.123456+01:00 host program[pid]: message   rsyslog, journalctl -o short-iso
//	<PRI>1 2026-11-22T12:00:00Z host app procid msgid sd message         RFC 5424 6
type syslogLine struct {
	time     event.Time
	timeText string // the time as it stands; set where it is no time (29 February of a year without one)
	host     string
	program  string // without path, module and pid
	module   string // what stands in parentheses after the program: sshd(pam_unix)[7]
	pid      event.Long
	message  string

	priority     int // -1 where the line has none
	version      string
	appName      string
	procID       string
	msgID        string
	data         string // structured data of RFC 5424, as it stands
	untagged     bool   // no program was found: message is all after the host
	isoTimestamp bool
	noTime       bool   // time is none of the line's
	unsynced     bool   // the device says that its clock is not synchronized
	sequence     string // Cisco's sequence number
}

// split takes the line apart; false says that it has no syslog header.
func (c *syslogClock) split(text string, received event.Time, l *syslogLine) bool {
	l.priority = -1
	s := text
	if strings.HasPrefix(s, "<") {
		var ok bool
		if l.priority, s, ok = cutPriority(s); !ok {
			return false
		}
		if len(s) > 2 && s[0] >= '1' && s[0] <= '9' && (s[1] == ' ' || s[2] == ' ') {
			return c.splitRFC5424(s, received, l)
		}
	}
	if len(s) < 16 {
		return false
	}
	if isDigit(s[0]) {
		n, ok := c.isoTime(s, &l.time)
		if !ok || n >= len(s) || s[n] != ' ' {
			return false
		}
		s, l.isoTimestamp = s[n+1:], true
	} else {
		n, ok := c.bsdTime(s, received, l)
		if !ok || n >= len(s) || s[n] != ' ' {
			return false
		}
		s = s[n+1:]
	}
	host := strings.IndexByte(s, ' ')
	if host <= 0 || host > 255 || s[host-1] == ':' {
		return false
	}
	l.host = s[:host]
	l.splitTag(s[host+1:])
	// An ISO time begins the lines of many programs; only a program's tag makes it syslog.
	return !l.isoTimestamp || !l.untagged || strings.HasPrefix(l.message, "last message repeated ")
}

func cutPriority(s string) (priority int, rest string, ok bool) {
	n := 0
	for i := 1; i < len(s) && i < 5; i++ {
		if s[i] == '>' && i > 1 && n <= 191 {
			return n, s[i+1:], true
		}
		if !isDigit(s[i]) {
			break
		}
		n = n*10 + int(s[i]-'0')
	}
	return 0, s, false
}

const (
	maxTag  = 128
	dashTag = "--" // module of " -- root[7]:", as login writes it
)

// splitTag finds program, module and pid. Besides the tags of RFC 3164 it knows those that programs really write:
// "syslogd 1.4.1: restart.", " -- root[7]: ROOT LOGIN ON tty2" (login) and "gdm-password][7]: ...".
func (l *syslogLine) splitTag(s string) {
	if rest, ok := strings.CutPrefix(strings.TrimLeft(s, " "), "-- "); ok && !strings.HasPrefix(rest, "MARK") {
		s = rest
		l.module = dashTag
	}
	i := 0
	for i < len(s) && i < maxTag && s[i] != ':' && s[i] != '[' && s[i] > ' ' {
		i++
	}
	if i == 0 || i >= len(s) || i == maxTag {
		l.noTag(s)
		return
	}
	var rest string
	switch s[i] {
	case ':':
		rest = s[i+1:]
	case '[':
		end := strings.IndexByte(s[i:min(len(s), i+24)], ']')
		if end < 0 {
			l.noTag(s)
			return
		}
		l.procID = s[i+1 : i+end]
		l.pid = parseLong(l.procID)
		rest = strings.TrimPrefix(s[i+end+1:], ":")
	default:
		v := i + 1
		for v < len(s) && (isDigit(s[v]) || s[v] == '.') {
			v++
		}
		if v == i+1 || v >= len(s) || s[v] != ':' {
			l.noTag(s)
			return
		}
		rest = s[v+1:]
	}
	l.setProgram(s[:i])
	l.message = trimBlanks(rest)
}

func (l *syslogLine) noTag(s string) {
	l.untagged, l.module, l.message = true, "", trimBlanks(s)
}

func (l *syslogLine) setProgram(tag string) {
	if n := len(tag) - 1; n > 0 && tag[n] == ')' && tag[0] != '(' {
		if open := strings.IndexByte(tag, '('); open > 0 {
			tag, l.module = tag[:open], tag[open+1:n]
		}
	} else if n > 0 && tag[n] == ']' {
		tag = tag[:n]
	}
	if tag[0] == '/' {
		if slash := strings.LastIndexByte(tag, '/'); slash < len(tag)-1 {
			tag = tag[slash+1:]
		}
	}
	l.program = tag
}

func (c *syslogClock) splitRFC5424(s string, received event.Time, l *syslogLine) bool {
	var stamp string
	l.version, s, _ = strings.Cut(s, " ")
	stamp, s, _ = strings.Cut(s, " ")
	if n, ok := c.isoTime(stamp, &l.time); stamp == "-" {
		l.time, l.noTime = received, true
	} else if !ok || n != len(stamp) {
		return false
	}
	l.host, s, _ = strings.Cut(s, " ")
	l.appName, s, _ = strings.Cut(s, " ")
	l.procID, s, _ = strings.Cut(s, " ")
	var found bool
	if l.msgID, s, found = strings.Cut(s, " "); !found || len(l.host) > 255 || len(l.appName) > maxTag {
		return false
	}
	n := structuredDataLen(s)
	if n < 0 {
		return false
	}
	l.data = s[:n]
	s = strings.TrimPrefix(strings.TrimPrefix(s[n:], " "), "\ufeff")
	l.message = trimBlanks(s)
	for _, f := range [...]*string{&l.host, &l.appName, &l.procID, &l.msgID, &l.data} {
		if *f == "-" {
			*f = ""
		}
	}
	l.named()
	return true
}

// structuredDataLen returns the length of STRUCTURED-DATA (RFC 5424 6.3) at the beginning of s, or -1.
func structuredDataLen(s string) int {
	if strings.HasPrefix(s, "-") {
		return 1
	}
	i, quoted := 0, false
	for i < len(s) && s[i] == '[' {
		for i++; ; i++ {
			if i >= len(s) {
				return -1
			}
			if quoted && s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				quoted = !quoted
			} else if s[i] == ']' && !quoted {
				break
			}
		}
		i++
	}
	if i == 0 {
		return -1
	}
	return i
}

// fill sets what the header says.
func (l *syslogLine) fill(ev *event.Event, received event.Time) {
	ev.Time = l.time
	if l.timeText != "" {
		ev.Time = received
		ev.Tag("time-from-arrival")
		ev.Label("logged_time", l.timeText)
	}
	ev.Host.Name = l.host
	ev.Process.Name = l.program
	ev.Process.PID = l.pid
	ev.Message = l.message
	if l.priority < 0 {
		return
	}
	y := ev.NeedSyslog()
	l.rank(y)
	y.Version, y.MsgID = l.version, l.msgID
	if l.version != "" {
		y.Hostname, y.AppName, y.ProcID = l.host, l.appName, l.procID
	}
	if l.data != "" {
		y.StructuredData = structuredJSON(l.data)
	}
}

// rank sets what the priority says.
func (l *syslogLine) rank(y *event.Syslog) {
	if l.priority < 0 {
		return
	}
	facility, severity := l.priority>>3, l.priority&7
	y.Priority = event.LongOf(int64(l.priority))
	y.FacilityCode, y.FacilityName = event.LongOf(int64(facility)), facilityNames[facility]
	y.SeverityCode, y.SeverityName = event.LongOf(int64(severity)), severityNames[severity]
}

// Names as syslog.conf has them; codes of RFC 5424 6.2.1.
var (
	facilityNames = [24]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
		"ftp", "ntp", "security", "console", "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5",
		"local6", "local7"}
	severityNames = [8]string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}
)

// newSyslogClock reads times without zone in o.Location and times without year in the year nearest to the time of reading.
func newSyslogClock(o Options) *syslogClock {
	c := &syslogClock{location: o.Location, year: o.Year}
	if c.location == nil {
		c.location = time.UTC
	}
	return c
}
