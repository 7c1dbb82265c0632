package pipeline

import (
	"testing"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/inputs"
	"github.com/gatebook/gatebook/parsers"
)

// claimParser says what the line says of dataset, host and being relayed.
type claimParser struct{ dataset, host string }

func (claimParser) Dataset() string { return "gatebook.raw" }

func (p claimParser) Parse(l parsers.Line, ev *event.Event) error {
	ev.Dataset, ev.Host.Name, ev.Message = p.dataset, p.host, "claimed"
	if l.Trusted {
		ev.Relayed, ev.Input, ev.Sender.IP = event.True, "auth", "192.0.2.9"
	}
	return nil
}

// What is beyond the limits of its source is kept whole as unparsed, and says which limit it was.
func TestSourceLimits(t *testing.T) {
	f := func(dataset, host, want string) {
		t.Helper()
		src := &inputs.Source{Input: "in", Datasets: []string{"linux.*", "shop"}, Hosts: []string{"web-*.example.com"}}
		var n Normalizer
		n.Line(claimParser{dataset, host}, src, inputs.Line{Text: "the line"}, 1)
		ev := &n.Event
		if want == "" {
			if n.Failed || ev.Dataset != dataset || ev.Host.Name != host {
				t.Errorf("%s, %s: %+v", dataset, host, ev.Error)
			}
			return
		}
		if !n.Failed || ev.Dataset != "gatebook.raw" || ev.Host.Name != "" || ev.Original != "the line" || ev.Message != "the line" ||
			ev.Tags[len(ev.Tags)-1] != TagSourceLimits || ev.Error == nil || ev.Error.Message != want {
			t.Errorf("%s, %s: failed %v, tags %v, %+v", dataset, host, n.Failed, ev.Tags, ev.Error)
		}
	}
	f("gatebook.linux.auth", "web-1.example.com", "")
	f("gatebook.shop", "WEB-1.example.com", "")
	f("gatebook.shop.login", "web-1.example.com", `event.dataset "shop.login": not among what the key may deliver`)
	f("gatebook.linux.auth", "db-1.example.com", `host.name "db-1.example.com": not among what the key may deliver`)
	f("gatebook.linux.auth", "", `host.name "": not among what the key may deliver`)
}

// A record of another Gatebook keeps the input and the sender that it had there, and gets no text that it did not have.
func TestRelayedKeepsItsOrigin(t *testing.T) {
	var n Normalizer
	src := &inputs.Source{Input: "fleet", Parser: "auto", SenderIP: "198.51.100.1", SenderPort: 9, Trusted: true}
	n.Line(claimParser{"gatebook.alert", "h"}, src, inputs.Line{Text: "doc", ID: "edge:1"}, 1)
	if ev := &n.Event; ev.Input != "auth" || ev.Sender.IP != "192.0.2.9" || ev.Sender.Port.Valid || ev.Parser != "" || ev.Original != "" || ev.DocID != "edge:1" {
		t.Errorf("input %q, sender %+v, parser %q, original %q, id %q", ev.Input, ev.Sender, ev.Parser, ev.Original, ev.DocID)
	}
	src.Trusted = false
	n.Line(claimParser{"gatebook.raw", "h"}, src, inputs.Line{Text: "doc"}, 1)
	if ev := &n.Event; ev.Input != "fleet" || ev.Sender.IP != "198.51.100.1" || ev.Parser != "auto" || ev.Original != "doc" {
		t.Errorf("input %q, sender %+v, parser %q, original %q", ev.Input, ev.Sender, ev.Parser, ev.Original)
	}
}
