package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descRuleEvents   = describe("rule_events_total", "Events that were something to the rule, by gatebook.count.", "rule")
	descRuleHits     = describe("rule_hits_total", "Firings of the rule, before they are folded into alerts.", "rule")
	descRuleAlerts   = describe("rule_alert_records_total", "Records of alerts that the rule told: open, update, close.", "rule")
	descRuleMissing  = describe("rule_missing_keys_total", "Events that lacked the keys of every grouping of the rule.", "rule")
	descRuleExcepted = describe("rule_excepted_total", "Events and firings that an exception of the rule stopped.", "rule")
	descRuleLate     = describe("rule_late_events_total", "Events that came after their turn in a rule that has to see them in order.", "rule")
	descRuleEvicted  = describe("rule_evicted_keys_total", "Keys of the rule that were given up to keep the state within its limit.", "rule")
	descRuleKeys     = describe("rule_keys", "Keys that the rule keeps state of.", "rule")
	descRulesEvents  = describe("rules_events_total", "Events that the rules have seen.")
	descRulesState   = describe("rules_state_bytes", "Bytes of the rules' state in memory.")
	descRulesWaiting = describe("rules_waiting_events", "Events that wait for their turn in rules that have to see them in order.")
	descRulesForced  = describe("rules_forced_turns_total", "Events that had their turn early because too many waited.")
	descRulesOpen    = describe("rules_open_alerts", "Alerts that are open.")
	descRulesLag     = describe("rules_watermark_lag_seconds", "How far behind the clock the rules' time is.")
	descRulesSaved   = describe("rules_snapshots_total", "Snapshots of the rules' state that were written.")
	descRulesCrashed = describe("rules_crashes_total", "Events that the rules crashed on; please report it.")
	descRulesFailed  = describe("rules_unreadable_events_total", "Events that the rules could not read.")
)

// collect emits what the rules say of themselves. Rule ids come from rule files, never from events.
func (d *detector) collect(counter, gauge func(*prometheus.Desc, float64, ...string)) {
	d.mu.Lock()
	f := d.figures
	d.mu.Unlock()
	for _, r := range f.rules {
		counter(descRuleEvents, float64(r.Events), r.ID)
		counter(descRuleHits, float64(r.Hits), r.ID)
		counter(descRuleAlerts, float64(r.Alerts), r.ID)
		counter(descRuleMissing, float64(r.MissingKeys), r.ID)
		counter(descRuleExcepted, float64(r.Excepted+r.Vetoed), r.ID)
		counter(descRuleLate, float64(r.Late), r.ID)
		counter(descRuleEvicted, float64(r.EvictedKeys), r.ID)
		gauge(descRuleKeys, float64(r.Keys), r.ID)
	}
	counter(descRulesEvents, float64(f.engine.Events))
	gauge(descRulesState, float64(f.engine.StateBytes))
	gauge(descRulesWaiting, float64(f.engine.Waiting))
	counter(descRulesForced, float64(f.engine.Forced))
	gauge(descRulesOpen, float64(f.engine.OpenAlerts))
	counter(descRulesSaved, float64(f.snapshots))
	counter(descRulesCrashed, float64(f.crashes))
	counter(descRulesFailed, float64(f.unreadable))
	if f.watermark != 0 {
		gauge(descRulesLag, max(0, time.Since(f.watermark.Std()).Seconds()))
	}
}
