package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/query"
	"github.com/gatebook/gatebook/rules"
)

func TestInspect(t *testing.T) {
	source := `failed && port == 23
!(count() >= 5) || user.name != prev.user.name && first_seen(host.name)
`
	at := func(text string) rules.At {
		i := strings.Index(source, text)
		return rules.At{Pos: hcl.Range{Filename: "r.hcl", Start: hcl.Pos{Byte: i}, End: hcl.Pos{Byte: i + len(text)}}}
	}
	define := failedNode(t).(*rules.Defined)
	define.At = at("failed")
	port := askNode(t, "source.port == 23")
	port.At = at("port == 23")
	count := &rules.Aggregate{At: at("count()"), Kind: rules.Count}
	name, before := ownField(t, "user.name"), prevField(t, "user.name")
	name.At, before.At = at("user.name"), at("prev.user.name")
	seen := &rules.Aggregate{At: at("first_seen(host.name)"), Kind: rules.FirstSeen, Terms: []rules.Expr{ownField(t, "host.name")}}
	whole := at("!(count() >= 5) || user.name != prev.user.name && first_seen(host.name)")
	r := &rules.Rule{ID: "r", Source: []byte(source), Range: hcl.Range{Filename: "r.hcl"}, When: &rules.And{At: at("failed && port == 23"), Of: []rules.Expr{define, port}},
		Fire: &rules.Or{At: whole, Of: []rules.Expr{
			&rules.Not{At: at("!(count() >= 5)"), Of: &rules.Compare{At: at("count() >= 5"), Op: query.Ge, Left: count, Right: constNode(5.0)}},
			&rules.And{At: at("user.name != prev.user.name && first_seen(host.name)"), Of: []rules.Expr{
				&rules.Compare{At: at("user.name != prev.user.name"), Op: query.Ne, Left: name, Right: before}, seen}}}}}
	p := compiledRule(t, r)
	ev := failedLogin()
	it := &item{time: ev.Time, bits: p.enter(ev)} // it is none of the rule's: explain tells why
	p.fill(ev, it)
	f := func(parts []Part, want string) {
		t.Helper()
		var b strings.Builder
		for _, x := range parts {
			fmt.Fprintf(&b, "%s: %s", x.Text, x.Value)
			if x.True != nil {
				fmt.Fprint(&b, *x.True)
			}
			b.WriteString("\n")
		}
		if got := b.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	f(p.inspect(ev, &scene{now: it, aggregate: func(n int) value {
		return []value{{kind: number, number: 7}, truth(false)}[n]
	}}), `failed && port == 23: false
failed: true
port == 23: false
!(count() >= 5) || user.name != prev.user.name && first_seen(host.name): false
!(count() >= 5): false
count() >= 5: true
count(): 7
user.name != prev.user.name && first_seen(host.name): false
user.name != prev.user.name: true
user.name: bob
prev.user.name: null
first_seen(host.name): false
`)
	f(p.inspect(ev, nil), `failed && port == 23: false
failed: true
port == 23: false
!(count() >= 5) || user.name != prev.user.name && first_seen(host.name): 
!(count() >= 5): 
count() >= 5: 
count(): 
user.name != prev.user.name && first_seen(host.name): 
user.name != prev.user.name: 
user.name: bob
prev.user.name: 
first_seen(host.name): 
`)
}
