package testkit

import (
	"fmt"
	"strconv"
	"time"
)

// Fault is what the proxy does with one request. The zero value forwards it as it is.
type Fault struct {
	Name string // counted under this name

	Before, After time.Duration // wait before forwarding, and before answering
	Status        int           // answer this without forwarding
	Body          string        // of Status; default: what Elasticsearch says with that status
	Cut           Cut           // where the connection is reset
	DripBytes     int           // answer in pieces of so many bytes ...
	DripEvery     time.Duration // ... with this pause between them
	Items         func(i int, action, doc []byte) int
	ItemDelta     int // answer to a bulk with so many items more (or fewer, if negative) than it has
}

// Cut says where a connection ends.
type Cut int

// The places where a connection may be cut.
const (
	CutNowhere Cut = iota
	CutBefore      // the backend never sees the request
	CutAfter       // the backend has done it, the client never hears so: the outcome is unknown
	CutHalf        // the client gets the first half of the answer
)

// FaultPass forwards the request as it is.
func FaultPass() Fault { return Fault{Name: "pass"} }

// FaultStatus answers with a status (400, 401, 403, 413, 429, 502, 503, 504) and does not forward.
func FaultStatus(status int) Fault { return Fault{Name: strconv.Itoa(status), Status: status} }

// FaultCutBefore resets the connection; the backend never sees the request.
func FaultCutBefore() Fault { return Fault{Name: "cut-before", Cut: CutBefore} }

// FaultCutAfter resets the connection once the backend has processed the request, so that the outcome is unknown.
func FaultCutAfter() Fault { return Fault{Name: "cut-after", Cut: CutAfter} }

// FaultHalf sends the first half of the backend's answer, with the whole one's Content-Length, and closes the connection.
func FaultHalf() Fault { return Fault{Name: "half", Cut: CutHalf} }

// FaultSlow waits before forwarding and before answering.
func FaultSlow(before, after time.Duration) Fault {
	return Fault{Name: "slow", Before: before, After: after}
}

// FaultDrip sends the answer in pieces of n bytes.
func FaultDrip(n int, every time.Duration) Fault {
	return Fault{Name: "drip", DripBytes: n, DripEvery: every}
}

// FaultItems refuses single items of a bulk request: for each, f returns the status (400, 403, 409, 413, 429, 503) that the
// answer shall give it, or 0 to let it through. Refused items are left out of what is forwarded, so the answer is true.
// action and doc are valid during the call only.
func FaultItems(f func(i int, action, doc []byte) (status int)) Fault {
	return Fault{Name: "items", Items: f}
}

// FaultItemCount answers a bulk request, which is forwarded, with delta items more or fewer than it has.
func FaultItemCount(delta int) Fault { return Fault{Name: "item-count", ItemDelta: delta} }

type esError struct{ typ, reason string }

var esErrors = map[int]esError{
	400: {"document_parsing_exception", "[1:2] failed to parse field [source.ip] of type [ip] in document"},
	401: {"security_exception", "unable to authenticate user [elastic] for REST request [/_bulk]"},
	403: {"security_exception", "action [indices:data/write/bulk] is unauthorized for API key"},
	404: {"index_not_found_exception", "no such index"},
	409: {"version_conflict_engine_exception", "version conflict, document already exists (current version [1])"},
	413: {"content_too_long_exception", "entity content is too long"},
	429: {"es_rejected_execution_exception", "rejected execution of coordinating operation"},
	503: {"cluster_block_exception", "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized]"},
}

var esItemErrors = map[int]esError{
	503: {"unavailable_shards_exception", "primary shard is not active"},
}

func errorOf(status int, item bool) esError {
	if e, ok := esItemErrors[status]; ok && item {
		return e
	}
	if e, ok := esErrors[status]; ok {
		return e
	}
	return esError{"exception", "injected fault"}
}

// errorBody is what Elasticsearch says with a status to a whole request.
func errorBody(status int) string {
	e := errorOf(status, false)
	return fmt.Sprintf(`{"error":{"root_cause":[{"type":%q,"reason":%q}],"type":%q,"reason":%q},"status":%d}`,
		e.typ, e.reason, e.typ, e.reason, status)
}

// Weighted is a fault with its share of the requests, in percent.
type Weighted struct {
	Fault   Fault
	Percent float64
}

// Mixed is a mixture of every kind of trouble for Proxy.Random, half of the requests passing.
func Mixed() []Weighted {
	return []Weighted{
		{FaultStatus(429), 8}, {FaultStatus(503), 8}, {FaultStatus(413), 4},
		{FaultCutBefore(), 8}, {FaultCutAfter(), 10}, {FaultHalf(), 4},
		{FaultSlow(20*time.Millisecond, 50*time.Millisecond), 4},
		{FaultItems(EveryNth(7, 429)), 4},
	}
}

// EveryNth is for [FaultItems]: items 0, n, 2n ... of a request get the status.
func EveryNth(n, status int) func(i int, action, doc []byte) int {
	return func(i int, _, _ []byte) int {
		if i%n == 0 {
			return status
		}
		return 0
	}
}
