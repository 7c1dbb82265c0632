package elastic

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// Ref names a document in a backing index.
type Ref struct{ Index, ID string }

// Presence says of a document whether it is there.
type Presence uint8

// What a look-up finds.
const (
	Absent  Presence = iota // or its index is not there
	Present                 // refreshed or not
	Unsaid                  // its index does not answer at present: no shard of it is active
)

// maxLookup is how many ids one look-up asks for.
const maxLookup = 1000

// Lookup tells of each document whether it is there. Indices that do not answer keep nothing from the others.
func (c *Client) Lookup(ctx context.Context, refs []Ref) ([]Presence, error) {
	found := make([]Presence, 0, len(refs))
	for len(refs) > 0 {
		n := min(len(refs), maxLookup)
		var err error
		if found, err = c.lookup(ctx, refs[:n], found); err != nil {
			return nil, fmt.Errorf("look up %d ids: %w", n, err)
		}
		refs = refs[n:]
	}
	return found, nil
}

func (c *Client) lookup(ctx context.Context, refs []Ref, found []Presence) ([]Presence, error) {
	body := append([]byte(nil), `{"docs":[`...)
	for i, r := range refs {
		if i > 0 {
			body = append(body, ',')
		}
		body = event.AppendQuoted(append(body, `{"_index":`...), r.Index)
		body = append(event.AppendQuoted(append(body, `,"_id":`...), r.ID), '}')
	}
	answer, err := c.do(ctx, "POST", "/_mget?_source=false&filter_path=docs.found,docs.error.type", append(body, ']', '}'))
	if err != nil {
		return nil, err
	}
	n := 0
	var failed error
	gjson.GetBytes(answer, "docs").ForEach(func(_, d gjson.Result) bool {
		n++
		p := Absent
		if d.Get("found").Bool() {
			p = Present
		}
		switch t := d.Get("error.type").String(); t {
		case "", "index_not_found_exception":
		case "security_exception":
			failed = &RequestError{Host: "elasticsearch", Status: 403, Type: t}
		default:
			p = Unsaid
		}
		found = append(found, p)
		return failed == nil
	})
	if failed == nil && n != len(refs) {
		failed = fmt.Errorf("answer of %d documents to %d ids", n, len(refs))
	}
	return found, failed
}
