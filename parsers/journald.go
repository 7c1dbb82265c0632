package parsers

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// journalEnvelope takes an entry of the systemd journal apart, as journalctl -o json writes it:
//
//	{"MESSAGE": text, "SYSLOG_IDENTIFIER": program, "_PID": ..., "__REALTIME_TIMESTAMP": ..., ...}
//	   text, with the rest as its header -> parser of the config -> event; what it left empty is filled from the entry
//
// A value is a text, null (too large for journalctl), a list of bytes (no UTF-8), or a list of such (the field was given several
// times). Names that begin with '_' were set by journald, the others are the program's claim; labels keep the difference.
type journalEnvelope struct {
	inner   Parser
	headers sync.Pool
}

func newJournalEnvelope(inner Parser, _ Options) Parser {
	return &journalEnvelope{inner: inner, headers: sync.Pool{New: func() any { return new(journalEntry) }}}
}

// journalEntry is what is known of one entry.
type journalEntry struct {
	header             Header
	message            string
	hasMessage         bool
	comm, exe, cmdline string
	pid, syslogPID     event.Long
	received, source   event.Time // by journald, by the program
	identifier         string
	labels             []event.Label
}

// journalLabels are the keys of what nearly every entry has.
var journalLabels = map[string]string{"_SYSTEMD_UNIT": "_systemd_unit", "_UID": "_uid", "_GID": "_gid", "_BOOT_ID": "_boot_id",
	"_MACHINE_ID": "_machine_id", "_TRANSPORT": "_transport", "_AUDIT_SESSION": "_audit_session", "_AUDIT_LOGINUID": "_audit_loginuid",
	"_SELINUX_CONTEXT": "_selinux_context", "MESSAGE_ID": "message_id"}

// maxComm is where the kernel cuts the name of a process.
const maxComm = 15

var errNoEntry = errors.New("not an entry of the journal")

// unparsedTag is the tag of lines that no parser knows.
const unparsedTag = "parse-failure"

func (p *journalEnvelope) Dataset() string { return p.inner.Dataset() }

// Parse implements Parser. A message that the inner parser does not know is tagged as a parse failure here, so that the event keeps
// what the entry says besides.
func (p *journalEnvelope) Parse(line Line, ev *event.Event) error {
	object, err := objectOf(line.Text)
	if errors.Is(err, ErrNoMatch) {
		return errNoEntry
	} else if err != nil {
		return err
	}
	e := p.headers.Get().(*journalEntry)
	defer func() {
		clear(e.labels)
		*e = journalEntry{labels: e.labels[:0]}
		p.headers.Put(e)
	}()
	object.ForEach(func(k, v gjson.Result) bool {
		e.member(k.Str, v)
		return true
	})
	e.finish()
	if !e.hasMessage {
		ev.Dataset, ev.Parser, ev.Message = p.inner.Dataset(), "journald", "entry of the journal without a message"
		ev.Outcome = event.Unknown
	} else {
		line.Text, line.Header = e.message, &e.header
		if err := p.inner.Parse(line, ev); err != nil {
			ev.Reset()
			ev.Dataset, ev.Parser, ev.Message, ev.Outcome = p.inner.Dataset(), "journald", e.message, event.Unknown
			ev.Tag(unparsedTag)
			if !errors.Is(err, ErrNoMatch) {
				ev.NeedError().Message = err.Error()
			}
		}
	}
	e.fill(ev)
	return nil
}

func (e *journalEntry) member(name string, v gjson.Result) {
	switch name {
	case "MESSAGE":
		e.message, e.hasMessage = strings.TrimRight(journalText(v), "\r\n"), v.Type != gjson.Null
	case "SYSLOG_IDENTIFIER":
		e.identifier = journalText(v)
	case "_COMM":
		e.comm = journalText(v)
	case "_EXE":
		e.exe = journalText(v)
	case "_CMDLINE":
		e.cmdline = journalText(v)
	case "_HOSTNAME":
		e.header.Hostname = journalText(v)
	case "_PID":
		e.pid, e.header.ProcID = parseLong(journalText(v)), journalText(v)
	case "SYSLOG_PID":
		e.syslogPID = parseLong(journalText(v))
	case "PRIORITY":
		if n, ok := below(journalText(v), len(severityNames)); ok {
			e.header.SeverityCode, e.header.SeverityName = event.LongOf(int64(n)), severityNames[n]
		}
	case "SYSLOG_FACILITY":
		if n, ok := below(journalText(v), len(facilityNames)); ok {
			e.header.FacilityCode, e.header.FacilityName = event.LongOf(int64(n)), facilityNames[n]
		}
	case "__REALTIME_TIMESTAMP":
		e.received = microseconds(journalText(v))
	case "_SOURCE_REALTIME_TIMESTAMP":
		e.source = microseconds(journalText(v))
	case "__CURSOR", "__MONOTONIC_TIMESTAMP", "__SEQNUM", "__SEQNUM_ID", "_SOURCE_MONOTONIC_TIMESTAMP", "_SOURCE_BOOTTIME_TIMESTAMP", "SYSLOG_TIMESTAMP", "SYSLOG_RAW",
		"_SYSTEMD_CGROUP", "_SYSTEMD_SLICE", "_SYSTEMD_USER_SLICE", "_SYSTEMD_INVOCATION_ID", "_CAP_EFFECTIVE", "_RUNTIME_SCOPE", "_STREAM_ID", "_LINE_BREAK":
		// Of use to journald itself only; event.original has them.
	default:
		e.label(name, v)
	}
}

