package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// ecsField is what becomes of one field of a document.
type ecsField struct {
	id    event.FieldID
	known bool
	ours  bool // only a Gatebook may say so
	skip  bool // another Gatebook says what we say ourselves
	fill  bool // fills what a line leaves out
	whole bool // an object is its value
}

// ecsFields is every field of the table by its name.
var ecsFields = func() map[string]ecsField {
	m := make(map[string]ecsField, len(event.Fields))
	for i := range event.Fields {
		e := &event.Fields[i]
		f := ecsField{id: event.FieldID(i), known: true, ours: oursOnly(e.Name)}
		root, _, _ := strings.Cut(e.Name, ".")
		f.skip = e.Go == "" || root == "related"
		f.fill = root == "host" || root == "agent" || root == "log" || root == "process" || root == "service"
		f.whole = e.Type == event.Flattened || e.Type == event.Stored || e.Type == event.Place
		m[e.Name] = f
	}
	delete(m, "labels") // its members are labels by themselves
	return m
}()

// oursOnly names what is refused from all senders but another Gatebook.
func oursOnly(path string) bool {
	root, _, _ := strings.Cut(path, ".")
	switch root {
	case "gatebook", "rule", "threat", "related", "data_stream":
		return true
	}
	return path == "event.id"
}

// ecsRaw are the places of a raw line, in the order of preference.
var ecsRaw = map[string]int{
	"event.original": 0, // ECS
	"message":        1, // ECS; Filebeat, Vector, OpenTelemetry's mapping mode "ecs"
	"log":            2, // containers, by Fluent Bit
	"MESSAGE":        3, // the journal, by Fluent Bit and Vector
	"body.text":      4, // OpenTelemetry's mapping mode "otel"
	"Body":           5, // and its mode "none"
	"body":           6,
}

// ecsHint is a place, beside those of ECS, where shippers put what a line's header would say.
type ecsHint uint8

const (
	hintNone ecsHint = iota
	hintTime
	hintProgram
	hintPID
	hintHost
)

var ecsHints = map[string]ecsHint{
	"@timestamp":          hintTime,
	"log.syslog.appname":  hintProgram,
	"process.name":        hintProgram,
	"SYSLOG_IDENTIFIER":   hintProgram,
	"log.syslog.procid":   hintPID,
	"process.pid":         hintPID,
	"_PID":                hintPID,
	"log.syslog.hostname": hintHost,
	"_HOSTNAME":           hintHost,
}

// ecsAliases are names of a few shippers for fields that ECS has.
var ecsAliases = map[string]string{
	"_HOSTNAME": "host.name", // the journal, by Fluent Bit and Vector
	"hostname":  "host.name", // Fluent Bit
	"host":      "host.name", // Vector: a text, not an object
	"file":      "log.file.path",
}

// ownDataset says that a text may be event.dataset: it becomes part of a stream's name.
func ownDataset(s string) bool {
	short, ok := strings.CutPrefix(s, event.DatasetPrefix)
	return ok && len(short) <= 100 && datasetName.MatchString(short)
}

// reservedDataset holds what only a Gatebook writes.
func reservedDataset(s string) bool {
	switch strings.TrimPrefix(s, event.DatasetPrefix) {
	case "alert", "agent", "deadletter":
		return true
	}
	return false
}
