package outputs

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Problem is what keeps an output from working, as a person is told.
type Problem struct {
	Since  time.Time
	Host   string
	Stream string // only this stream is concerned
	Status int
	Text   string
	Remedy string
	Hold   bool // somebody has to act
}

// gate stands before all requests. It closes when one fails as a whole; one at a time is let through then, after a wait,
// to see whether the server is there again.
type gate struct {
	closed   bool
	probing  bool
	attempts int
	until    time.Time
}

func (g *gate) open(now time.Time, running int) bool {
	return !g.closed || !g.probing && running == 0 && !now.Before(g.until)
}

// fail closes the gate. Failures of requests that were under way when it closed do not count.
func (g *gate) fail(now time.Time, o *Options, hold bool) {
	if g.closed && !g.probing {
		return
	}
	g.closed, g.probing = true, false
	g.attempts++
	if hold {
		g.until = now.Add(o.holdOff(g.attempts))
	} else {
		g.until = now.Add(o.backoff(g.attempts))
	}
}

// troubles is what is wrong at present, by what it concerns. It speaks when something begins, changes in kind, or ends, and
// keeps silent about the attempts in between.
type troubles struct {
	log      *slog.Logger
	st       *Stats
	present  map[string]*Problem
	said     map[string]saying
	answered bool // something was taken since the start
	buriedAt time.Time
	unsaid   int
}

func (t *troubles) init(o Options) {
	t.log = o.Logger.With("output", o.Label, "kind", o.Kind)
	t.st, t.present, t.said = o.Stats, map[string]*Problem{}, map[string]saying{}
}

// saying is the last that was said of a key.
type saying struct {
	at     time.Time
	status int
	remedy string
	hold   bool
	open   bool // that it is over was not said yet
}

// sayAgain is how long the same trouble is not spoken of again: a server that answers every other request would fill the log.
const sayAgain = 30 * time.Second

func (t *troubles) set(key string, p *Problem) {
	old := t.present[key]
	p.Since = time.Now()
	if old != nil {
		p.Since = old.Since
	}
	t.present[key] = p
	t.publish()
	was, now := t.said[key], time.Now()
	same := was.status == p.Status && was.remedy == p.Remedy && was.hold == p.Hold
	if same && was.open || !was.at.IsZero() && now.Sub(was.at) < sayAgain && (same || was.hold == p.Hold) {
		return
	}
	t.said[key] = saying{now, p.Status, p.Remedy, p.Hold, true}
	attrs := []any{"err", p.Text}
	if p.Host != "" {
		attrs = append(attrs, "host", p.Host)
	}
	if p.Stream != "" {
		attrs = append(attrs, "stream", p.Stream)
	}
	if p.Status != 0 {
		attrs = append(attrs, "status", p.Status)
	}
	if p.Remedy != "" {
		attrs = append(attrs, "remedy", p.Remedy)
	}
	switch {
	case p.Hold && p.Stream != "":
		t.log.Error("output holds a stream until this is mended", attrs...)
	case p.Hold:
		t.log.Error("output holds until this is mended", attrs...)
	case p.Stream != "":
		t.log.Warn("output cannot write to a stream, trying again", attrs...)
	default:
		t.log.Warn("output is in trouble, trying again", attrs...)
	}
}

func (t *troubles) clear(key string) {
	p := t.present[key]
	if p == nil {
		return
	}
	delete(t.present, key)
	t.publish()
	was := t.said[key]
	if !was.open {
		return
	}
	was.open = false
	t.said[key] = was
	attrs := []any{"after", time.Since(p.Since).Round(time.Millisecond)}
	if p.Stream != "" {
		attrs = append(attrs, "stream", p.Stream)
	}
	t.log.Info("output works again", attrs...)
}

// delivers notes that something was taken, and says so the first time after a start or a reload: whoever has just mended a key wants to know.
func (t *troubles) delivers() {
	if !t.answered {
		t.answered = true
		if len(t.said) == 0 { // else its end is told
			t.log.Info("output delivers")
		}
	}
}

// publish puts the worst that is present into the figures.
func (t *troubles) publish() {
	var worst *Problem
	for _, key := range slices.Sorted(maps.Keys(t.present)) {
		p := t.present[key]
		if worst == nil || p.Hold && !worst.Hold || p.Hold == worst.Hold && worst.Stream != "" && p.Stream == "" {
			worst = p
		}
	}
	t.st.setProblem(worst)
}

// sayBuried is how often dead letters are spoken of.
const sayBuried = time.Minute

// buried tells of dead letters: the first at once, then at most once a minute.
func (t *troubles) buried(first *Letter, n int) {
	t.unsaid += n
	now := time.Now()
	if !t.buriedAt.IsZero() && now.Sub(t.buriedAt) < sayBuried {
		return
	}
	t.buriedAt = now
	t.log.Error("output refused items for good", "items", t.unsaid, "stream", first.Stream,
		"status", first.Status, "type", first.Type, "reason", first.Reason, "remedy", remedyOfRefusal(first))
	t.unsaid = 0
}

func remedyOfRefusal(l *Letter) string {
	switch l.Type {
	case "document_parsing_exception", "mapper_parsing_exception", "illegal_argument_exception", "strict_dynamic_mapping_exception":
		return fmt.Sprintf("the mapping of %s does not fit: install the template (setup = true) and roll the stream over", l.Stream)
	case "content_too_long":
		return "lower max_line of the input, or raise http.max_content_length"
	}
	return ""
}
