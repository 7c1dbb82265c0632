package inputs

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
)

// answer writes a JSON body.
func answer(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a sender that is gone sends it again
	}
}

// strangerGrace is how long the body of a request that is refused unread may go on coming, so that its sender gets to read the answer.
const strangerGrace = 2 * time.Second

// hangUp ends the connection with the answer at hand: who has not shown a key keeps none.
func hangUp(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(strangerGrace)) // not every ResponseWriter of a test has it
}

// refuse answers a request as a whole, as Elasticsearch would.
func refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	if f.status == http.StatusUnauthorized {
		hangUp(w)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retry))
	}
	b := append([]byte(nil), `{"error":{"root_cause":[`...)
	b = append(appendError(b, f.typ, f.reason), `],`...)
	b = append(b, appendError(nil, f.typ, f.reason)[1:]...)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(f.status), 10)
	answer(w, r, f.status, append(b, '}'))
}

func appendError(b []byte, typ, reason string) []byte {
	b = event.AppendQuoted(append(b, `{"type":`...), typ)
	b = event.AppendQuoted(append(b, `,"reason":`...), reason)
	return append(b, '}')
}

// appendAnswer appends the answer to a bulk request, item by item.
func appendAnswer(b []byte, items []bulkItem, took int64) []byte {
	errs := false
	for i := range items {
		errs = errs || !items[i].good()
	}
	b = strconv.AppendInt(append(b, `{"took":`...), took, 10)
	b = strconv.AppendBool(append(b, `,"errors":`...), errs)
	b = append(b, `,"items":[`...)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = items[i].append(b)
	}
	return append(b, "]}"...)
}

// good says that the item has no error in its answer. A repeat of index is as good as the first.
func (i *bulkItem) good() bool { return i.fate == fateTaken || i.fate == fateRepeat && i.op == opIndex }

func (i *bulkItem) append(b []byte) []byte {
	b = append(append(append(b, `{"`...), bulkOps[i.op]...), `":{"_index":`...)
	b = event.AppendQuoted(b, i.index)
	if i.id != "" {
		b = event.AppendQuoted(append(b, `,"_id":`...), i.id[:min(len(i.id), maxID)])
	}
	f := &fateText[i.fate]
	switch {
	case i.fate == fateTaken:
		return append(b, `,"_version":1,"result":"created","status":201}}`...)
	case i.good():
		return append(b, `,"_version":1,"result":"noop","status":200}}`...)
	}
	b = strconv.AppendInt(append(b, `,"status":`...), int64(f.status), 10)
	return append(appendError(append(b, `,"error":`...), f.typ, f.reason), "}}"...)
}

// probe answers what shippers ask before they deliver. Nothing of it changes anything here.
func (h *bulkInput) probe(w http.ResponseWriter, r *http.Request) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	write := r.Method == http.MethodPut || r.Method == http.MethodPost
	switch r.URL.Path {
	case "/":
		if read {
			answer(w, r, http.StatusOK, h.about)
			return
		}
	case "/_license":
		if read {
			answer(w, r, http.StatusOK, []byte(`{"license":{"status":"active","uid":"00000000-0000-0000-0000-000000000000","type":"basic","mode":"basic"}}`))
			return
		}
	case "/_xpack":
		if read {
			answer(w, r, http.StatusOK, []byte(`{"license":{"status":"active","type":"basic","mode":"basic"},"features":{"ilm":{"available":true,"enabled":true}}}`))
			return
		}
	case "/_cluster/health":
		if read {
			answer(w, r, http.StatusOK, []byte(`{"cluster_name":"gatebook","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1}`))
			return
		}
	default:
		for _, prefix := range [...]string{"/_index_template/", "/_component_template/", "/_template/", "/_ilm/policy/", "/_ingest/pipeline/", "/_data_stream/"} {
			if name, ok := strings.CutPrefix(r.URL.Path, prefix); !ok || name == "" || strings.Contains(name, "/") {
				continue
			}
			if read { // it is there: nobody need make it
				answer(w, r, http.StatusOK, []byte(`{}`))
				return
			}
			if write {
				answer(w, r, http.StatusOK, []byte(`{"acknowledged":true}`))
				return
			}
		}
	}
	refuse(w, r, &refusal{status: http.StatusNotFound, typ: "resource_not_found_exception", reason: "this is Gatebook's bulk input: it takes _bulk and answers what shippers ask at their start"})
}

// aboutText is the answer to GET /, by which clients know Elasticsearch and its version.
func aboutText(label, version string) []byte {
	b := event.AppendQuoted([]byte(`{"name":`), label)
	b = append(b, `,"cluster_name":"gatebook","cluster_uuid":"gatebook","version":{"number":`...)
	b = event.AppendQuoted(b, version)
	return append(b, `,"build_flavor":"default","build_type":"tar","build_hash":"0","build_date":"2024-01-01T00:00:00.000Z","build_snapshot":false,"lucene_version":"9.12.0","minimum_wire_compatibility_version":"7.17.0","minimum_index_compatibility_version":"7.0.0"},"tagline":"You Know, for Search"}`...)
}
