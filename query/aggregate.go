package query

import (
	"time"

	"github.com/gatebook/gatebook/event"
)

// Aggregate asks for figures: the events that match are put into buckets, and each bucket has figures. The panels of a dashboard
// are made of it; the embedded store answers it (store.Aggregate), and Kibana's panels ask Elasticsearch the same.
//
// A question such as "ten addresses with most failed logins, and how many users each tried":
//
//	Aggregate{Where: ..., By: []Bucket{{Field: sourceIP, Size: 10}}, Figures: []Figure{{Kind: Count}, {Kind: Unique, Field: userName}}}
type Aggregate struct {
	Where    Expr      // nil: all
	From, To time.Time // of @timestamp: From <= t < To; zero: no bound
	By       []Bucket  // outermost first; none: one row, of all that matches
	Figures  []Figure  // of each row; none: the count
}

// Bucket puts events together.
type Bucket struct {
	Field Field
	// Kind says how; Terms has one bucket for each value.
	Kind BucketKind
	// Size bounds how many Terms there are within each outer bucket: those with the highest first figure of the aggregate come
	// first, ties by value ascending. 0 is 10. Values are compared as stored: letter case counts.
	Size int
	// Every is the width of a bucket of Dates, which begin at multiples of it since 1970 UTC. Empty ones have no row.
	Every time.Duration
	// Zoom is the level of map tiles of Tiles, as of web maps: 0 is the whole world.
	Zoom int
}

// BucketKind is a way to make buckets.
type BucketKind uint8

// The kinds. An event without the field is in no bucket; one with several values is in the bucket of each.
const (
	Terms BucketKind = iota
	Dates
	Tiles // of a geo_point: zoom/x/y
)

// Figure is a number that a bucket has.
type Figure struct {
	Kind  FigureKind
	Field Field
	Where Expr // only these of the bucket's events; nil: all of them
}

// FigureKind is a way to compute a figure.
type FigureKind uint8

// The kinds. A bucket without a value has none of Min and Max; Sum, Count and Unique are 0 then.
const (
	Count  FigureKind = iota // events
	Unique                   // different values of Field, letter case counts
	Sum
	Min
	Max // also of dates: nanoseconds since 1970
)

// Row is a bucket: a key for each of Aggregate.By, and a number for each figure.
type Row struct {
	Keys    []Key
	Figures []Number
}

// Key is what the events of a bucket have in common. Kind is Str (also of addresses, in their usual form, and tiles, zoom/x/y), Int, Num,
// Date (the beginning, in nanoseconds) or Truth.
type Key = event.Value

// Number is a figure; the zero value is none.
type Number = event.Float
