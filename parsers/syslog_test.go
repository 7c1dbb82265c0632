package parsers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// throughSyslog parses a message as the syslog input hands it in.
func throughSyslog(t testing.TB, config, inner, text string) (*event.Event, error) {
	t.Helper()
	set, ds := build(t, config)
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	p, err := set.Open("syslog", inner)
	if err != nil {
		t.Fatal(err)
	}
	ev := new(event.Event)
	err = p.Parse(Line{Text: text, Received: received, Source: "192.0.2.1"}, ev)
	return ev, err
}

// corpusMessage is one message of the corpus with what another reader makes of it.
type corpusMessage struct {
	Name    string          `json:"name"`
	In      string          `json:"in"`
	Want    json.RawMessage `json:"want"`
	WantErr string          `json:"wantErr"`
	file    string
}

type corpusWant struct {
	Priority  *int64 `json:"priority"`
	Facility  *int64 `json:"facility"`
	Severity  *int64 `json:"severity"`
	Timestamp string `json:"timestamp"`
	Hostname  string `json:"hostname"`
	Msg       string `json:"msg"`
	Process   string `json:"process"`
	PID       string `json:"pid"`
	MsgID     string `json:"msgID"`
	Version   int    `json:"version"`
	RawSD     string `json:"rawSDValue"`
}

// Verdict and fields of every message of the corpus are as wanted; none is excused. Two things have to be said of what is wanted.
//
// Where the corpus wants an error and gives fields, too, they are what its reader had filled before it gave up. A message that breaks
// the RFC is kept whole here: its text is all there is, and the verdict alone is compared.
//
// Messages without `want` and `wantErr` are inputs of the corpus' speed tests. Each but the two named below stands in the corpus a
// second time, with `want` or `wantErr`: that verdict counts.
func TestSyslogCorpus(t *testing.T) {
	var messages []corpusMessage
	// By text: shall it be read. Two messages stand in a speed test only: one without any header, one whose time has a blank where the
	// "T" should be.
	verdicts := map[string]bool{"not a valid message": false, "<13>2003-08-24 05:14:15-07:00 test-host this is the message": false}
	for _, file := range []string{"libbeat-rfc3164.jsonl", "libbeat-rfc5424.jsonl"} {
		for _, line := range corpusLines(t, "corpora/syslog/"+file) {
			m := corpusMessage{file: file}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m)
			if m.Want != nil && m.Want[0] == '{' {
				verdicts[m.In] = m.WantErr == ""
			}
		}
	}
	compared, repeated := 0, 0
	for _, m := range messages {
		ev, err := throughSyslog(t, "", "syslog", m.In)
		switch {
		case m.Want != nil && m.Want[0] == '"': // is it RFC 5424?
			if got := err == nil && ev.Syslog.Version != ""; got != (string(m.Want) == `"true"`) {
				t.Errorf("%s %s: RFC 5424 is %v", m.file, m.Name, got)
			}
		case m.Want == nil && m.WantErr == "":
			repeated++
			want, known := verdicts[m.In]
			if !known || (err == nil) != want {
				t.Errorf("%s %s: %v", m.file, m.Name, err)
			}
		case m.WantErr != "":
			if err == nil || errors.Is(err, ErrNoMatch) {
				t.Errorf("%s %s: read, want an error like %q", m.file, m.Name, m.WantErr)
			}
		case err != nil:
			t.Errorf("%s %s: %v", m.file, m.Name, err)
		default:
			var want corpusWant
			if err := json.Unmarshal(m.Want, &want); err != nil {
				t.Fatal(err)
			}
			compareCorpus(t, m.file+" "+m.Name, ev, want)
		}
		compared++
	}
	if compared != 50 || repeated != 20 {
		t.Errorf("%d messages compared, %d of them repeated", compared, repeated)
	}
}

