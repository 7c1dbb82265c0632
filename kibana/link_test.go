package kibana

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestLink(t *testing.T) {
	l, err := NewLink("https://kibana.example.com/s/soc/")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 18, 2, 0, 0, 0, time.UTC)
	got := l.Events([]string{"7a-1", `it's "x"\!`}, from, from.Add(time.Hour))
	u, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if u.Host != "kibana.example.com" || u.Path != "/s/soc/app/discover" {
		t.Errorf("leads to %s", got)
	}
	want := `/?_g=(time:(from:'2026-11-18T02:00:00.000Z',to:'2026-11-18T03:00:00.000Z'))` +
		`&_a=(dataSource:(dataViewId:gatebook-events,type:dataView),index:gatebook-events,query:(language:kuery,query:'event.id : "7a-1" or event.id : "it!'s \"x\"\\!!"'))`
	if u.Fragment != want {
		t.Errorf("state\n%s\nwant\n%s", u.Fragment, want)
	}
	if strings.ContainsAny(got, "\" <>\\\n") {
		t.Errorf("not escaped: %s", got)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = strings.Repeat("f", 32) + "-1000000"
	}
	if n := len(l.Events(many, from, from)); n > 2500 {
		t.Errorf("%d bytes for 500 events", n)
	}
}

func TestLinkRefuses(t *testing.T) {
	for _, address := range []string{"", "kibana:5601", "ftp://x", "https://", "https://user:secret@kibana", "https://kibana/?a=b", "https://kibana/#x", "javascript:alert(1)"} {
		if _, err := NewLink(address); err == nil {
			t.Errorf("%q taken", address)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("a secret is told: %v", err)
		}
	}
}
