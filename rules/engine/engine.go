// Package engine runs rules over events.
//
//	event -> index by equality terms -> enter: conditions on the event alone -> item (time, id, keys, captured values)
//	             |                                                                  |
//	             | monotone rules: at once                                          | others: in order, behind the watermark
//	             v                                                                  v
//	          machine (window, sequence, session, expect) <-> history (long memory: first_seen, baseline, prev)
//	             |
//	           hits -> episodes (quiet, 24 h) -> Alert: open, update, close
//
// What it promises: the alerts that close are a function of the set of events alone, whatever their order within the lateness, whether some
// come twice, and wherever the process was stopped and restored from its snapshot; memory is bounded in bytes; what was given up is told and is
// unknown, never "new". An Engine is for one goroutine.
package engine
