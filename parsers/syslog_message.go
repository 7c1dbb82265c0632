package parsers

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// syslogReader reads the header of one message that came over the network.
//
//	message -> strictRFC5424: what every sender of today writes, nothing allocated (docs/decisions/0005-syslog-header.md)
//	        -> go-syslog: structured data, and the verdict on anything unusual
//	        -> syslogClock.split: RFC 5424 of senders that do not keep to the letter of it
//	        -> device: RFC 3164 and what devices make of it
//	        -> the reason, as go-syslog says it
type syslogReader struct {
	clock *syslogClock
	utc   *syslogClock // of stamps that say UTC
}

func newSyslogReader(o Options) *syslogReader {
	return &syslogReader{clock: newSyslogClock(o), utc: newSyslogClock(Options{Year: o.Year})}
}

// read fills l, which is empty. The error says what is wrong with the message.
func (r *syslogReader) read(text string, received event.Time, l *syslogLine) error {
	text = trimFrame(text)
	if r.strictRFC5424(text, l) {
		return nil
	}
	*l = syslogLine{}
	if text == "" {
		return fmt.Errorf("RFC 3164: %w", errNotRead)
	}
	if isRFC5424(text) {
		err := readRFC5424(text, l)
		if err == nil {
			return nil
		}
		*l = syslogLine{}
		if r.clock.split(text, received, l) {
			return nil
		}
		return fmt.Errorf("RFC 5424: %w", err)
	}
	if r.device(text, received, l) {
		return nil
	}
	return fmt.Errorf("RFC 3164: %w", refuseRFC3164(text))
}

// trimFrame takes off what is left of the framing: a byte order mark, an octet count, line ends and NULs at the end.
func trimFrame(s string) string {
	s = strings.TrimRight(trimBOM(s), "\r\n\x00 ")
	if s != "" && isDigit(s[0]) {
		n := 1
		for n < len(s) && n < 8 && isDigit(s[n]) {
			n++
		}
		if strings.HasPrefix(s[n:], " <") {
			s = s[n+1:]
		}
	}
	return s
}

// isRFC5424 says that a version stands after the priority.
func isRFC5424(s string) bool {
	i := strings.IndexByte(s[:min(len(s), 5)], '>') + 1
	n := i
	for n < len(s) && n < i+3 && isDigit(s[n]) {
		n++
	}
	return i > 1 && s[0] == '<' && n > i && n < len(s) && s[n] == ' '
}

// strictRFC5424 reads a message that keeps to the letter of RFC 5424 6 and has no structured data. Whatever is not plainly so is left
// to go-syslog: a fuzz test holds the two against each other.
func (r *syslogReader) strictRFC5424(s string, l *syslogLine) bool {
	if len(s) < 6 || s[0] != '<' || s[1] == '0' && s[2] != '>' {
		return false
	}
	var ok bool
	if l.priority, s, ok = cutPriority(s); !ok || !strings.HasPrefix(s, "1 ") {
		return false
	}
	l.version, s = s[:1], s[2:]
	stamp, s, ok := strings.Cut(s, " ")
	if !ok {
		return false
	}
	if stamp == "-" {
		l.noTime = true
	} else if !strictStamp(stamp) {
		return false
	} else if n, ok := r.utc.isoTime(stamp, &l.time); !ok || n != len(stamp) {
		return false
	}
	if l.host, s, ok = headerField(s, 255); !ok {
		return false
	}
	if l.appName, s, ok = headerField(s, 48); !ok {
		return false
	}
	if l.procID, s, ok = headerField(s, 128); !ok {
		return false
	}
	if l.msgID, s, ok = headerField(s, 32); !ok {
		return false
	}
	if s == "-" {
		s = ""
	} else if s, ok = strings.CutPrefix(s, "- "); !ok {
		return false
	}
	l.message = trimBlanks(trimBOM(s))
	l.named()
	return true
}

// headerField reads PRINTUSASCII up to a blank; "-" is none.
func headerField(s string, most int) (field, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] > ' ' && s[i] < 0x7f {
		i++
	}
	if i == 0 || i > most || i >= len(s) || s[i] != ' ' {
		return "", s, false
	}
	if field = s[:i]; field == "-" {
		field = ""
	}
	return field, s[i+1:], true
}

