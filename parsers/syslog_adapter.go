package parsers

import (
	"errors"
	"strconv"
	"sync"
	"unsafe"

	"github.com/influxdata/go-syslog/v3"
	"github.com/influxdata/go-syslog/v3/rfc3164"
	"github.com/influxdata/go-syslog/v3/rfc5424"

	"github.com/gatebook/gatebook/event"
)

// This file is all that knows go-syslog. Its machines keep what they read last and are not safe for concurrent use, so each
// message borrows one. A machine reads its input and keeps none of it: every text it returns is a copy.
var (
	rfc5424Machines = sync.Pool{New: func() any { return rfc5424.NewMachine() }}
	rfc3164Machines = sync.Pool{New: func() any { return rfc3164.NewMachine(rfc3164.WithRFC3339()) }}
)

// readRFC5424 has go-syslog read the message. Structured data stays as it stands in the text: as a map it would lose the order
// and all but the last of several values of one name.
func readRFC5424(text string, l *syslogLine) error {
	m := rfc5424Machines.Get().(syslog.Machine)
	defer rfc5424Machines.Put(m)
	msg, err := m.Parse(bytesOf(text))
	if err != nil {
		return err
	}
	read, ok := msg.(*rfc5424.SyslogMessage)
	if !ok {
		return errNotRead
	}
	l.base(&read.Base)
	l.version = strconv.Itoa(int(read.Version))
	l.appName, l.msgID = value(read.Appname), value(read.MsgID)
	if read.StructuredData != nil {
		l.data = structuredDataOf(text)
	}
	l.named()
	return nil
}

// refuseRFC3164 returns what go-syslog has against the message, as the reason of a parse failure.
func refuseRFC3164(text string) error {
	m := rfc3164Machines.Get().(syslog.Machine)
	defer rfc3164Machines.Put(m)
	if _, err := m.Parse(bytesOf(text)); err != nil {
		return err
	}
	return errNotRead
}

var errNotRead = errors.New("no syslog header that can be read")

// base takes over what messages of both kinds have.
func (l *syslogLine) base(b *syslog.Base) {
	l.priority = -1
	if b.Priority != nil {
		l.priority = int(*b.Priority)
	}
	l.noTime = true
	if t := b.Timestamp; t != nil && t.Year() >= 1678 && t.Year() <= 2261 { // what nanoseconds can count
		l.time, l.noTime = event.TimeOf(*t), false
	}
	l.host, l.procID = value(b.Hostname), value(b.ProcID)
	l.message = trimBlanks(trimBOM(value(b.Message)))
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// bytesOf is the text without a copy, for who only reads.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
