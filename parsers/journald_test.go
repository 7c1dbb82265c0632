package parsers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// journalInner is a parser that takes texts which begin with "ok", and notes what it was given.
type journalInner struct {
	text   string
	header Header
	sets   func(ev *event.Event)
}

func (p *journalInner) Dataset() string { return event.DatasetPrefix + "inner" }

func (p *journalInner) Parse(line Line, ev *event.Event) error {
	p.text, p.header = line.Text, *line.Header
	if !strings.HasPrefix(line.Text, "ok") {
		ev.Host.Name = "left over"
		return ErrNoMatch
	}
	ev.Dataset, ev.Message = p.Dataset(), line.Text
	if p.sets != nil {
		p.sets(ev)
	}
	return nil
}

const journalEntryText = `{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795365733157211","_SOURCE_REALTIME_TIMESTAMP":"1795365733153855",` +
	`"MESSAGE":"ok then\n","SYSLOG_IDENTIFIER":"/usr/sbin/sshd(pam_unix)","_COMM":"sshd-session","_PID":"77","SYSLOG_PID":"78","PRIORITY":"6",` +
	`"SYSLOG_FACILITY":"10","_HOSTNAME":"web1","_SYSTEMD_UNIT":"ssh.service","_UID":"0","_EXE":"/usr/sbin/sshd","_CMDLINE":"sshd: root [priv]",` +
	`"_BOOT_ID":"8b5e","_SYSTEMD_CGROUP":"/x","REP":["a","b"],"BIN":[104,105,255],"USER_ID":"bob"}`

func TestJournalEnvelope(t *testing.T) {
	inner := &journalInner{}
	p := newJournalEnvelope(inner, Options{})
	parse := func(text string) (event.Event, error) {
		var ev event.Event
		err := p.Parse(Line{Text: text, Received: received, Offset: 1}, &ev)
		return ev, err
	}
	ev, err := parse(journalEntryText)
	h := inner.header
	if err != nil || inner.text != "ok then" || h.Program != "sshd" || h.Module != "pam_unix" || h.PID.N != 77 || h.Time.String() != "2026-11-22T16:42:13.153855000Z" {
		t.Errorf("%v; text %q, header %+v, time %s", err, inner.text, h, h.Time)
	}
	y := ev.Syslog
	got := fmt.Sprint(ev.Time, " ", ev.Host.Name, " ", ev.Process, " ", y.Priority.N, y.FacilityName, y.SeverityName, " ", y.AppName, " ", y.ProcID, " ", y.Hostname, " ", ev.Labels)
	want := "2026-11-22T16:42:13.153855000Z web1 {sshd sshd: root [priv] /usr/sbin/sshd  {77 true} {0 false}} 86authprivinformational /usr/sbin/sshd(pam_unix) 77 web1 " +
		"[{_comm sshd-session} {_systemd_unit ssh.service} {_uid 0} {_boot_id 8b5e} {rep a} {rep b} {bin hi\xff} {user_id bob}]"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}

	// What the inner parser says holds.
	inner.sets = func(ev *event.Event) {
		ev.Time, ev.Host.Name, ev.Process.Name, ev.Process.PID, ev.Process.CommandLine = 5, "h", "su", event.LongOf(1), "/bin/sh"
	}
	ev, err = parse(journalEntryText)
	got = fmt.Sprint(err, int64(ev.Time), ev.Host.Name, ev.Process, ev.Labels[:2])
	if want := "<nil> 5h{su /bin/sh   {1 true} {0 false}} [{_exe /usr/sbin/sshd} {_cmdline sshd: root [priv]}]"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	inner.sets = nil

	// A message that it does not know is a parse failure that keeps the header.
	ev, err = parse(strings.Replace(journalEntryText, "ok then", "what else", 1))
	if err != nil || ev.Host.Name != "web1" || ev.Message != "what else" || ev.Outcome != event.Unknown || fmt.Sprint(ev.Tags) != "[parse-failure]" || ev.Dataset != p.Dataset() || ev.Time == 0 {
		t.Errorf("%v %+v", err, ev)
	}
	f := func(text, check string, of func(event.Event, error) any) {
		t.Helper()
		ev, err := parse(text)
		if got := fmt.Sprint(of(ev, err)); got != check {
			t.Errorf("%s\n got %s\nwant %s", text, got, check)
		}
	}
	message := func(ev event.Event, err error) any { return fmt.Sprintf("%q", ev.Message) }
	f(`{"MESSAGE":[111,107,32,255]}`, `"ok \xff"`, message)
	f(`{"MESSAGE":["ok one","two"]}`, `"ok one"`, message)
	f(`{"MESSAGE":[[111,107],[1]]}`, `"ok"`, message)
	f(`{"MESSAGE":null,"_COMM":"x"}`, `"entry of the journal without a message"`, message)
	f(`{"_COMM":"x"}`, `"entry of the journal without a message"`, message)
	f(`{"MESSAGE":"ok","_COMM":"cron","PRIORITY":"9","SYSLOG_FACILITY":"99","_PID":"x","__REALTIME_TIMESTAMP":"-4"}`, "cron {0 false} {0 false} 0",
		func(ev event.Event, _ error) any {
			return fmt.Sprint(ev.Process.Name, " ", ev.Syslog.SeverityCode, " ", ev.Process.PID, " ", int64(ev.Time))
		})
	f(`{"MESSAGE":"ok","SYSLOG_IDENTIFIER":"systemd-journald","_COMM":"systemd-journal"}`, "[]", func(ev event.Event, _ error) any { return ev.Labels })
	failure := func(_ event.Event, err error) any { return err }
	f(`not an entry`, errNoEntry.Error(), failure)
	f(`{"MESSAGE":"half`, "not valid JSON", failure)
}

func FuzzJournalEnvelope(f *testing.F) {
	f.Add(journalEntryText)
	f.Add(`{"MESSAGE":[[1,2],["x"]],"A":[[[3]]],"":{"x":1},"PRIORITY":[54]}`)
	set, err := Build(nil, Options{})
	if err != nil {
		f.Fatal(err)
	}
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"auto", "linux_auth", "raw"} {
			p, err := set.Open("journald", name)
			if err != nil {
				t.Fatal(err)
			}
			var ev event.Event
			if p.Parse(Line{Text: text, Received: received, Offset: 1}, &ev) != nil {
				continue
			}
			doc := enc.AppendDocument(nil, &ev)
			if !gjson.ValidBytes(doc) || len(ev.Labels) > maxLabels+1 || len(doc) > 4096+64*len(text) {
				t.Fatalf("%s: %q: %d labels, %d bytes: %.300s", name, text, len(ev.Labels), len(doc), doc)
			}
		}
	})
}

func BenchmarkJournalEnvelope(b *testing.B) {
	set, err := Build(nil, Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := set.Open("journald", "raw")
	if err != nil {
		b.Fatal(err)
	}
	var ev event.Event
	b.SetBytes(int64(len(journalEntryText)))
	b.ReportAllocs()
	for b.Loop() {
		ev.Reset()
		if err := p.Parse(Line{Text: journalEntryText, Received: received, Offset: 1}, &ev); err != nil {
			b.Fatal(err)
		}
	}
}
