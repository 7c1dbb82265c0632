package outputs

import (
	"strings"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// readRetention reads
//
//	retention = { default = "365d", "auth_service.audit" = "7y" }
//
// with the short names of datasets. The default is 0 where none is given. check, if not nil, says what is wrong with a time.
func readRetention(body *conf.Body, check func(dataset string, d time.Duration) error) (byDefault time.Duration, byDataset map[string]time.Duration) {
	byDataset = map[string]time.Duration{}
	for _, kv := range body.Pairs("retention") {
		d, err := conf.ParseDuration(kv.Value)
		dataset := strings.TrimPrefix(kv.Key, event.DatasetPrefix)
		if err != nil || d <= 0 {
			body.File().ErrorAt(kv.ValueRange, "retention of "+kv.Key+": want a duration such as \"365d\"", "")
			continue
		}
		if check != nil {
			if err := check(dataset, d); err != nil {
				body.File().ErrorAt(kv.ValueRange, err.Error(), "")
				continue
			}
		}
		if kv.Key == "default" {
			byDefault = d
		} else {
			byDataset[dataset] = d
		}
	}
	return byDefault, byDataset
}

// elasticRetention is readRetention for Elasticsearch, whose lifecycles know whole hours.
func elasticRetention(body *conf.Body) elastic.Retention {
	var r elastic.Retention
	r.Default, r.ByDataset = readRetention(body, func(dataset string, d time.Duration) error {
		return elastic.Retention{ByDataset: map[string]time.Duration{dataset: d}}.Check()
	})
	return r
}
