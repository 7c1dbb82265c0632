package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Retention says how long data are kept.
type Retention struct {
	// Default is how long what ByDataset does not name is kept; 0 leaves it as it is on the server, a year where nothing is there yet.
	Default time.Duration
	// ByDataset are tiers, by short name of the dataset. 0 takes a tier away again. What the server has besides stays.
	ByDataset map[string]time.Duration
}

const (
	day         = 24 * time.Hour
	year        = 365 * day
	keepDefault = year
)

// standardTiers have a policy on every cluster with ILM, in use or not: an administrator may give them to streams.
var standardTiers = []time.Duration{90 * day, year, 7 * year}

var datasetName = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.]{0,99}$`)

// Check says what is wrong with it.
func (r Retention) Check() error {
	check := func(what string, d time.Duration) error {
		if d != 0 && (d < time.Hour || d%time.Hour != 0) {
			return fmt.Errorf("retention of %s: want whole hours, at least one", what)
		}
		return nil
	}
	if err := check("default", r.Default); err != nil {
		return err
	}
	for _, dataset := range slices.Sorted(maps.Keys(r.ByDataset)) {
		if !datasetName.MatchString(dataset) {
			return fmt.Errorf("retention of %q: not the name of a dataset, such as auth_service.audit", dataset)
		}
		if err := check(dataset, r.ByDataset[dataset]); err != nil {
			return err
		}
	}
	return nil
}

// tierName is how a time is written in names: 90d, 1y, 7y, 36h.
func tierName(d time.Duration) string {
	if d%year == 0 {
		return strconv.Itoa(int(d/year)) + "y"
	}
	return timeUnits(d)
}

// timeUnits is a time as the server writes it, which knows no years.
func timeUnits(d time.Duration) string {
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return strconv.Itoa(int(d/time.Hour)) + "h"
}

// policyName is the policy that keeps data for so long.
func policyName(d time.Duration) string { return prefix + tierName(d) }

// rolloverAge is how old an index becomes before the next one is begun. The time of keeping counts from then on, so a record is kept at most so much
// longer than it should be.
func rolloverAge(keep time.Duration) time.Duration {
	switch {
	case keep >= 180*day:
		return 30 * day
	case keep >= 14*day:
		return 7 * day
	case keep >= 2*day:
		return day
	}
	return max(time.Hour, (keep / 4).Truncate(time.Hour))
}

const (
	shardSize = "50gb"
	warmAfter = 2 * day
)

// ilmPolicy is a policy of Elasticsearch's index lifecycle management.
func ilmPolicy(keep time.Duration) func(mark) object {
	return func(m mark) object {
		phases := object{{"hot", object{{"min_age", "0ms"}, {"actions", object{
			{"set_priority", object{{"priority", 100}}},
			{"rollover", object{{"max_primary_shard_size", shardSize}, {"max_age", timeUnits(rolloverAge(keep))}}},
		}}}}}
		if keep > 7*day { // an index that goes soon is not worth the work
			phases = append(phases, member{"warm", object{{"min_age", timeUnits(warmAfter)}, {"actions", object{
				{"set_priority", object{{"priority", 50}}},
				{"forcemerge", object{{"max_num_segments", 1}}},
			}}}})
		}
		phases = append(phases, member{"delete", object{{"min_age", timeUnits(keep)}, {"actions", object{{"delete", object{}}}}}})
		return object{{"policy", object{{"phases", phases}, {"_meta", m.meta()}}}}
	}
}

// ismPolicy is a policy of OpenSearch's index state management; it takes hold of new indices of the patterns by itself. Without any it is
// left to indices that are under it already.
func ismPolicy(keep time.Duration, patterns []string, priority int) func(mark) object {
	return func(m mark) object {
		policy := object{
			{"description", m.text("keeps for " + timeUnits(keep) + " after the rollover, then deletes")},
			{"default_state", "hot"},
			{"states", []object{
				{
					{"name", "hot"},
					{"actions", []object{{{"rollover", object{{"min_primary_shard_size", shardSize}, {"min_index_age", timeUnits(rolloverAge(keep))}}}}}},
					{"transitions", []object{{{"state_name", "delete"}, {"conditions", object{{"min_rollover_age", timeUnits(keep)}}}}}},
				},
				{{"name", "delete"}, {"actions", []object{{{"delete", object{}}}}}, {"transitions", []object{}}},
			}},
		}
		if len(patterns) > 0 {
			policy = append(policy, member{"ism_template", []object{{{"index_patterns", patterns}, {"priority", priority}}}})
		}
		return object{{"policy", policy}}
	}
}

// Lifecycle says who deletes data when their time is over.
type Lifecycle string

// The lifecycles. LifecycleAuto takes what the cluster has.
const (
	LifecycleAuto   Lifecycle = ""
	LifecycleILM    Lifecycle = "ilm"  // index lifecycle management of Elasticsearch
	LifecycleStream Lifecycle = "dsl"  // data stream lifecycle of Elasticsearch, all that serverless has
	LifecycleISM    Lifecycle = "ism"  // index state management, a plugin of OpenSearch
	LifecycleNone   Lifecycle = "none" // nobody: it is left to somebody else
)

// Lifecycles are all, as a person names them.
var Lifecycles = []string{"auto", string(LifecycleILM), string(LifecycleStream), string(LifecycleISM), string(LifecycleNone)}

// ParseLifecycle reads one of [Lifecycles].
func ParseLifecycle(s string) (Lifecycle, error) {
	if !slices.Contains(Lifecycles, s) {
		return "", fmt.Errorf("want one of %s", strings.Join(Lifecycles, ", "))
	}
	if s == "auto" {
		return LifecycleAuto, nil
	}
	return Lifecycle(s), nil
}

// findLifecycle asks which of them the cluster has, or whether it has the wanted one.
func (c *Client) findLifecycle(ctx context.Context, s server, want Lifecycle) (Lifecycle, error) {
	for _, l := range []Lifecycle{LifecycleILM, LifecycleISM, LifecycleStream} {
		if want != LifecycleAuto && want != l || want == LifecycleAuto && (s.openSearch && l != LifecycleISM || s.serverless && l != LifecycleStream) {
			continue
		}
		there, err := c.has(ctx, l)
		if err != nil || there {
			return l, err
		}
	}
	if want != LifecycleAuto && want != LifecycleNone {
		return want, fmt.Errorf("this cluster has no lifecycle of the kind %q", want)
	}
	return LifecycleNone, nil
}

// has tells whether the cluster has such a lifecycle.
func (c *Client) has(ctx context.Context, l Lifecycle) (bool, error) {
	switch l {
	case LifecycleILM:
		return c.answers(ctx, "/_ilm/status")
	case LifecycleISM:
		// 404 is the answer of an OpenSearch that has no policies yet.
		return c.answers(ctx, "/_plugins/_ism/policies", http.StatusNotFound)
	}
	_, err := c.simulate(ctx, object{{"lifecycle", object{{"data_retention", "1d"}}}})
	var re *RequestError
	if errors.As(err, &re) && re.Status == http.StatusBadRequest {
		return false, nil
	}
	return err == nil, err
}

// answers tells whether the server has such an API.
func (c *Client) answers(ctx context.Context, path string, also ...int) (bool, error) {
	answer, err := c.do(ctx, "GET", path, nil)
	var re *RequestError
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &re):
		return false, err
	case absent(re, answer):
		return false, nil
	case slices.Contains(also, re.Status):
		return true, nil
	}
	return false, err
}

// absent tells that the server does not have the API that it was asked for. 410 is what serverless says.
func absent(re *RequestError, answer []byte) bool {
	switch re.Status {
	case http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
		return true
	case http.StatusBadRequest, http.StatusNotFound:
		return noHandler.Match(answer)
	}
	return false
}

var noHandler = regexp.MustCompile(`no handler found for uri|api_not_available_exception|not available when running in serverless`)
