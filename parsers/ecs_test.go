package parsers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatebook/gatebook/event"
)

// ownDocument is a document with every field of the table, as another Gatebook writes it.
func ownDocument(t *testing.T, change func(*event.Event)) []byte {
	t.Helper()
	var ev event.Event
	text := map[event.Type]string{event.DateTime: "2026-01-10T10:00:00.5Z", event.Integer: "7", event.Float32: "1.5", event.IP: "203.0.113.9",
		event.Boolean: "true", event.Place: `{"lat":1.5,"lon":-2}`, event.Flattened: `{"a":{"b":"c"}}`, event.Stored: `{"a":[1]}`}
	for i := range event.Fields {
		f := &event.Fields[i]
		value, ok := text[f.Type]
		switch f.Name {
		case "event.kind":
			value = "alert"
		case "event.action":
			value = "login"
		case "event.outcome":
			value = "success"
		case "event.category":
			value = "iam"
		case "event.type":
			value = "user"
		case "event.dataset":
			value = "gatebook.linux.auth"
		case "event.original", "gatebook.notification.body":
			value = `a "quoted" line`
		case "labels":
			ev.Labels = []event.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "x"}, {Key: "b", Value: "y"}}
			continue
		default:
			if !ok {
				value = "text of " + f.Name
			}
		}
		if f.Go == "" {
			continue
		}
		if err := ev.Set(event.FieldID(i), value); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(&ev)
	}
	ev.Finish()
	return encodeECS(&ev)
}

func encodeECS(ev *event.Event) []byte {
	enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: "0", Original: true, Agent: event.AgentInfo{Name: "central"}})
	return enc.AppendDocument(nil, ev)
}

func decoded(t *testing.T, doc []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return v
}

