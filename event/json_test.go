package event

import (
	"errors"
	"strings"
	"testing"
)

// The depth is that of brackets outside of strings.
func TestDeeper(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if got := deeper(s, 2); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	f(`[[1],[2],{}]`, false)
	f(`[[[1]]]`, true)
	f(`["[[[[", "\"[[[[", {"[":1}]`, false)
}

// A document of brackets is refused before anything recurses into it.
func TestDeepDocumentIsRefused(t *testing.T) {
	var e Event
	if err := FromJSON([]byte(`{"a":`+strings.Repeat("[", 8<<20)), &e); !errors.Is(err, ErrTooDeep) {
		t.Error(err)
	}
	if err := FromJSON([]byte(`{"a":`), &e); !errors.Is(err, ErrNotJSON) {
		t.Error(err)
	}
}
