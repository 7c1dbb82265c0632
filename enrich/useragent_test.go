package enrich

import (
	"strings"
	"testing"

	"github.com/gatebook/gatebook/event"
)

func TestUserAgent(t *testing.T) {
	u := NewUserAgent()
	f := func(original string, want event.UserAgent) {
		t.Helper()
		for range 2 {
			e := event.Event{UserAgent: event.UserAgent{Original: original}}
			u.Enrich(&e)
			want.Original = original
			if e.UserAgent != want {
				t.Errorf("%.60s:\n got %+v\nwant %+v", original, e.UserAgent, want)
			}
		}
	}
	f("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
		event.UserAgent{Name: "Chrome", Version: "120.0.0.0", OSName: "Windows", OSVersion: "10.0"})
	f("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
		event.UserAgent{Name: "Safari", Version: "17.0", OSName: "iOS", OSVersion: "17.0", Device: "iPhone"})
	f("", event.UserAgent{})
	f(strings.Repeat("(", 1<<16), event.UserAgent{})
	f("\xff\xfe\x00;;;((()", event.UserAgent{})
}

func TestUserAgentLeavesWhatTheLineSaid(t *testing.T) {
	e := event.Event{UserAgent: event.UserAgent{Original: "Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0", OSName: "Plan 9"}}
	want := e.UserAgent
	NewUserAgent().Enrich(&e)
	if e.UserAgent != want {
		t.Errorf("got %+v", e.UserAgent)
	}
}

func FuzzUserAgent(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0")
	u := NewUserAgent()
	f.Fuzz(func(t *testing.T, s string) {
		e := event.Event{UserAgent: event.UserAgent{Original: s}}
		u.Enrich(&e)
		if e.UserAgent.Original != s {
			t.Error("original changed")
		}
	})
}

func BenchmarkUserAgentHit(b *testing.B) {
	u := NewUserAgent()
	const s = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
	var e event.Event
	b.ReportAllocs()
	for b.Loop() {
		e.UserAgent = event.UserAgent{Original: s}
		u.Enrich(&e)
	}
}
