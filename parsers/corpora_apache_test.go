package parsers

import (
	"strings"
	"time"
)

var apacheCorpus = corpusPackage{
	name:   "apache",
	parser: "apache",
	mapped: map[string]string{
		"apache.access.identity":            "labels.identity",
		"apache.access.response_time":       "labels.response_time",
		"apache.access.ssl.cipher":          "labels.tls_cipher",
		"apache.access.ssl.protocol":        "labels.tls_protocol",
		"apache.access.tls_handshake.error": "labels.request_line",
		"apache.error.module":               "labels.module",
	},
	left: webLeftAnd(map[string]string{
		"apache.access.remote_addresses":     "labels.forwarded_for",
		"apache.access.http.request_headers": "the whole request line is labels.request_line",
	}),
	ours: map[string]string{
		"url.query": "not decoded, so that %26 and & stay two things",
	},
	wrong: func(d *corpusDifference) string {
		if d.field != "@timestamp" || len(d.got) != 1 {
			return ""
		}
		want, err := time.Parse(time.RFC3339Nano, d.want[0])
		got, err2 := time.Parse(time.RFC3339Nano, d.got[0])
		if err == nil && err2 == nil && got.Truncate(time.Millisecond).Equal(want) && strings.Contains(d.line, got.Format(".000000")) {
			return "the line has microseconds, the expectation is cut to milliseconds"
		}
		return ""
	},
}
