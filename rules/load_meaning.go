package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// meaning identifies what a rule detects: a hash of the canonical text of everything that decides it.
func meaning(r *Rule) string {
	var b strings.Builder
	line := func(name string, values ...string) {
		fmt.Fprintf(&b, "%s %q\n", name, values)
	}
	expr := func(name string, e Expr) {
		if e != nil {
			line(name, canonical(e))
		}
	}
	span := func(name string, d time.Duration) {
		if d != 0 {
			line(name, d.String())
		}
	}
	groupings := func(name string, by [][]Expr) {
		for _, terms := range by {
			texts := make([]string, len(terms))
			for i, t := range terms {
				texts[i] = canonical(t)
			}
			line(name, texts...)
		}
	}
	line("id", r.ID)
	expr("when", r.When)
	groupings("by", r.By)
	span("window", r.Window)
	expr("fire", r.Fire)
	span("quiet", r.Quiet)
	span("expect_every", r.ExpectEvery)
	if s := r.Sequence; s != nil {
		span("within", s.Within)
		for _, step := range s.Steps {
			line("step", fmt.Sprint(step.Without), fmt.Sprint(step.Times))
			expr("step.when", step.When)
			groupings("step.by", step.By)
		}
	}
	if s := r.Session; s != nil {
		expr("open", s.Open)
		expr("close", s.Close)
		expr("session.id", s.ID)
		span("idle", s.Idle)
	}
	if r.Learn != (Learn{}) {
		line("learn", r.Learn.For.String(), fmt.Sprint(r.Learn.MinEvents), fmt.Sprint(r.Learn.OfRule))
	}
	for _, e := range r.Except {
		expr("except", e.When)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
