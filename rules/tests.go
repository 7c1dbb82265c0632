package rules

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Test is a test block of a rule: what comes in, and which alerts come of it.
type Test struct {
	Name     string
	Events   []TestEvent   // or
	Parser   string        // of Log
	Log      string        // raw lines for the parser
	Year     int           // that lines without a year are of
	Start    time.Time     // of Events: what their times and those of Expect count from
	Until    time.Duration // how far time goes on after the first event; 0: to the last event
	Expect   []TestAlert
	Negative bool // expects nothing
	Range    hcl.Range
}

// TestEvent is one event: fields by name as Event.Set takes them.
type TestEvent struct {
	At     time.Time
	Fields []TestField
	Range  hcl.Range
}

// TestField is a field and its value as text; a list has several.
type TestField struct {
	Name   string
	Values []string
}

// TestAlert is an alert that is expected: when it fired first, and its key, in the order of the grouping's terms.
type TestAlert struct {
	At  time.Duration // after the first event or, of Events, after the test's start
	Key []string
	// Count, where not 0, is the number of hits that the alert folds.
	Count int64
}
