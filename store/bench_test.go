package store

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// authEvent fills e with the n-th of a stream of logins: few hosts, some hundred users, many addresses.
func authEvent(e *event.Event, n int) {
	e.Reset()
	e.Time = event.Time(1763800000_000000000 + int64(n)*137_000_000)
	e.Created = e.Time
	e.Dataset, e.Host.Name, e.Process.Name = "gatebook.linux.auth", hosts[n%len(hosts)], "sshd"
	e.Process.PID = event.LongOf(int64(n % 30000))
	e.Action, e.Outcome = event.Login, event.Failure
	if n%7 == 0 {
		e.Outcome = event.Success
	}
	if n%5 == 0 {
		e.Action = event.LoginDetail
	}
	x := uint32(n) * 2654435761
	e.User.Name = users[x%uint32(len(users))]
	e.UserKey = e.Host.Name + "/" + e.User.Name
	e.Source.IP = addresses[(x>>8)%uint32(len(addresses))]
	e.Source.Port = event.LongOf(int64(1024 + x%60000))
	e.Source.Geo.CountryISO, e.Source.Geo.CountryName = "DE", "Germany"
	e.Log.Path, e.Log.Offset = "/var/log/auth.log", event.LongOf(int64(n)*110)
	e.Message = "Failed login of " + e.User.Name + " from " + e.Source.IP
	e.Original = "Nov 22 10:15:32 " + e.Host.Name + " sshd[12345]: Failed password for invalid user " + e.User.Name + " from " + e.Source.IP + " port 52134 ssh2"
	e.Finish()
}

var hosts, users, addresses = func() (h, u, a []string) {
	for i := range 20 {
		h = append(h, fmt.Sprintf("web%02d", i))
	}
	for i := range 500 {
		u = append(u, fmt.Sprintf("user%03d", i))
	}
	for i := range 50000 {
		a = append(a, fmt.Sprintf("203.%d.%d.%d", i/65000, i/250%250, i%250))
	}
	return h, u, a
}()

var testEpoch = strings.Repeat("0", 32)

// idOf is the id of the event with a sequence number.
func idOf(seq int) string { return fmt.Sprintf("%s-%d", testEpoch, seq) }

func newEncoder() *event.Encoder {
	return event.NewEncoder(event.EncoderOptions{Namespace: "default", Epoch: testEpoch, Original: true,
		Agent: event.AgentInfo{ID: "0123456789abcdef", Name: "web1", Version: "0.1.0"}})
}

// batches makes ready batches of size events.
func batches(count, size int) [][]Item {
	w := newEncoder()
	out := make([][]Item, count)
	for b := range out {
		for i := range size {
			n := b*size + i
			e := &event.Event{}
			authEvent(e, n)
			e.ID = idOf(n)
			item, _ := w.AppendItem(nil, nil, e, uint64(n))
			out[b] = append(out[b], Item{Doc: event.Document(item), Event: e})
		}
	}
	return out
}

func BenchmarkAppend(b *testing.B) {
	const size = 2000
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ready := batches(50, size)
	b.SetBytes(int64(len(ready[0][0].Doc)) * size)
	b.ReportAllocs()
	ids, rounds := make([]string, len(ready)*size), make([]string, 1000) // ids that are new each time, made before
	for i := range ids {
		ids[i] = idOf(1000 + i)
	}
	for i := range rounds {
		rounds[i] = fmt.Sprintf("%03d", i)
	}
	i := 0
	for b.Loop() {
		items := ready[i%len(ready)]
		for j := range items {
			items[j].Event.ID = ids[(i*size+j)%len(ids)] + rounds[i*size/len(ids)%len(rounds)]
			items[j].Event.Time += event.Time(len(ready) * size * 137_000_000)
		}
		if err := s.Append(context.Background(), items); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}

// TestMillion measures the design's figure; it runs where GATEBOOK_MILLION says how many events (1000000).
func TestMillion(t *testing.T) {
	n := 0
	if _, err := fmt.Sscan(os.Getenv("GATEBOOK_MILLION"), &n); err != nil {
		t.Skip("set GATEBOOK_MILLION=1000000 to measure")
	}
	s := mustOpen(t, Options{Dir: t.TempDir()})
	const size = 5000
	w := newEncoder()
	events, items := make([]event.Event, size), make([]Item, size)
	var docs []byte
	ends := make([]int, size)
	var wall, cpu time.Duration
	for at := 0; at < n; at += size {
		docs = docs[:0]
		for i := range size {
			authEvent(&events[i], at+i)
			events[i].ID = idOf(at + i)
			docs, _ = w.AppendItem(docs, nil, &events[i], uint64(at+i))
			ends[i] = len(docs)
		}
		start := 0
		for i := range items {
			items[i] = Item{Doc: event.Document(docs[start:ends[i]]), Event: &events[i]}
			start = ends[i]
		}
		c, begin := cpuTime(), time.Now()
		if err := s.Append(t.Context(), items); err != nil {
			t.Fatal(err)
		}
		wall, cpu = wall+time.Since(begin), cpu+cpuTime()-c
	}
	info, _ := os.Stat(s.path)
	t.Logf("%d events: %.0f/s, %.1f CPU-s per million, %.0f bytes each, document %d, peak memory %d MiB", n, float64(n)/wall.Seconds(),
		cpu.Seconds()*1e6/float64(n), float64(info.Size())/float64(n), len(items[0].Doc), peakMiB())
	for _, q := range []string{"user=user042", "ip=203.0.5.7", "action=login outcome=success", "dataset=alert", "source.port=1030", "message~nothing",
		"user=user042 since=2025-11-22 until=2025-11-23", "ip=203.0.5.0/24", "host=web03", "outcome!=success"} {
		e, err := query.ParseSimple(q, time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		count, err := s.Count(t.Context(), e, QueryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		counted := time.Since(begin)
		begin = time.Now()
		for _, err := range s.Query(t.Context(), e, QueryOptions{Limit: 100}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%-50s %8d in %8s, the first 100 in %8s", q, count, counted.Round(10*time.Microsecond), time.Since(begin).Round(10*time.Microsecond))
	}
	begin := time.Now()
	if _, err := s.Stats(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("stats in %s", time.Since(begin).Round(time.Millisecond))
}
