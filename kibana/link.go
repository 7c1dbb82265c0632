package kibana

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// EventsView is the id of the data view of all events.
const EventsView = "gatebook-events"

// mostLinked bounds the ids in a link: addresses of more than some thousand bytes are refused on the way.
const mostLinked = 20

// Link leads into one Kibana, for alerts and notifications. The zero value leads nowhere.
type Link struct{ base string }

// NewLink checks the address of Kibana, with the space where it is not the default one: https://kibana.example.com/s/security.
func NewLink(address string) (Link, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return Link{}, errors.New("want an address such as https://kibana.example.com, with /s/SPACE where it is not the default space")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return Link{}, errors.New("the address goes into alerts: it may hold a host, a port and a path, and nothing else")
	}
	return Link{u.String()}, nil
}

// Events is the address at which Discover shows the events with these ids, of those between two times; the last ones where they are many. It
// is "" where the link leads nowhere.
func (l Link) Events(ids []string, from, to time.Time) string {
	if l.base == "" {
		return ""
	}
	if len(ids) > mostLinked {
		ids = ids[len(ids)-mostLinked:]
	}
	any := query.In{Field: query.Field{ID: event.FieldEventId}}
	for _, id := range ids {
		any.Values = append(any.Values, query.Value{Kind: event.Str, Str: id})
	}
	kql, err := query.KQL(any, query.KQLOptions{})
	if err != nil { // there is no id that could not be asked for
		return ""
	}
	at := func(t time.Time) string { return rison(t.UTC().Format("2006-01-02T15:04:05.000Z")) }
	return l.base + "/app/discover#/?_g=(time:(from:" + at(from) + ",to:" + at(to) + "))" +
		"&_a=(dataSource:(dataViewId:" + EventsView + ",type:dataView),index:" + EventsView + ",query:(language:kuery,query:" + rison(kql) + "))"
}

// rison writes a text as the states in Kibana's addresses have it, escaped for the address.
func rison(s string) string {
	s = strings.NewReplacer("!", "!!", "'", "!'").Replace(s)
	return "'" + strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%21", "!") + "'"
}
