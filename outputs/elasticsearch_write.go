package outputs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// request is the scratch space of one Write.
type request struct {
	parts  []elastic.Part
	answer elastic.Answer

	// Where not all items are sent as they stand:
	raw  []byte
	sent []int // index in the batch of each item sent; nil: all, in their order
}

// waitShards is how long a request may wait for an index that is to be made or a shard that is not active. All its items wait
// so long, those of other streams too: the first requests with items of a stream that turns red, until that is known.
const waitShards = 5 * time.Second

// Write sends a batch with one bulk request.
func (o *elasticOutput) Write(ctx context.Context, b *Batch) error {
	r := o.scratch.Get().(*request)
	defer o.scratch.Put(r)
	looked, unsure, err := o.lookup(ctx, b)
	if err != nil {
		return requestError(err)
	}
	n, err := o.build(r, b, looked)
	if err != nil {
		return err
	}
	r.answer.Failed = r.answer.Failed[:0]
	if n > 0 {
		if err := o.client.Bulk(ctx, r.parts, n, cmp.Or(b.Wait, waitShards), &r.answer); err != nil {
			return requestError(err)
		}
		b.Took = time.Duration(r.answer.Took) * time.Millisecond
		if unsure {
			if err := o.countPossible(r, b); err != nil {
				return err
			}
		}
		for _, run := range r.answer.Runs {
			o.state.answered(run.Index)
		}
	}
	if err := o.judge(r, b, looked); err != nil {
		return err
	}
	o.state.done(b)
	return nil
}

// found is what a look-up says of an item that is not to be sent: it is there already, or an index where it may be does not answer.
type found struct {
	there  bool
	silent string // this index
}

