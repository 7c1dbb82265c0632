package parsers

import "maps"

// webLeft is why fields of Elastic's documents of web servers are not compared.
var webLeft = map[string]string{
	"ecs.version":          "another version of the schema",
	"event.created":        "a constant of their test",
	"event.ingested":       "the time of their test",
	"event.original":       "the pipeline sets it, not the parser",
	"event.timezone":       "used up in @timestamp",
	"tags":                 "of their test",
	"related.*":            "follows from the rest (Event.Finish)",
	"source.address":       "source.ip or source.domain in ours",
	"source.geo.*":         "set by enrich",
	"source.as.*":          "set by enrich",
	"user_agent.name":      "set by enrich",
	"user_agent.version":   "set by enrich",
	"user_agent.os.*":      "set by enrich",
	"user_agent.device.*":  "set by enrich",
	"url.extension":        "follows from url.path",
	"destination.*":        "the virtual host is url.domain in ours, its port labels.server_port",
	"process.thread.id":    "labels.tid; ECS has it, our table has not",
	"file.path":            "part of message",
	"client.ip":            "labels.forwarded_for",
	"network.forwarded_ip": "labels.forwarded_for",
	"tls.cipher":           "labels.tls_cipher",
	"tls.version":          "labels.tls_protocol",
	"tls.version_protocol": "labels.tls_protocol",
}

func webLeftAnd(own map[string]string) map[string]string {
	maps.Copy(own, webLeft)
	return own
}

var nginxCorpus = corpusPackage{
	name:   "nginx",
	parser: "nginx",
	mapped: map[string]string{
		"nginx.error.connection_id": "labels.connection",
	},
	left: webLeftAnd(map[string]string{
		"nginx.access.remote_ip_list": "labels.forwarded_for, where there are several",
	}),
}
