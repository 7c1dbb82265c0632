package elastic

import (
	"context"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// Ref names a document in a backing index.
type Ref struct{ Index, ID string }

// maxLookup is how many ids one look-up asks for.
const maxLookup = 1000

// Lookup tells of each document whether it is there, refreshed or not. A missing index means that the document is not.
func (c *Client) Lookup(ctx context.Context, refs []Ref) ([]bool, error) {
	found := make([]bool, 0, len(refs))
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

func (c *Client) lookup(ctx context.Context, refs []Ref, found []bool) ([]bool, error) {
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
		found = append(found, d.Get("found").Bool())
		switch t := d.Get("error.type").String(); t {
		case "", "index_not_found_exception":
		case "security_exception":
			failed = &RequestError{Host: "elasticsearch", Status: 403, Type: t}
		default:
			failed = &RequestError{Host: "elasticsearch", Status: 503, Type: t}
		}
		return failed == nil
	})
	if failed == nil && n != len(refs) {
		failed = fmt.Errorf("answer of %d documents to %d ids", n, len(refs))
	}
	return found, failed
}