// strictStamp is the form of RFC 5424 6.2.3: at most six digits of a second, an upper-case Z or an offset with a colon, no leap second.
func strictStamp(s string) bool {
	if len(s) < 20 || len(s) > 32 || s[17] > '5' {
		return false
	}
	i := 19
	if s[i] == '.' {
		for i++; i < len(s) && isDigit(s[i]); i++ {
		}
		if i == 20 || i > 26 {
			return false
		}
	}
	return i < len(s) && (s[i:] == "Z" || len(s) == i+6 && (s[i] == '+' || s[i] == '-') && s[i+3] == ':')
}

// named sets program and pid from APP-NAME and PROCID.
func (l *syslogLine) named() {
	if l.appName == "" {
		l.untagged = true
	} else {
		l.setProgram(l.appName)
	}
	l.pid = parseLong(l.procID)
}

// structuredDataOf returns the structured data of a message of RFC 5424.
func structuredDataOf(s string) string {
	for range 6 {
		_, s, _ = strings.Cut(s, " ")
	}
	if n := structuredDataLen(s); n > 1 {
		return s[:n]
	}
	return ""
}

// device reads RFC 3164 as devices send it. Each part may be missing but the time; Cisco's messages may lack that, too.
//
//	[<PRI>] [seq:] [seq:] [host:] [*|.] [time] [year] [zone][:] [host] [:] [program[pid]:] message
func (r *syslogReader) device(s string, received event.Time, l *syslogLine) bool {
	l.priority = -1
	if s[0] == '<' {
		var ok bool
		if l.priority, s, ok = cutPriority(s); !ok {
			return false
		}
	}
	s = strings.TrimLeft(s, " ")
	s = l.cutSequence(strings.TrimPrefix(s, ": "))
	if l.mnemonic(s) {
		l.noTime = true
		return true
	}
	if host, rest, ok := strings.Cut(s, ": "); ok && isHost(host) { // logging origin-id
		if t := strings.TrimLeft(rest, "*."); monthOf(t) > 0 || strings.HasPrefix(rest, "%") {
			l.host, s = host, rest
			if l.mnemonic(s) {
				l.noTime = true
				return true
			}
		}
	}
	if len(s) > 1 && (s[0] == '*' || s[0] == '.') {
		l.unsynced, s = true, s[1:]
	}
	s, ok := r.stamp(s, received, l)
	if !ok {
		return false
	}
	return l.body(s)
}

// cutSequence takes off the sequence numbers of Cisco's messages: the logger's own and, behind it, that of `service sequence-numbers`.
func (l *syslogLine) cutSequence(s string) string {
	for range 2 {
		n := 0
		for n < len(s) && n < 10 && isDigit(s[n]) {
			n++
		}
		if n == 0 || !strings.HasPrefix(s[n:], ": ") {
			break
		}
		l.sequence, s = s[:n], strings.TrimLeft(s[n+2:], " ")
	}
	return s
}

// mnemonic recognizes the text of a Cisco message, "%FACILITY-SEVERITY-MNEMONIC: text". The whole of it is the message.
func (l *syslogLine) mnemonic(s string) bool {
	if len(s) < 6 || s[0] != '%' {
		return false
	}
	i, dashes := 1, 0
	for i < len(s) && i < 64 && (s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z' || isDigit(s[i]) || s[i] == '_' || s[i] == '-' || s[i] == '/') {
		if s[i] == '-' {
			dashes++
		}
		i++
	}
	if dashes < 2 || i >= len(s) || s[i] != ':' {
		return false
	}
	l.msgID, l.untagged, l.message = s[1:i], true, trimBlanks(s)
	return true
}

