package outputs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/internal/testkit"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// A stream whose index cannot take anything (no node for its primary shard; or a block for writing) costs the others one wait
// for a shard at the most, until it is known. From then on they have their rate, and the stream gets all of its items when it
// is mended.
func TestElasticsearchBlockedStream(t *testing.T) {
	n := testkit.SharedElasticsearch(t, testkit.Full())
	for _, c := range []struct{ name, block, mend, template string }{
		{
			name:     "red",
			template: `"index.routing.allocation.require._name":"nobody",`,
			mend:     `{"index.routing.allocation.require._name":null}`,
		},
		{
			name:  "blocked",
			block: `{"index.blocks.write":true}`,
			mend:  `{"index.blocks.write":null}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad, good := "blocked."+c.name, "healthy."+c.name
			badStream, goodStream := "logs-gatebook."+bad+"-default", "logs-gatebook."+good+"-default"
			n.Must("PUT", "/_index_template/test-"+c.name, `{"index_patterns":["`+badStream+`"],"data_stream":{},"priority":900,"template":{"settings":{`+c.template+`"number_of_replicas":0}}}`, nil)
			t.Cleanup(func() { // other tests of this node want the name of the template
				n.Must("DELETE", "/_data_stream/"+badStream, "", nil)
				n.Must("DELETE", "/_data_stream/"+goodStream, "", nil)
				n.Must("DELETE", "/_index_template/test-"+c.name, "", nil)
			})
			if c.block != "" {
				n.Must("POST", "/"+badStream+"/_doc?op_type=create", `{"@timestamp":"2026-01-01T00:00:00Z","message":"first"}`, nil)
				n.Must("PUT", "/"+badStream+"/_settings", c.block, nil)
			}
			l := openLog(t, t.TempDir(), fmt.Sprintf("%032x", rand.Uint64()))
			defer l.Close()
			o := fast("es")
			o.Stats, o.Logger = &Stats{}, quiet()
			o.BatchBytes, o.Latency, o.MostWorkers = 1<<20, time.Second, 4
			o.RetryFirst, o.RetryMost = 500*time.Millisecond, 2*time.Second
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			r, out := l.reader("es"), realOutput(t, elastic.Config{Hosts: []string{n.URL()}, Gzip: true}, true)
			go func() { done <- Run(ctx, r, out, o) }()

			const blocks, items = 60, 200
			want := int64(0)
			round := func(name string, ill bool) time.Duration {
				t.Helper()
				begin := time.Now()
				for i := range blocks {
					l.add(buffer.Gzip, fmt.Sprintf("%s %d.", name, i), good, items)
					if ill {
						l.add(buffer.Gzip, fmt.Sprintf("%s %d.", name, i), bad, 5)
					}
				}
				want += blocks * items
				testkit.Eventually(t, 2*time.Minute, func() bool { return o.Stats.Figures().Delivered == want })
				d := time.Since(begin)
				t.Logf("%s: %d healthy items in %v, %.0f/s; outstanding %d", name, blocks*items, d.Round(time.Millisecond), blocks*items/d.Seconds(), o.Stats.Figures().Outstanding)
				return d
			}
			round("warm", false)
			before := round("before", false)
			first := round("first", true)
			after := round("after", true)
			// With a wait of a third of the timeout, as a request's is by default, the first would take half a minute.
			if first > before+15*time.Second {
				t.Errorf("%v with the first items of a stream that takes nothing, %v without", first, before)
			}
			if after > 4*before+10*time.Second {
				t.Errorf("%v beside a stream that takes nothing, %v without", after, before)
			}
			if g := o.Stats.Figures(); g.Problem == nil || g.Problem.Stream != badStream {
				t.Errorf("figures %+v, problem %+v", g, g.Problem)
			}
			n.Must("PUT", "/"+badStream+"/_settings", c.mend, nil)
			want += 2 * blocks * 5
			testkit.Eventually(t, 2*time.Minute, func() bool { return o.Stats.Figures().Delivered == want })
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			have := stored(n, badStream)
			delete(have, "first")
			wantAll(t, have, 2*blocks*5)
			wantAll(t, stored(n, goodStream), 4*blocks*items)
			l.wantAccounts("es", l.total, 0, 0)
		})
	}
}