func compareCorpus(t *testing.T, name string, ev *event.Event, want corpusWant) {
	t.Helper()
	y := ev.Syslog
	number := func(what string, got event.Long, want *int64) {
		if got.Valid != (want != nil) || want != nil && got.N != *want {
			t.Errorf("%s: %s %v", name, what, got)
		}
	}
	number("priority", y.Priority, want.Priority)
	number("facility", y.FacilityCode, want.Facility)
	number("severity", y.SeverityCode, want.Severity)
	text := func(what, got, want string) {
		if got != want {
			t.Errorf("%s: %s %q, want %q", name, what, got, want)
		}
	}
	text("hostname", y.Hostname, want.Hostname)
	text("host", ev.Host.Name, want.Hostname)
	text("process", y.AppName, want.Process)
	text("process.name", ev.Process.Name, want.Process)
	text("pid", y.ProcID, want.PID)
	text("msgid", y.MsgID, want.MsgID)
	text("message", ev.Message, want.Msg)
	version := ""
	if want.Version > 0 {
		version = "1"
	}
	text("version", y.Version, version)
	if at, err := time.Parse(time.RFC3339Nano, want.Timestamp); err == nil {
		text("time", ev.Time.Std().String(), at.UTC().String())
	} else if want.Timestamp != "" {
		text("time", ev.Time.Std().Format("Jan 2 15:04:05"), want.Timestamp)
	} else {
		text("time", ev.Time.Std().String(), event.Time(0).Std().String())
	}
	if (want.RawSD == "") != (len(y.StructuredData) == 0) {
		t.Errorf("%s: structured data %s, want %s", name, y.StructuredData, want.RawSD)
	}
	var object map[string]any
	if len(y.StructuredData) > 0 && (json.Unmarshal([]byte(y.StructuredData), &object) != nil || len(object) == 0) {
		t.Errorf("%s: structured data %s", name, y.StructuredData)
	}
	for _, part := range strings.FieldsFunc(want.RawSD, func(r rune) bool { return strings.ContainsRune(`[]"=:; \`, r) }) {
		if !strings.Contains(string(y.StructuredData), part) {
			t.Errorf("%s: structured data %s lacks %q", name, y.StructuredData, part)
		}
	}
}

// The header fills what the parser of the text leaves empty, and no more.
func TestSyslogEnvelope(t *testing.T) {
	const config = `
parser "json" "billing" {
  dataset = "billing.login"
  time    = { field = "at", layouts = ["rfc3339"] }
  fields  = { "user.name" = "login", "host.name" = "on" }
}`
	type said struct {
		Dataset, Parser, Message, Host, Hostname, Program, Level, Time, User, Claimed, Realm, Error string
		PID                                                                                         int64
		Tags                                                                                        string
	}
	f := func(inner, text string, want said) {
		t.Helper()
		ev, err := throughSyslog(t, config, inner, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got := said{Dataset: ev.Dataset, Parser: ev.Parser, Message: ev.Message, Host: ev.Host.Name, Hostname: ev.Host.Hostname, Program: ev.Process.Name, Level: ev.Log.Level,
			Time: ev.Time.Std().Format(time.RFC3339), User: ev.User.Name, Claimed: ev.Syslog.Hostname, Realm: ev.Realm, PID: ev.Process.PID.N, Tags: strings.Join(ev.Tags, " ")}
		if ev.Error != nil {
			got.Error = ev.Error.Message
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", text, d)
		}
	}
	const head = "<86>1 2026-11-22T10:00:00Z web01 "
	sshd := said{Dataset: "gatebook.linux.auth", Parser: "linux_auth", Message: "Accepted password for bob from 203.0.113.9 port 22 ssh2", Host: "web01", Hostname: "web01",
		Program: "sshd", Level: "informational", Time: "2026-11-22T10:00:00Z", User: "bob", Claimed: "web01", Realm: "web01", PID: 7}
	f("auto", head+"sshd 7 - - Accepted password for bob from 203.0.113.9 port 22 ssh2", sshd)
	f("linux_auth", "<86>Nov 22 10:00:00 web01 sshd[7]: Accepted password for bob from 203.0.113.9 port 22 ssh2", sshd)
	app := said{Dataset: "gatebook.billing.login", Parser: "billing", Message: "bob", Host: "web01", Hostname: "web01",
		Program: "billing", Level: "informational", Time: "2026-11-22T10:00:00Z", User: "bob", Claimed: "web01", PID: 9}
	app.Message = `{"login":"bob"}`
	f("auto", head+`billing 9 - - {"login":"bob"}`, app)
	app.Message = `{"login":"bob","at":"2026-11-22T09:00:00Z","on":"db01"}`
	app.Time, app.Host, app.Hostname = "2026-11-22T09:00:00Z", "db01", ""
	f("billing", head+`billing 9 - - {"login":"bob","at":"2026-11-22T09:00:00Z","on":"db01"}`, app)
	f("auto", head+"backup 9 - - all done", said{Dataset: "gatebook.syslog", Parser: "syslog", Message: "all done", Host: "web01", Hostname: "web01",
		Program: "backup", Level: "informational", Time: "2026-11-22T10:00:00Z", Claimed: "web01", PID: 9})
	// A text that the parser of the config does not know keeps what the header says.
	f("billing", head+"billing 9 - - no object", said{Dataset: "gatebook.billing.login", Parser: "syslog", Message: "no object", Host: "web01", Hostname: "web01",
		Program: "billing", Level: "informational", Time: "2026-11-22T10:00:00Z", Claimed: "web01", PID: 9, Tags: "parse-failure"})
	// A day that the year does not have: the time of arrival, and the text of it kept.
	f("auto", "<86>Nov 31 10:00:00 web01 backup: done", said{Dataset: "gatebook.syslog", Parser: "syslog", Message: "done", Host: "web01", Hostname: "web01",
		Program: "backup", Level: "informational", Time: "2026-11-22T12:00:00Z", Claimed: "web01", Tags: "time-from-arrival"})
}

// A message that breaks the RFC is refused with a reason: the pipeline keeps it whole.
func TestSyslogEnvelopeRefuses(t *testing.T) {
	for _, inner := range []string{"auto", "raw", "linux_auth"} {
		_, err := throughSyslog(t, "", inner, "<999>what is this")
		if err == nil || errors.Is(err, ErrNoMatch) || !strings.HasPrefix(err.Error(), "RFC 3164: ") {
			t.Errorf("%s: %v", inner, err)
		}
	}
}

// The reader of strict messages takes nothing that go-syslog reads in another way.
func FuzzStrictRFC5424(f *testing.F) {
	for _, s := range []string{
		"<38>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 ID47 - text", "<0>1 - - - - - -", "<191>1 2026-11-22T23:59:59-23:59 h a p m - \xef\xbb\xbftext",
		"<13>1 2026-02-29T00:00:00Z h a p m - text", "<013>1 - - - - - -", "<13>1 2026-11-22T11:00:60Z - - - - - -", "<13>1 2026-11-22T11:00:00.1234567Z - - - - - - \xff",
		"<13>1 2026-11-22t11:00:00z h a - - - ", "<13>12 - - - - - -", "<13>1 2026-11-22T24:00:00+24:00 h a - - - x\ny",
	} {
		f.Add(s)
	}
	r := newSyslogReader(Options{})
	f.Fuzz(func(t *testing.T, text string) {
		var fast, slow syslogLine
		if !r.strictRFC5424(text, &fast) {
			return
		}
		if err := readRFC5424(text, &slow); err != nil {
			if utf8.ValidString(text) {
				t.Fatalf("%q: go-syslog says %v", text, err)
			}
			return // a text that is not UTF-8 is kept as it is
		}
		if fast != slow {
			t.Fatalf("%q:\n%+v\n%+v", text, fast, slow)
		}
	})
}

func FuzzSyslog(f *testing.F) {
	fuzzParser(f, []string{"syslog", "auto"}, "<189>1234: *Nov 22 11:00:00.123 UTC: %SYS-5-CONFIG_I: text", "<13>Nov 22 11:00:00 2026 h a[1]: x", "<13>1 - - - - - [a b=\"c\"] x",
		"<13>1 2026-11-22T11:00:00Z h a p m [a:\"b\"; c:\"d\\]\"] x", "12 <13>: 2026 Nov 22 11:00:00 h : %A-1-B: x", "<", "<1>", "\ufeff", "<13>2026-11-22T11:00:00Z h {\"a\":1}")
}

// Through the envelope, too, every message is a valid document or an error, and is read alike when it comes again.
func FuzzSyslogEnvelope(f *testing.F) {
	set, ds := build(f, fuzzConfig)
	if len(ds) > 0 {
		f.Fatal(ds)
	}
	for _, text := range []string{"sshd 7 - - Failed password for bob from 203.0.113.9 port 22 ssh2", `app - - - {"a":"b","t":1768039200}`, `app - - [a b="c"][a b="d"] user=bob a=1`, "CRON 7 - - x"} {
		f.Add("<86>1 2026-11-22T11:00:00Z web01 " + text)
	}
	f.Add("<86>Nov 31 11:00:00 web01 sshd[7]: Accepted password for bob from 203.0.113.9 port 22 ssh2")
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	f.Fuzz(func(t *testing.T, text string) {
		for _, inner := range []string{"auto", "linux_auth", "wild", "raw", "re"} {
			p, err := set.Open("syslog", inner)
			if err != nil {
				t.Fatal(err)
			}
			var first string
			for n := range 2 {
				var ev event.Event
				if err := p.Parse(Line{Text: text, Received: received, Source: "s", Offset: 1}, &ev); err != nil {
					continue
				}
				doc := enc.AppendDocument(nil, &ev)
				if !gjson.ValidBytes(doc) || !strings.HasPrefix(ev.Dataset, event.DatasetPrefix) {
					t.Fatalf("%s: %q gives %s", inner, text, doc)
				}
				if len(doc) > 4096+64*len(text) {
					t.Fatalf("%s: %d bytes of message give %d bytes", inner, len(text), len(doc))
				}
				if n == 0 {
					first = string(doc)
				} else if inner != "auto" && first != string(doc) {
					t.Fatalf("%s: %q is read in two ways", inner, text)
				}
			}
		}
	})
}

// Every message is valid as JSON whatever its structured data are, and reading takes no more than its length allows.
func TestStructuredDataOfManyNames(t *testing.T) {
	var s strings.Builder
	s.WriteString("[a")
	for range 8000 {
		s.WriteString(` b="c"`)
	}
	s.WriteString("]")
	for range 2000 {
		s.WriteString("[a b=\"c\"]")
	}
	var object map[string]map[string][]string
	if err := json.Unmarshal([]byte(structuredJSON(s.String())), &object); err != nil || len(object["a"]["b"]) != 10000 {
		t.Errorf("%v, %d values", err, len(object["a"]["b"]))
	}
}

func BenchmarkSyslogHeader(b *testing.B) {
	r := newSyslogReader(Options{})
	bench := func(name, text string) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var l syslogLine
				if err := r.read(text, received, &l); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	const tail = "Failed password for invalid user admin from 203.0.113.9 port 51234 ssh2"
	bench("rfc5424", "<86>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 - - "+tail)
	bench("rfc5424_structured", `<86>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 - [origin ip="192.0.2.7"] `+tail)
	bench("rfc3164", "<86>Nov 22 11:00:00 web01 sshd[4711]: "+tail)
	bench("cisco", "<189>1234: *Nov 22 11:00:00.123 UTC: %SYS-5-CONFIG_I: Configured from console by vty0 (192.0.2.9)")
}

func BenchmarkSyslogEnvelope(b *testing.B) {
	set, _ := build(b, "")
	p, err := set.Open("syslog", "auto")
	if err != nil {
		b.Fatal(err)
	}
	var ev event.Event
	for name, text := range map[string]string{
		"sshd":    "<86>1 2026-11-22T11:00:00.123456Z web01 sshd 4711 - - Failed password for invalid user admin from 203.0.113.9 port 51234 ssh2",
		"unknown": "<86>1 2026-11-22T11:00:00.123456Z web01 backup 4711 - - all done, 17 files in 3 seconds",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ev.Reset()
				if err := p.Parse(Line{Text: text, Received: received, Source: "192.0.2.1"}, &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
