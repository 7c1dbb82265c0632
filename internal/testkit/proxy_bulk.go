package testkit

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// bulkItem is one action of a bulk request.
type bulkItem struct {
	op          string
	index, id   string
	action, doc []byte // lines without their newline; a delete has no doc
	status      int    // refused with this; 0 if forwarded
}

// parseBulk splits a bulk body, which is newline-delimited: an action line, then a document for all but delete.
func parseBulk(body []byte) ([]bulkItem, error) {
	var items []bulkItem
	next := func() []byte {
		line, rest, _ := bytes.Cut(body, []byte("\n"))
		body = rest
		return line
	}
	for len(body) > 0 {
		line := next()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(line, &action); err != nil {
			return nil, fmt.Errorf("parse bulk: action %d is %.200q: %w", len(items), line, err)
		}
		if len(action) != 1 {
			return nil, fmt.Errorf("parse bulk: action %d is %.200q", len(items), line)
		}
		it := bulkItem{action: line}
		for op, meta := range action {
			it.op, it.index, it.id = op, meta.Index, meta.ID
		}
		if it.op != "delete" {
			it.doc = next()
		}
		items = append(items, it)
	}
	return items, nil
}

// decoded returns the request's body without its gzip, whose members may be several.
func decoded(r *http.Request, body []byte) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpack request: %w", err)
	}
	return io.ReadAll(z)
}

type bulkAnswer struct {
	Took   int               `json:"took"`
	Errors bool              `json:"errors"`
	Items  []json.RawMessage `json:"items"`
}

// forwardItems forwards the items that are not refused and answers for all of them, in their order.
func (p *Proxy) forwardItems(r *http.Request, body []byte, f Fault) (*answer, error) {
	plain, err := decoded(r, body)
	if err != nil {
		return nil, err
	}
	items, err := parseBulk(plain)
	if err != nil {
		p.fail("fault proxy: %v", err)
		return nil, err
	}
	var rest bytes.Buffer
	kept := 0
	for i := range items {
		it := &items[i]
		if f.Items != nil {
			it.status = f.Items(i, it.action, it.doc)
		}
		if it.status != 0 {
			continue
		}
		kept++
		rest.Write(it.action)
		rest.WriteByte('\n')
		if it.op != "delete" {
			rest.Write(it.doc)
			rest.WriteByte('\n')
		}
	}
	a := &answer{status: 200, header: http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}}}
	var real bulkAnswer
	if kept > 0 {
		r.Header.Del("Content-Encoding")
		r.Header.Del("Accept-Encoding") // the answer is read here
		if a, err = p.forward(r, rest.Bytes()); err != nil || a.status != http.StatusOK {
			return a, err
		}
		if err := json.Unmarshal(a.body, &real); err != nil || len(real.Items) != kept {
			p.fail("fault proxy: backend answers %d items to %d: %v", len(real.Items), kept, err)
			return a, nil
		}
	}
	a.body, err = merge(items, real, f.ItemDelta)
	return a, err
}

// merge puts the made-up answers of refused items among the real ones.
func merge(items []bulkItem, real bulkAnswer, delta int) ([]byte, error) {
	out := bulkAnswer{Took: real.Took, Errors: real.Errors, Items: make([]json.RawMessage, 0, len(items))}
	for _, it := range items {
		if it.status == 0 {
			out.Items = append(out.Items, real.Items[0])
			real.Items = real.Items[1:]
			continue
		}
		e := errorOf(it.status, true)
		b, err := json.Marshal(map[string]any{it.op: map[string]any{
			"_index": it.index, "_id": it.id, "status": it.status, "error": map[string]any{"type": e.typ, "reason": e.reason},
		}})
		if err != nil {
			return nil, fmt.Errorf("make answer: %w", err)
		}
		out.Items, out.Errors = append(out.Items, b), true
	}
	for ; delta < 0 && len(out.Items) > 0; delta++ {
		out.Items = out.Items[:len(out.Items)-1]
	}
	for ; delta > 0 && len(out.Items) > 0; delta-- {
		out.Items = append(out.Items, out.Items[len(out.Items)-1])
	}
	return json.Marshal(out)
}