// stamp reads the time and what belongs to it, and returns what stands behind.
func (r *syslogReader) stamp(s string, received event.Time, l *syslogLine) (rest string, ok bool) {
	if len(s) < 15 {
		return s, false
	}
	clock := r.clock
	if isDigit(s[0]) && s[4] == '-' {
		n, ok := clock.isoTime(s, &l.time)
		l.isoTimestamp = true
		return strings.TrimPrefix(s[n:], ":"), ok
	}
	if isDigit(s[0]) && s[4] == ' ' && len(s) > 12 && isYear(s[:4]) { // 2026 Oct 11 22:14:15, NX-OS
		if n := dayEnd(s[5:]); n > 0 {
			s = s[5:5+n] + s[:5] + s[5+n:]
		}
	}
	n, ok := clock.bsdTime(s, received, l)
	if !ok {
		return s, false
	}
	rest = s[n:]
	if len(rest) > 5 && rest[0] == ' ' && rest[5] == ' ' && isYear(rest[1:5]) { // Oct 11 22:14:15 2026
		if d := dayEnd(s); d > 0 && d < n && s[d+2] == ':' {
			s = s[:d] + rest[1:5] + " " + s[d:n] + rest[5:]
			if n, ok = clock.bsdTime(s, received, l); !ok {
				return s, false
			}
			rest = s[n:]
		}
	}
	zone, after, ok := cutZone(rest)
	if ok && zone != "" {
		l.timeText = ""
		r.utc.bsdTime(s, received, l)
	}
	return after, true
}

// cutZone takes off the zone that Cisco writes after the clock, and the colon. Only UTC can be told from its name: other names
// stand for several zones, and the time is read in the zone of the config.
func cutZone(s string) (utc, rest string, ok bool) {
	s, colon := strings.CutPrefix(s, ":")
	if colon {
		return "", s, true
	}
	word := s
	if i := strings.IndexByte(s[min(1, len(s)):], ' '); i >= 0 {
		word = s[:i+1]
	}
	rest = s[len(word):]
	name, colon := strings.CutSuffix(strings.TrimPrefix(word, " "), ":")
	switch {
	case name == "UTC" || name == "GMT":
		return name, rest, true
	case colon && len(name) <= 5 && isZoneName(name) && strings.HasPrefix(rest, " %"):
		return "", rest, true
	}
	return "", s, true
}

func isZoneName(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return s != ""
}

func isYear(s string) bool {
	n, end := digits(s, 0, 4)
	return end == 4 && n >= 1970 && n < 2100
}

// dayEnd is where the clock begins in "Oct 11 22:14:15" and "Oct  1 22:14:15"; 0 where there is no such date.
func dayEnd(s string) int {
	if monthOf(s) == 0 || len(s) < 8 || s[3] != ' ' {
		return 0
	}
	i := 4
	if s[i] == ' ' {
		i++
	}
	_, end := digits(s, i, 2)
	if end == i || s[end] != ' ' {
		return 0
	}
	return end + 1
}

// body reads what stands behind the time: a host that may be missing, a tag that may be missing, the text.
func (l *syslogLine) body(s string) bool {
	if !strings.HasPrefix(s, " ") {
		return false
	}
	s = strings.TrimLeft(s, " ")
	if l.mnemonic(strings.TrimPrefix(s, ": ")) {
		return true
	}
	word, rest, more := strings.Cut(s, " ")
	switch {
	case l.host != "": // it stood before the time
		l.splitTag(s)
	case isSyslogTag(word):
		l.splitTag(s)
	case !more || strings.HasPrefix(s, "last message repeated ") && l.priority >= 0:
		if !more {
			return false
		}
		l.noTag(s)
	case !isHost(word):
		l.noTag(s)
	default:
		l.host = word
		if !l.mnemonic(strings.TrimPrefix(rest, ": ")) {
			l.splitTag(rest)
		}
	}
	// An ISO time begins the lines of many programs; only a priority or a program's tag makes it syslog.
	return !l.isoTimestamp || l.priority >= 0 || !l.untagged
}

// isSyslogTag says that a word is a program's tag, not a host: "sshd[7]:", "su:". An address may end in colons, too.
func isSyslogTag(s string) bool {
	if n := len(s) - 1; n > 0 && s[n] == ':' {
		_, err := netip.ParseAddr(s)
		return len(s) > 45 || err != nil
	}
	open := strings.IndexByte(s, '[')
	return open > 0 && strings.HasSuffix(s, "]")
}

// isHost says that a word can be a host's name or address: printable ASCII (RFC 3164 4.1.2, with domain), up to 255.
func isHost(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '%' || s[i] == '{' || s[i] == '"' || s[i] == '=' {
			return false
		}
	}
	return s != "" && len(s) <= 255
}
