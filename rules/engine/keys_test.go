package engine

import (
	"strings"
	"testing"
)

func TestLower(t *testing.T) {
	s := &scene{}
	for _, in := range []string{"", "bob", "Bob", "bOB", "ÄB", "aÄ", "Aß", "a@[`{Z", "example/ann.Berg@example.com", "\x7f\x80A"} {
		if got := s.lower(in); got != strings.ToLower(in) {
			t.Errorf("%q: %q, want %q", in, got, strings.ToLower(in))
		}
	}
}
