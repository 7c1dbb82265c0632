package inputs

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/gzip"
)

// refusal is why a request as a whole is not taken.
type refusal struct {
	status int
	typ    string // in Elasticsearch's words
	reason string
	retry  int // seconds; 0 is no advice
}

// budget bounds what is in memory at once for the requests of a listener. Nobody waits for it: a sender that can wait is told so.
type budget struct {
	mu       sync.Mutex
	bytes    int64 // left
	requests int   // left
	whole    int64 // bytes of an unused budget
}

func (b *budget) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.requests == 0 {
		return false
	}
	b.requests--
	return true
}

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.bytes {
		return false
	}
	b.bytes -= n
	return true
}

// charge takes what the items of a request need beside its body, and adds it to taken. One request that has the budget for itself gets
// through in any case, so that nobody is told for ever to come again.
func (b *budget) charge(taken *int64, items, each int) bool {
	n := min(int64(items)*int64(each), b.whole-*taken)
	if n > 0 && !b.take(n) {
		return false
	}
	*taken += max(n, 0)
	return true
}

// leave ends a request that had taken so many bytes.
func (b *budget) leave(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += n
	b.requests++
}

// Bounds of a compressed body, beside its size: nothing that people log is a 200th of itself.
const (
	maxRatio   = 200
	ratioFrom  = 1 << 20
	firstChunk = 64 << 10
)

var errRatio = errors.New("compressed more than 200 to one")

// gunzips are the readers of compressed bodies.
var gunzips sync.Pool

// countingReader counts what was read, and never gives more than left bytes.
type countingReader struct {
	r    io.Reader
	n    int64
	left int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.n += int64(n)
	c.left -= int64(n)
	return n, err
}

var errTooLong = errors.New("too long")

// readBody reads the body of a request, decompressed, within its bounds. taken is what it holds of the budget, also on refusal.
func (l *listener) readBody(r *http.Request, room *budget) (text string, taken int64, refused *refusal) {
	most := l.config.maxBody
	tooLong := &refusal{status: http.StatusRequestEntityTooLarge, typ: "content_too_long_exception",
		reason: "the request is longer than " + strconv.FormatInt(most, 10) + " bytes; send it in parts"}
	if r.ContentLength > most {
		return "", 0, tooLong
	}
	body := &countingReader{r: r.Body, left: most + 1}
	var from io.Reader = body
	packed := false
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		packed = true
		z, ok := gunzips.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		defer gunzips.Put(z)
		if err := z.Reset(body); err != nil {
			return "", 0, bodyRefusal(err, tooLong)
		}
		from = z
	default:
		return "", 0, &refusal{status: http.StatusUnsupportedMediaType, typ: "media_type_header_exception", reason: "only gzip is read as Content-Encoding"}
	}
	var buf []byte
	for {
		if len(buf) == cap(buf) {
			grown := max(2*int64(cap(buf)), firstChunk)
			if cap(buf) == 0 && !packed && r.ContentLength > 0 {
				grown = min(r.ContentLength+1, 1<<20)
			}
			grown = min(grown, most+1)
			if int64(len(buf)) > most {
				return "", taken, tooLong
			}
			if !room.take(grown - int64(cap(buf))) {
				return "", taken, busy("too many bytes of requests are in flight")
			}
			taken += grown - int64(cap(buf))
			bigger := make([]byte, len(buf), grown)
			copy(bigger, buf)
			buf = bigger
		}
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if packed && len(buf) > ratioFrom && int64(len(buf)) > maxRatio*body.n {
			err = errRatio
		}
		if err == io.EOF {
			if int64(len(buf)) > most {
				return "", taken, tooLong
			}
			return unsafe.String(unsafe.SliceData(buf), len(buf)), taken, nil
		}
		if err != nil {
			return "", taken, bodyRefusal(err, tooLong)
		}
	}
}

// bodyRefusal says what is wrong with a body that cannot be read.
func bodyRefusal(err error, tooLong *refusal) *refusal {
	switch {
	case errors.Is(err, errTooLong):
		return tooLong
	case errors.Is(err, errRatio):
		return &refusal{status: http.StatusRequestEntityTooLarge, typ: "content_too_long_exception", reason: "the body is " + err.Error()}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{status: http.StatusRequestTimeout, typ: "timeout_exception", reason: "the body did not come in time"}
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return &refusal{status: http.StatusBadRequest, typ: "parse_exception", reason: "the body is not gzip"}
	}
	return &refusal{status: http.StatusBadRequest, typ: "parse_exception", reason: "the body ends early or is damaged"}
}

// busy asks the sender to come again.
func busy(reason string) *refusal {
	return &refusal{status: http.StatusTooManyRequests, typ: "es_rejected_execution_exception", reason: reason, retry: 1}
}

// discard reads the rest of a body that is refused for now, so that its sender gets to read the answer.
func (l *listener) discard(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, l.config.maxBody) // nothing depends on it
}
