// Package enrich adds to events what their own text does not say, and takes away what must not be written.
//
//	Event -> GeoIP (where the address is) -> user agent -> Redactor (secrets out, chosen fields hashed) -> user key
//
// What it promises: no network, no error that fails an event, and nothing leaves redaction that a rule of it names.
package enrich

import "github.com/gatebook/gatebook/event"

// Enricher changes an event in place. It is safe for concurrent use and cannot fail an event. Texts that it sets live as
// long as they need to (they are not substrings of reused memory).
type Enricher interface {
	Enrich(ev *event.Event)
}