// lookup asks for the items that an earlier attempt may have written, in the indices that answered since: after a rollover
// the server would take the same id once more. unsure says that it could not ask.
func (o *elasticOutput) lookup(ctx context.Context, b *Batch) (looked map[int]found, unsure bool, err error) {
	var (
		refs  []elastic.Ref
		which []int
		n     int
	)
	for k := range b.Parts {
		p := &b.Parts[k]
		if p.Unknown == nil {
			n += p.Len()
			continue
		}
		items, err := p.Items()
		if err != nil {
			return nil, false, err
		}
		for i := range p.Ends {
			if p.MayBeTaken(i) {
				item := p.Item(items, i)
				for _, index := range o.state.backing(StreamOf(item)) {
					refs = append(refs, elastic.Ref{Index: index, ID: o.state.id(p.Seq(i), IDOf(item))})
					which = append(which, n)
				}
			}
			n++
		}
	}
	if len(refs) == 0 {
		return nil, false, nil
	}
	if o.denied.Load() {
		return nil, true, nil
	}
	said, err := o.client.Lookup(ctx, refs)
	var re *elastic.RequestError
	if errors.As(err, &re) && re.Status == http.StatusForbidden {
		if !o.denied.Swap(true) {
			o.log.Warn("the key may not read: records sent again across a rollover may be there twice, they are counted as possible duplicates",
				"remedy", "give the key the privilege read on logs-gatebook.*")
		}
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	o.lookups.Add(int64(len(refs)))
	for i, p := range said {
		if p == elastic.Absent {
			continue
		}
		if looked == nil {
			looked = map[int]found{}
		}
		f := looked[which[i]]
		if p == elastic.Present {
			f.there = true
		} else {
			f.silent = refs[i].Index
		}
		looked[which[i]] = f
	}
	return looked, false, nil
}

// build fills the parts of the request and says of how many items it is.
func (o *elasticOutput) build(r *request, b *Batch, looked map[int]found) (int, error) {
	clear(r.parts)
	r.parts, r.raw, r.sent = r.parts[:0], r.raw[:0], nil
	if len(looked) == 0 && !o.state.renames(b) {
		for k := range b.Parts {
			p := &b.Parts[k]
			if p.Codec == buffer.Gzip && o.gzip {
				r.parts = append(r.parts, elastic.Part{Gzip: true, Data: p.Docs})
				continue
			}
			items, err := p.Items()
			if err != nil {
				return 0, err
			}
			r.parts = append(r.parts, elastic.Part{Data: items})
		}
		return b.Len, nil
	}
	r.sent = make([]int, 0, b.Len)
	n := 0
	for k := range b.Parts {
		p := &b.Parts[k]
		items, err := p.Items()
		if err != nil {
			return 0, err
		}
		for i := range p.Ends {
			if _, not := looked[n]; !not {
				item := p.Item(items, i)
				if id := IDOf(item); o.state.id(p.Seq(i), id) != string(id) {
					r.raw = renamed(r.raw, item, id, o.state.id(p.Seq(i), id))
				} else {
					r.raw = append(r.raw, item...)
				}
				r.sent = append(r.sent, n)
			}
			n++
		}
	}
	r.parts = append(r.parts, elastic.Part{Data: r.raw})
	return len(r.sent), nil
}

// renamed appends an item under another id: in the action line, and in event.id of the document.
func renamed(dst, item, old []byte, id string) []byte {
	head, doc := item, []byte(nil)
	if n := bytes.IndexByte(item, '\n'); n >= 0 {
		head, doc = item[:n+1], item[n+1:]
	}
	dst = append(dst, bytes.Replace(head, quoted(`"_id":`, old), quoted(`"_id":`, []byte(id)), 1)...)
	// event.id is the first of the group; text of the line cannot look like this, its quotes are escaped.
	return append(dst, bytes.Replace(doc, quoted(`"event":{"id":`, old), quoted(`"event":{"id":`, []byte(id)), 1)...)
}

func quoted(key string, value []byte) []byte {
	return append(append(append([]byte(key), '"'), value...), '"')
}

// index is the index in the batch of the i-th item that was sent.
func (r *request) index(i int) int {
	if r.sent != nil {
		return r.sent[i]
	}
	return i
}

// countPossible counts the items that went into another index than an earlier attempt may have put them in.
func (o *elasticOutput) countPossible(r *request, b *Batch) error {
	failed := map[int]bool{}
	for i := range r.answer.Failed {
		failed[r.answer.Failed[i].Item] = true
	}
	for i := range r.answer.Items {
		p, at := b.At(r.index(i))
		if failed[i] || !p.MayBeTaken(at) {
			continue
		}
		items, err := p.Items()
		if err != nil {
			return err
		}
		// With one index known, and that the one that answers, the id itself has been the check.
		if was := o.state.backing(StreamOf(p.Item(items, at))); len(was) > 1 || len(was) == 1 && was[0] != string(r.answer.IndexOf(i)) {
			o.possible.Add(1)
		}
	}
	return nil
}

// judge says what is to become of the items that were not created.
func (o *elasticOutput) judge(r *request, b *Batch, looked map[int]found) error {
	e := &PartialError{}
	for i := range r.answer.Failed {
		f := &r.answer.Failed[i]
		index := r.index(f.Item)
		p, at := b.At(index)
		if f.Status == http.StatusConflict && p.MayBeTaken(at) {
			continue // our own earlier attempt
		}
		items, err := p.Items()
		if err != nil {
			return err
		}
		item := p.Item(items, at)
		if f.Status == http.StatusConflict && !event.OwnID(IDOf(item)) {
			continue // a sender's id: the same record, delivered before
		}
		ie := ItemError{Index: index, Stream: string(StreamOf(item)), ID: string(IDOf(item)), Status: f.Status, Type: f.Type(), Reason: f.Reason()}
		if f.Status == http.StatusConflict {
			o.collision(ie.ID)
			o.state.rename(p.Seq(at))
			ie.Verdict = AgainSoon
		} else {
			verdict(&ie)
		}
		e.Items = append(e.Items, ie)
	}
	for index, f := range looked {
		if f.there {
			continue
		}
		p, at := b.At(index)
		items, err := p.Items()
		if err != nil {
			return err
		}
		item := p.Item(items, at)
		e.Items = append(e.Items, ItemError{Index: index, Verdict: Again, Unknown: true, Stream: string(StreamOf(item)), ID: string(IDOf(item)),
			Status: http.StatusServiceUnavailable, Type: "no_shard_available_action_exception", Reason: "index " + f.silent + " answers no look-up: it is closed, or has no active shard" + whyNoShard})
	}
	if len(e.Items) == 0 {
		return nil
	}
	slices.SortFunc(e.Items, func(a, b ItemError) int { return cmp.Compare(a.Index, b.Index) })
	return e
}

// whyNoShard says where to look; nobody has to act if the cluster is about to mend it.
const whyNoShard = "; GET _cluster/allocation/explain tells why"

// verdict judges an item by its status and error type.
func verdict(e *ItemError) {
	switch s := e.Status; {
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout:
		e.Verdict = Again
	case s >= 500:
		e.Verdict, e.Unknown = Again, true
		if e.Type == "unavailable_shards_exception" {
			e.Reason, _, _ = strings.Cut(e.Reason, ", request: [") // what comes then is the record
			e.Reason += whyNoShard
		}
	case s == http.StatusUnauthorized || s == http.StatusForbidden && e.Type != "cluster_block_exception":
		e.Verdict, e.Remedy = Again, "give the key or user the privileges auto_configure and create_doc on this stream"
	case s == http.StatusNotFound:
		e.Verdict, e.Remedy = Again, "the template is missing: set setup = true"
	case e.Type == "cluster_block_exception" || e.Type == "index_closed_exception":
		e.Verdict, e.Remedy = Again, "the index is closed or blocked for writing: free disk space on the cluster, or remove the block"
	case e.Type == "validation_exception": // such as the limit of shards in the cluster
		e.Verdict, e.Remedy = Again, "the cluster makes no new index: see the reason"
	case s < 400:
		e.Verdict = Again
	default:
		e.Verdict = Refuse
	}
	if e.Status == http.StatusTooManyRequests && e.Type == "cluster_block_exception" {
		e.Remedy = "the disk of the cluster is full (flood stage): free space there"
	}
}
