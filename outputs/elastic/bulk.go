package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/klauspost/compress/gzip"
	"github.com/tidwall/gjson"
)

// Part is a piece of a bulk body: whole lines, or a whole gzip member of them.
type Part struct {
	Gzip bool
	Data []byte
}

// maxAnswer bounds what is read of an answer; 100 bytes an item are usual, 2 KB where all are refused.
const maxAnswer = 256 << 20

var bulkFilter = []string{"took", "errors", "items.*.status", "items.*.error", "items.*._index"}

// Bulk sends the parts as one request of so many items and reads the answer into a. A nil error means that the answer
// speaks of all of them, be it good or bad; every other outcome is a *RequestError. The parts may be reused on return. The
// server waits at most so long for a shard or an index that is not there; 0 is a third of the request's timeout.
func (c *Client) Bulk(ctx context.Context, parts []Part, items int, wait time.Duration, a *Answer) error {
	if most := c.conf.Timeout / 3; wait <= 0 || wait > most {
		wait = most
	}
	ctx, cancel := context.WithTimeout(ctx, c.conf.Timeout)
	defer cancel()
	body, err := c.body(parts)
	if err != nil {
		return &RequestError{Host: "elasticsearch", Err: err}
	}
	defer body.release()
	for {
		require := c.requireStream.Load()
		err = c.bulkOnce(ctx, body, items, wait, a, require)
		var re *RequestError
		// OpenSearch and Elasticsearch before 8.13 do not know the parameter that keeps a data stream from becoming a plain
		// index where its template is missing. They say so before they do anything.
		if require && errors.As(err, &re) && re.Status == http.StatusBadRequest && strings.Contains(re.Reason, "require_data_stream") {
			c.requireStream.Store(false)
			continue
		}
		return err
	}
}

func (c *Client) bulkOnce(ctx context.Context, body *bulkBody, items int, wait time.Duration, a *Answer, require bool) error {
	req := esapi.BulkRequest{Body: body, FilterPath: bulkFilter, Timeout: wait, Header: bulkHeader(body.gzip)}
	if require {
		req.RequireDataStream = &require
	}
	body.begin()
	// Whatever comes back, the transport may still be reading the body: the bytes are others' once we return.
	defer body.wait()
	t := &oneRequest{client: c, length: body.size}
	defer t.done()
	began := c.conf.Now()
	res, err := req.Do(ctx, t)
	if err != nil {
		return t.failed(err)
	}
	defer res.Body.Close()
	a.body, err = readAll(res.Body, a.body[:0], maxAnswer)
	if err != nil {
		return t.rest(&RequestError{Host: t.host(), Status: res.StatusCode, Err: fmt.Errorf("read answer: %w", err), Unknown: true})
	}
	if res.StatusCode != http.StatusOK {
		return t.refused(res.StatusCode, a.body)
	}
	if err := a.Scan(a.body); err != nil {
		return &RequestError{Host: t.host(), Err: fmt.Errorf("%w; is this Elasticsearch? it begins with %q", err, start(a.body)), Unknown: true}
	}
	if a.Items != items {
		return &RequestError{Host: t.host(), Err: fmt.Errorf("answer of %d items to %d sent", a.Items, items), Unknown: true}
	}
	c.pool.works(t.req.URL)
	if !a.waited() {
		c.pool.took(t.req.URL, body.size, c.conf.Now().Sub(began))
	}
	return nil
}

// waited tells whether the server may have spent the time waiting for a shard.
func (a *Answer) waited() bool {
	return slices.ContainsFunc(a.Failed, func(f Failure) bool { return f.Status >= 500 })
}

func start(b []byte) []byte { return b[:min(len(b), 80)] }

var (
	headerPlain = http.Header{"Content-Type": {"application/x-ndjson"}}
	headerGzip  = http.Header{"Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"}}
)

func bulkHeader(gzip bool) http.Header {
	// A copy: the transport adds the authorization to it.
	if gzip {
		return headerGzip.Clone()
	}
	return headerPlain.Clone()
}

// oneRequest is the transport of one call of the API. The API gives the body as a stream of unknown length; it has one.
type oneRequest struct {
	client *Client
	length int64
	req    *http.Request
}

// Perform sends the request.
func (t *oneRequest) Perform(req *http.Request) (*http.Response, error) {
	if t.length > 0 {
		req.ContentLength = t.length
	}
	t.req = req
	return t.client.transport.Perform(req)
}

// done ends the request in the accounts of its host.
func (t *oneRequest) done() {
	if t.req != nil {
		t.client.pool.done(t.req.URL)
	}
}

// rest lets the host rest that failed in this way.
func (t *oneRequest) rest(e *RequestError) *RequestError {
	if t.req != nil {
		e.Elsewhere = t.client.pool.rest(t.req.URL, e)
	}
	return e
}

func (t *oneRequest) host() string {
	if t.req == nil || t.req.URL.Host == "" {
		return "elasticsearch"
	}
	return t.req.URL.Scheme + "://" + t.req.URL.Host
}

// failed is the error of a request without an answer. The server cannot have seen it where no connection came about.
func (t *oneRequest) failed(err error) *RequestError {
	var op *net.OpError
	unsent := errors.As(err, &op) && op.Op == "dial" || IsTLS(err)
	e := &RequestError{Host: t.host(), Err: err, Unknown: !unsent}
	if errors.Is(err, context.Canceled) {
		return e // by us
	}
	return t.rest(e)
}

