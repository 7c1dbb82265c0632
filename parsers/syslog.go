package parsers

import (
	"errors"
	"sync"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// The syslog envelope takes the header off a message, has the parser of the config read the text, and fills what that left empty:
//
//	<PRI>1 TIME HOST APP PROCID MSGID SD text -> Line{Text, Header} -> parser of the config -> event
//	                                                                   time, host, process, log.syslog.* <-
//
// All of a header is the sender's claim. A message without one that can be read is refused with the reason and kept whole by the
// pipeline; a text that the parser does not know keeps what the header says.
type syslogEnvelope struct {
	inner  Parser
	reader *syslogReader
}

const syslogDataset = event.DatasetPrefix + "syslog"

// Tags of syslog messages.
const tagClockUnsynced = "clock-not-synchronized" // the device says that its clock cannot be trusted

var headers = sync.Pool{New: func() any { return new(Header) }}

func newSyslogEnvelope(inner Parser, o Options) Parser {
	return &syslogEnvelope{inner: inner, reader: newSyslogReader(o)}
}

// Dataset is that of messages without a header that can be read.
func (p *syslogEnvelope) Dataset() string {
	if _, auto := p.inner.(*autoParser); auto {
		return syslogDataset
	}
	return p.inner.Dataset()
}

// Parse implements Parser.
func (p *syslogEnvelope) Parse(line Line, ev *event.Event) error {
	var l syslogLine
	if err := p.reader.read(line.Text, line.Received, &l); err != nil {
		return err
	}
	h := headers.Get().(*Header)
	h.take(&l)
	line.Text, line.Header = l.message, h
	if err := p.inner.Parse(line, ev); err != nil {
		ev.Reset()
		ev.Dataset, ev.Parser, ev.Message, ev.Outcome = p.inner.Dataset(), "syslog", l.message, event.Unknown
		ev.Tag(tagParseFailure)
		if !errors.Is(err, ErrNoMatch) {
			ev.NeedError().Message = err.Error()
		}
	}
	if ev.Syslog == nil {
		*ev.NeedSyslog() = h.Syslog
	}
	if ev.Log.Level == "" {
		ev.Log.Level = h.SeverityName
	}
	if ev.Host.Hostname == "" && (ev.Host.Name == "" || ev.Host.Name == h.Hostname) {
		ev.Host.Hostname = h.Hostname
	}
	l.complete(ev, h, line.Received)
	*h = Header{}
	headers.Put(h)
	return nil
}

// take sets the header from a line that has been split.
func (h *Header) take(l *syslogLine) {
	if !l.noTime && l.timeText == "" {
		h.Time = l.time
	}
	h.Program, h.Module, h.PID = l.program, l.module, l.pid
	y := &h.Syslog
	l.rank(y)
	y.Hostname, y.AppName, y.ProcID, y.MsgID, y.Version = l.host, l.appName, l.procID, l.msgID, l.version
	if y.AppName == "" {
		y.AppName = l.program
	}
	if l.data != "" {
		y.StructuredData = structuredJSON(l.data)
	}
}

// complete fills what the parser of the text left empty.
func (l *syslogLine) complete(ev *event.Event, h *Header, received event.Time) {
	switch {
	case l.timeText != "" && ev.Time == 0:
		ev.Time = received
		ev.Tag(tagArrivalTime)
		ev.Label("logged_time", l.timeText)
	case h.Time != 0 && (removeTag(ev, tagArrivalTime) || ev.Time == 0):
		ev.Time = h.Time
	}
	if ev.Host.Name == "" {
		ev.Host.Name = h.Hostname
	}
	if ev.Process.Name == "" && !ev.Process.PID.Valid {
		ev.Process.Name, ev.Process.PID = h.Program, h.PID
	}
	if l.sequence != "" {
		ev.Label("syslog_sequence", l.sequence)
	}
	if l.unsynced {
		ev.Tag(tagClockUnsynced)
	}
}

// removeTag takes a tag off and says whether it was there.
func removeTag(ev *event.Event, tag string) bool {
	for i, t := range ev.Tags {
		if t == tag {
			ev.Tags = append(ev.Tags[:i], ev.Tags[i+1:]...)
			return true
		}
	}
	return false
}

// syslogParser takes any message with a syslog header: the text is the message, and nothing is said about what happened.
type syslogParser struct{ reader *syslogReader }

func newSyslog(_ string, body *conf.Body, o Options) (Parser, error) {
	if body != nil {
		body.Close()
	}
	return &syslogParser{reader: newSyslogReader(o)}, nil
}

func (p *syslogParser) Dataset() string { return syslogDataset }

// Parse implements Parser.
func (p *syslogParser) Parse(line Line, ev *event.Event) error {
	if h := line.Header; h != nil {
		p.text(line.Text, h, ev)
		return nil
	}
	var l syslogLine
	if err := p.reader.read(line.Text, line.Received, &l); err != nil {
		return err
	}
	h := headers.Get().(*Header)
	h.take(&l)
	p.text(l.message, h, ev)
	if l.priority >= 0 || l.version != "" {
		*ev.NeedSyslog() = h.Syslog
	}
	l.complete(ev, h, line.Received)
	*h = Header{}
	headers.Put(h)
	return nil
}

func (p *syslogParser) text(text string, h *Header, ev *event.Event) {
	ev.Dataset, ev.Parser, ev.Message, ev.Outcome = syslogDataset, "syslog", text, event.Unknown
	ev.Code, ev.Time = h.MsgID, h.Time
	ev.Host.Name, ev.Process.Name, ev.Process.PID = h.Hostname, h.Program, h.PID
}

// looksLikeSyslog leaves the question to auto, which has split the line by then.
func looksLikeSyslog(string) bool { return false }
