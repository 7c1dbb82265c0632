// Package parsers turns lines into events: one file per source, one line in Registry, one folder of golden cases.
//
//	Line (text, time of reading, source) -> Parser -> Event    (ErrNoMatch: the next candidate, or a parse failure)
//
// What it promises: no parser panics, blocks or keeps a line; no parser takes memory or time beyond the line's length;
// values that do not fit their field are kept as labels and tagged, never dropped.
package parsers

import (
	"errors"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// ErrNoMatch says that the line is not of this parser's kind. The event may then be in any state; the caller resets it.
var ErrNoMatch = errors.New("line not recognized")

// Line is one raw line, or several where the input joined them.
type Line struct {
	Text     string     // without its newline; may hold any bytes
	Received event.Time // when it was read: the year of times that lack one, the time of lines that have none
	Source   string     // key of the file or sender that it came from, for parsers that remember (auto, CSV headers)
	Offset   int64      // byte offset in the file; 0 is the first line
	Header   *Header    // syslog header that Text stood behind; nil where Text is all there is
	Trusted  bool       // the sender is another Gatebook: what its documents say of alerts, rules and gatebook.* holds
}

// Header is what a syslog message, or an entry of the journal, says before its text (RFC 5424 6.2). All of it is the sender's claim.
type Header struct {
	event.Syslog            // as log.syslog.*
	Time         event.Time // 0 where it has none that can be read
	Program      string     // app-name, or the tag of RFC 3164, without path, module and pid
	Module       string     // what stands in parentheses after the tag: sshd(pam_unix)[7]
	PID          event.Long
}

// Parser fills an event from a line. It is safe for concurrent use, allocates little, sets Dataset, and never sets what the
// pipeline sets itself (Original, Created, Log, Input, Sender, Related, UserKey). Message is plain English: the text
// itself where that is.
type Parser interface {
	// Parse fills ev, which is empty. Strings of ev may be substrings of line.Text. ErrNoMatch (bare, nothing allocated)
	// where the line is of another kind; any other error is the reason of a parse failure, shown in error.message.
	Parse(line Line, ev *event.Event) error
	// Dataset is event.dataset of lines that it does not recognize: "gatebook.<name>".
	Dataset() string
}

// Options are what all parsers of a config share.
type Options struct {
	Location *time.Location // zone of times that carry none; nil is UTC
	Year     int            // year of times that carry none; 0 takes the year nearest to the time of reading
	// Lookup finds another parser by its type or label (auto uses it).
	Lookup func(name string) (Parser, error)
}

// Spec is one kind of parser.
type Spec struct {
	// New makes a parser. body is the parser block of the config, nil where the parser is used by its bare name; problems
	// with the block are reported on it, at their place, and a non-nil error is about anything else.
	New func(label string, body *conf.Body, o Options) (Parser, error)
	// NeedsBlock says that the parser cannot be used by its bare name (regex).
	NeedsBlock bool
	Summary    string // one line for the docs
}