// What another Gatebook wrote is written again as it was, whatever fields it has.
func TestTrustedDocumentComesBackTheSame(t *testing.T) {
	set, _ := build(t, "")
	p, err := set.Open("ecs", "auto")
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, change func(*event.Event)) {
		t.Helper()
		doc := ownDocument(t, change)
		var ev event.Event
		if err := p.Parse(Line{Text: string(doc), Received: received, Trusted: true}, &ev); err != nil {
			t.Fatal(err)
		}
		ev.Finish()
		if diff := cmp.Diff(decoded(t, doc), decoded(t, encodeECS(&ev))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	f("every field", nil)
	f("category and type of the action", func(ev *event.Event) { ev.Kind, ev.Category, ev.Type = "", "", "" })
	for _, a := range event.Actions() {
		f(a.String(), func(ev *event.Event) { ev.Kind, ev.Category, ev.Type, ev.Action = "", "", "", a })
	}
	f("no action", func(ev *event.Event) { ev.Kind, ev.Category, ev.Type, ev.Action = "", "", "", event.ActionNone })
	f("many labels", func(ev *event.Event) {
		for i := range maxLabels {
			ev.Label(fmt.Sprintf("k%d", i), "v")
		}
	})
}

// The same document from anybody else makes none of the fields that only a Gatebook may say.
func TestUntrustedDocumentForgesNothing(t *testing.T) {
	set, _ := build(t, "")
	p, err := set.Open("ecs", "auto")
	if err != nil {
		t.Fatal(err)
	}
	doc := ownDocument(t, nil)
	dotted := func(path, value string) []byte {
		return fmt.Appendf(nil, `{%q:%q,"event.action":"login"}`, path, value)
	}
	docs := [][]byte{doc, dotted("event.kind", "signal"), dotted("event.dataset", "gatebook.deadletter"), dotted("agent.type", "gatebook")}
	for i := range event.Fields {
		if f := &event.Fields[i]; oursOnly(f.Name) {
			docs = append(docs, dotted(f.Name, "true"))
		}
	}
	for _, doc := range docs {
		var ev event.Event
		if err := p.Parse(Line{Text: string(doc), Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.ID != "" || ev.DocID != "" || ev.Kind == event.KindAlert || reservedDataset(ev.Dataset) || ev.Created != 0 || ev.Relayed != event.Absent {
			t.Errorf("%s: id %q, kind %q, dataset %q, created %v", doc, ev.ID, ev.Kind, ev.Dataset, ev.Created)
		}
		if ev.Agent != nil && ev.Agent.Type == "gatebook" {
			t.Errorf("%s: agent.type is a Gatebook's", doc)
		}
		if !strings.Contains(strings.Join(ev.Tags, " "), tagRefused) {
			t.Errorf("%s: not tagged: %v", doc, ev.Tags)
		}
		ev.Parser = ""
		for i := range event.Fields {
			f := &event.Fields[i]
			if f.Go != "" && oursOnly(f.Name) && ev.Get(event.FieldID(i)).Kind != event.None && f.Name != "event.id" {
				t.Errorf("%s: %s is %q", doc, f.Name, ev.Get(event.FieldID(i)).Text())
			}
		}
	}
}

// A document that says more than an event holds is kept whole.
func TestManyMembersAreKept(t *testing.T) {
	set, _ := build(t, "")
	p, err := set.Open("ecs", "auto")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`{"message":"time=2026-01-10T10:00:00Z user=bob entry=1 status=5"`)
	for i := range 100 {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	b.WriteString("}")
	var ev event.Event
	if err := p.Parse(Line{Text: b.String(), Received: received}, &ev); err != nil {
		t.Fatal(err)
	}
	if ev.User.Name != "bob" || len(ev.Labels) > maxLabels || ev.Original != b.String() {
		t.Errorf("user %q, %d labels, original %q", ev.User.Name, len(ev.Labels), ev.Original)
	}
}

// headerParser notes what it is given.
type headerParser struct{ lines []Line }

func (*headerParser) Dataset() string { return event.DatasetPrefix + "raw" }

func (p *headerParser) Parse(line Line, ev *event.Event) error {
	p.lines = append(p.lines, line)
	ev.Message = line.Text
	return nil
}

// The journal by Fluent Bit: program, pid and host stand beside the message, as a syslog header would say them. A line that is there
// whole has its own.
func TestDocumentSaysWhatAHeaderWould(t *testing.T) {
	inner := &headerParser{}
	p := openECS(inner, Options{})
	for _, doc := range []string{
		`{"@timestamp":"2026-01-10T10:00:05Z","MESSAGE":"hello","SYSLOG_IDENTIFIER":"sshd","_PID":"77","_HOSTNAME":"gate"}`,
		`{"event.original":"Jan 10 10:00:00 gate sshd[7]: hello","process":{"name":"sshd"}}`,
	} {
		var ev event.Event
		if err := p.Parse(Line{Text: doc, Received: received}, &ev); err != nil {
			t.Fatal(err)
		}
		if len(inner.lines) == 1 && (ev.Host.Name != "gate" || ev.Original != "hello") {
			t.Errorf("host %q, original %q", ev.Host.Name, ev.Original)
		}
	}
	h := inner.lines[0].Header
	if h == nil || h.Program != "sshd" || h.PID.N != 77 || h.Hostname != "gate" || inner.lines[0].Received.String() != "2026-01-10T10:00:05.000Z" {
		t.Errorf("header %+v", h)
	}
	if inner.lines[1].Header != nil || inner.lines[1].Received != received {
		t.Errorf("header %+v of a whole line", inner.lines[1].Header)
	}
}

func BenchmarkECS(b *testing.B) {
	set, _ := build(b, "")
	p, err := set.Open("ecs", "linux_auth")
	if err != nil {
		b.Fatal(err)
	}
	run := func(name, doc string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			var ev event.Event
			for b.Loop() {
				ev.Reset()
				if err := p.Parse(Line{Text: doc, Received: received, Source: "s", Trusted: name == "trusted"}, &ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("filebeat", `{"@timestamp":"2026-01-10T10:00:05.123Z","agent":{"ephemeral_id":"e1","id":"f1","name":"edge","type":"filebeat","version":"8.17.0"},"log":{"file":{"path":"/var/log/auth.log"},"offset":4711},"message":"Jan 10 10:00:00 gate sshd[812]: Failed password for invalid user bob from 203.0.113.9 port 4022 ssh2","input":{"type":"filestream"},"ecs":{"version":"8.0.0"},"host":{"name":"edge.example.com","os":{"platform":"debian"}}}`)
	run("trusted", `{"@timestamp":"2026-01-10T10:00:00.000Z","ecs":{"version":"8.17.0"},"data_stream":{"type":"logs","dataset":"gatebook.linux.auth","namespace":"default"},"agent":{"name":"edge","type":"gatebook","version":"1.0.0","id":"g1","ephemeral_id":"e1"},"message":"Failed password for bob","event":{"id":"e1-7","kind":"event","category":["authentication"],"type":["start"],"action":"login","outcome":"failure","dataset":"gatebook.linux.auth","created":"2026-01-10T10:00:01.000Z","original":"the line"},"host":{"name":"gate"},"user":{"name":"bob"},"source":{"ip":"203.0.113.9"},"related":{"user":["bob"]},"gatebook":{"input":"auth","parser":"linux_auth","user":{"key":"gate/bob"}}}`)
}