// label keeps a value under its name in lower case, each of several.
func (e *journalEntry) label(name string, v gjson.Result) {
	key, ok := journalLabels[name]
	if !ok {
		key = event.LabelKey(strings.ToLower(name))
	}
	if v.IsArray() && !numbers(v) {
		v.ForEach(func(_, one gjson.Result) bool {
			e.add(key, journalText(one))
			return len(e.labels) <= maxLabels
		})
		return
	}
	e.add(key, journalText(v))
}

func (e *journalEntry) add(key, text string) {
	if text = strings.TrimSpace(text); text != "" {
		e.labels = append(e.labels, event.Label{Key: key, Value: text})
	}
}

// finish makes the header.
func (e *journalEntry) finish() {
	h := &e.header
	if h.Time = e.source; h.Time == 0 {
		h.Time = e.received
	}
	if h.PID = e.pid; !h.PID.Valid {
		h.PID, h.ProcID = e.syslogPID, ""
	}
	tag := e.identifier
	if tag == "" {
		tag = e.comm
	}
	if tag != "" {
		var l syslogLine
		l.setProgram(tag)
		h.Program, h.Module, h.AppName = l.program, l.module, tag
	}
	if h.PID.Valid && h.ProcID == "" {
		h.ProcID = strconv.FormatInt(h.PID.N, 10)
	}
	if h.FacilityCode.Valid && h.SeverityCode.Valid {
		h.Priority = event.LongOf(h.FacilityCode.N<<3 | h.SeverityCode.N)
	}
}

// fill sets what the inner parser left empty.
func (e *journalEntry) fill(ev *event.Event) {
	h := &e.header
	if ev.Time == 0 {
		ev.Time = h.Time
	}
	if ev.Host.Name == "" {
		ev.Host.Name = h.Hostname
	}
	if ev.Syslog == nil {
		*ev.NeedSyslog() = h.Syslog
	}
	if ev.Process.Name == "" {
		ev.Process.Name = h.Program
	}
	if !ev.Process.PID.Valid {
		ev.Process.PID = h.PID
	}
	f := filling{ev: ev}
	if ev.Process.Executable == "" && ev.Process.CommandLine == "" {
		ev.Process.Executable, ev.Process.CommandLine = e.exe, e.cmdline
	} else { // the event is about another process: the command of sudo
		f.label("_exe", e.exe)
		f.label("_cmdline", e.cmdline)
	}
	if e.identifier != "" && e.comm != h.Program && (len(e.comm) != maxComm || !strings.HasPrefix(h.Program, e.comm)) {
		f.label("_comm", e.comm) // what runs is not what it calls itself
	}
	for _, l := range e.labels {
		f.label(l.Key, l.Value)
	}
}

// journalText is the text of a value, of several values the first.
func journalText(v gjson.Result) string {
	if !v.IsArray() {
		return textOf(v)
	}
	if numbers(v) {
		b := make([]byte, 0, len(v.Raw)/3)
		v.ForEach(func(_, n gjson.Result) bool {
			b = append(b, byte(n.Num))
			return true
		})
		return string(b)
	}
	text := ""
	v.ForEach(func(_, one gjson.Result) bool {
		if !one.IsArray() || numbers(one) { // deeper is nothing that journalctl writes
			text = journalText(one)
		} else {
			text = one.Raw
		}
		return false
	})
	return text
}

// numbers tells that an array is a list of bytes.
func numbers(array gjson.Result) bool {
	ok := false
	array.ForEach(func(_, n gjson.Result) bool {
		ok = n.Type == gjson.Number && n.Num >= 0 && n.Num <= 255
		return ok
	})
	return ok
}

// below reads a number of at most two digits that is less than end.
func below(text string, end int) (int, bool) {
	n, i := digits(text, 0, 2)
	return n, i > 0 && i == len(text) && n < end
}

// microseconds reads a time since 1970.
func microseconds(text string) event.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<62/1000 {
		return 0
	}
	return event.Time(n * 1000)
}