// refused is the error of a request that was answered with another status than 200. A gateway's 5xx says nothing of what
// became of the request behind it.
func (t *oneRequest) refused(status int, body []byte) *RequestError {
	e := &RequestError{Host: t.host(), Status: status, Unknown: status >= 500}
	if gjson.ValidBytes(body) {
		v := gjson.GetBytes(body, "error")
		if v.IsObject() {
			e.Type, e.Reason = cut(v.Get("type").String()), cut(v.Get("reason").String())
		} else {
			e.Reason = cut(v.String())
		}
	} else {
		e.Reason = fmt.Sprintf("%q", start(body))
	}
	switch {
	case status >= 500:
		return t.rest(e)
	case status == http.StatusTooManyRequests:
		e.Elsewhere = t.client.pool.breathe(t.req.URL)
	default:
		t.client.pool.works(t.req.URL)
	}
	return e
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReason)], "") }

func readAll(r io.Reader, buf []byte, most int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
		if len(buf) > most {
			return buf, fmt.Errorf("answer longer than %d bytes", most)
		}
	}
}

// bulkBody is the body of one request, read piece by piece so that nothing is copied together.
type bulkBody struct {
	pieces [][]byte
	size   int64
	gzip   bool
	packed []*packed

	piece int
	at    int

	given  bool          // to the transport, which closes it once
	closed chan struct{} // by then
}

var bodies = sync.Pool{New: func() any { return &bulkBody{} }}

// body puts the parts in the form that is sent: all plain, or all gzip members, runs of plain parts packed as one.
func (c *Client) body(parts []Part) (*bulkBody, error) {
	b := bodies.Get().(*bulkBody)
	b.gzip = c.conf.Gzip
	for i := 0; i < len(parts); {
		p := &parts[i]
		if p.Gzip == c.conf.Gzip {
			b.add(p.Data)
			i++
			continue
		}
		if p.Gzip {
			b.release()
			return nil, errors.New("a packed part in a request that is sent unpacked")
		}
		z, n, err := c.zip.pack(parts[i:])
		if err != nil {
			b.release()
			return nil, err
		}
		b.packed = append(b.packed, z)
		b.add(z.buf)
		i += n
	}
	return b, nil
}

func (b *bulkBody) add(p []byte) {
	b.pieces = append(b.pieces, p)
	b.size += int64(len(p))
}

func (b *bulkBody) begin() {
	b.piece, b.at, b.given, b.closed = 0, 0, false, make(chan struct{})
}

func (b *bulkBody) wait() {
	if b.given {
		<-b.closed
	}
}

// Close is called by the transport when it reads no more; http.RoundTripper promises that it comes, maybe late.
func (b *bulkBody) Close() error {
	select {
	case <-b.closed:
	default:
		close(b.closed)
	}
	return nil
}

// roundTripper notes which bodies the transport has taken charge of.
type roundTripper struct{ *http.Transport }

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if b, ok := req.Body.(*bulkBody); ok {
		b.given = true
	}
	return r.Transport.RoundTrip(req)
}

// Read gives the body.
func (b *bulkBody) Read(p []byte) (int, error) {
	for b.piece < len(b.pieces) {
		if rest := b.pieces[b.piece][b.at:]; len(rest) > 0 {
			n := copy(p, rest)
			b.at += n
			return n, nil
		}
		b.piece, b.at = b.piece+1, 0
	}
	return 0, io.EOF
}

// WriteTo gives the body without a copy in between.
func (b *bulkBody) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for b.piece < len(b.pieces) {
		n, err := w.Write(b.pieces[b.piece][b.at:])
		total += int64(n)
		if err != nil {
			return total, err
		}
		b.piece, b.at = b.piece+1, 0
	}
	return total, nil
}

func (b *bulkBody) release() {
	for _, z := range b.packed {
		z.free()
	}
	clear(b.pieces)
	*b = bulkBody{pieces: b.pieces[:0], packed: b.packed[:0]}
	bodies.Put(b)
}

// gzipPool keeps writers of one level; each has some hundred KB.
type gzipPool struct {
	level int
	p     sync.Pool
}

type packed struct {
	pool *gzipPool
	buf  []byte
	z    *gzip.Writer
}

func (w *packed) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// pack packs the plain parts at the beginning as one member and says how many they were.
func (g *gzipPool) pack(parts []Part) (*packed, int, error) {
	w, _ := g.p.Get().(*packed)
	if w == nil {
		w = &packed{pool: g}
		z, err := gzip.NewWriterLevel(w, g.level)
		if err != nil {
			return nil, 0, fmt.Errorf("pack request: %w", err)
		}
		w.z = z
	}
	w.buf = w.buf[:0]
	w.z.Reset(w)
	n := 0
	for n < len(parts) && !parts[n].Gzip {
		if _, err := w.z.Write(parts[n].Data); err != nil {
			return nil, 0, fmt.Errorf("pack request: %w", err)
		}
		n++
	}
	if err := w.z.Close(); err != nil {
		return nil, 0, fmt.Errorf("pack request: %w", err)
	}
	return w, n, nil
}

// keepPacked bounds the buffers that go back to the pool.
const keepPacked = 8 << 20

func (w *packed) free() {
	if cap(w.buf) <= keepPacked {
		w.pool.p.Put(w)
	}
}

// do sends a small request and returns the answer. A status of 400 and above is a *RequestError.
func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, min(c.conf.Timeout, 30*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http:///", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	req.URL.Path = path
	if len(body) == 0 {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	t := &oneRequest{client: c}
	defer t.done()
	res, err := t.Perform(req)
	if err != nil {
		return nil, t.failed(err)
	}
	defer res.Body.Close()
	answer, err := readAll(res.Body, nil, maxAnswer)
	if err != nil {
		return nil, &RequestError{Host: t.host(), Status: res.StatusCode, Err: fmt.Errorf("read answer: %w", err), Unknown: true}
	}
	if res.StatusCode >= 300 {
		return answer, t.refused(res.StatusCode, answer)
	}
	c.pool.works(t.req.URL)
	return answer, nil
}
