package engine

import "github.com/gatebook/gatebook/event"

// recentIDs knows again the events of the last while: at least recentSpan of event time, unless there are more than mostRecent.
type recentIDs struct {
	now, before map[eventID]struct{}
	since       event.Time
}

const (
	recentSpan = event.Time(60e9)
	mostRecent = 1 << 15
)

// again notes an event, and tells whether it has been noted.
func (r *recentIDs) again(t event.Time, id eventID) bool {
	if _, ok := r.now[id]; ok {
		return true
	}
	if _, ok := r.before[id]; ok {
		return true
	}
	if r.now == nil || t-r.since > recentSpan || len(r.now) >= mostRecent {
		r.before, r.now, r.since = r.now, make(map[eventID]struct{}), t
	}
	r.now[id] = struct{}{}
	return false
}

func (r *recentIDs) bytes() int64 { return 48 * int64(len(r.now)+len(r.before)) }

func (r *recentIDs) save(w *writer) {
	w.time(r.since)
	for _, ids := range [...]map[eventID]struct{}{r.now, r.before} {
		w.uint(uint64(len(ids)))
		for id := range ids {
			w.id(id)
		}
	}
}

func (r *recentIDs) load(from *reader) {
	r.since = from.time()
	for _, ids := range [...]*map[eventID]struct{}{&r.now, &r.before} {
		*ids = make(map[eventID]struct{})
		for range from.count() {
			(*ids)[from.id()] = struct{}{}
		}
	}
}

func (r *recentIDs) eachID(f func(eventID)) {
	for _, ids := range [...]map[eventID]struct{}{r.now, r.before} {
		for id := range ids {
			f(id)
		}
	}
}
