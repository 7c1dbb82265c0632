package outputs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/buffer"
	"github.com/gatebook/gatebook/internal/testkit"
)

// A red index takes nothing and answers no look-up: what waits for it is the trouble of its stream alone, however often it is
// tried. What the server says of it holds the record that was sent, which is none of the log's business.
func TestRedIndexIsItsStreamsTrouble(t *testing.T) {
	f := newFakeES(t)
	l := openLog(t, t.TempDir(), epochA)
	defer l.Close()
	f.red = "logs-gatebook.shop.order-default"
	l.add(buffer.Gzip, "red ", "shop.order", 20)
	l.add(buffer.Gzip, "good ", "linux.auth", 20)
	o := quick()
	o.Stats = &Stats{}
	var logged syncBuffer
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	r, out := l.reader("es"), f.output(true)
	go func() { done <- Run(ctx, r, out, o) }()
	tried := func(n int) {
		t.Helper()
		testkit.Eventually(t, time.Minute, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.redGets >= n })
	}
	tried(3)
	for i := range 5 {
		l.add(buffer.Gzip, fmt.Sprintf("more %d.", i), "linux.auth", 10)
		testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Delivered == int64(30+10*i) })
		tried(4 + i)
	}
	if g := o.Stats.Figures(); g.State != StateRetrying || g.Problem.Stream != f.red || g.Problem.Status != 503 || !strings.Contains(g.Problem.Text, "_cluster/allocation/explain") ||
		strings.Contains(g.Problem.Text, "secret") {
		t.Errorf("problem %+v", g.Problem)
	}
	f.mu.Lock()
	f.red = ""
	f.mu.Unlock()
	testkit.Eventually(t, time.Minute, func() bool { return o.Stats.Figures().Delivered == 90 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantAll(t, f.count(), 90)
	if s := logged.String(); strings.Count(s, "\n") != 3 || !strings.Contains(s, "output delivers") || !strings.Contains(s, "cannot write to a stream") || !strings.Contains(s, "works again") || strings.Contains(s, "secret") {
		t.Errorf("logged:\n%s", s)
	}
}
