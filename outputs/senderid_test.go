package outputs

import (
	"bytes"
	"context"
	"testing"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/event"
)

// Ids that senders gave: what is there under one of them is the same record, so it counts as delivered and nothing is sent under
// another id. Any text may be one.
func TestSendersIDsAreNoCollisions(t *testing.T) {
	f := newFakeES(t)
	l := openLog(t, t.TempDir(), epochA)
	ids := []string{"shop:1", "shop:a\"b\\c\u00e9\x01", "shop:" + epochA + "-3", "edge:" + epochB + "-4"}
	const stream = "logs-gatebook.linux.auth-default"
	for _, id := range ids[:3] {
		f.create(stream, id, []byte(`{"message":"there"}`))
	}
	b := buffer.NewBlock()
	b.First, b.Count = l.Reserve(len(ids)), len(ids)
	b.Typed = event.AppendTypedHeader(b.Typed)
	for i, id := range ids {
		e := event.Event{Dataset: "gatebook.linux.auth", Message: "again", DocID: id}
		from := len(b.Docs)
		b.Docs, b.Typed = l.enc.AppendItem(b.Docs, b.Typed, &e, b.First+uint64(i))
		b.Ends = append(b.Ends, uint32(len(b.Docs)))
		if item := b.Docs[from:]; string(IDOf(item)) != id || string(StreamOf(item)) != stream || event.OwnID(IDOf(item)) {
			t.Errorf("%q is read as %q", id, IDOf(item))
		}
	}
	b.RawSize = len(b.Docs)
	if err := b.Compress(buffer.Raw); err != nil {
		t.Fatal(err)
	}
	ticket, err := l.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := ticket.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	l.total += len(ids)
	out := f.output(true)
	once(t, l.reader("es"), out, quick())
	if g, _ := Elastic(out); g.Collisions != 0 {
		t.Errorf("%d collisions", g.Collisions)
	}
	docs := map[string][]byte{}
	for _, index := range f.streams[stream].indices {
		for id, doc := range index {
			docs[id] = doc
		}
	}
	if len(docs) != len(ids) || !bytes.Contains(docs[ids[0]], []byte("there")) || !bytes.Contains(docs[ids[3]], []byte("again")) {
		t.Errorf("%q", docs)
	}
	l.wantAccounts("es", len(ids), 0, 0)
	l.Close()
}

func TestOwnID(t *testing.T) {
	f := func(id string, want bool) {
		t.Helper()
		if got := event.OwnID([]byte(id)); got != want {
			t.Errorf("%s: %v", id, got)
		}
	}
	f(epochA+"-1", true)
	f(epochA+"-18446744073709551615", true)
	f(epochA+"-", false)
	f(epochA, false)
	f("edge:"+epochA+"-1", false)
	f(epochA[1:]+"g-1", false)
	f(epochA+"-1a", false)
	f("", false)
}
