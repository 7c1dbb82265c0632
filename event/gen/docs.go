package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gatebook/gatebook/event"
)

// fieldsPage writes docs/fields.md.
func fieldsPage() []byte {
	var b bytes.Buffer
	b.WriteString(`<!-- Made by "make generate" from event/fields.go and event/action.go. Do not edit. -->
# Fields

Every record is one JSON document after the Elastic Common Schema ` + event.ECSVersion + `; what ECS has no name for stands under
` + "`gatebook.*`" + `. Types are Elasticsearch's; "stored" is kept in the document and not searchable; "list" is always written as a
list. The names under "also called" may be used in questions. A column is indexed on its own in the embedded store.

| field | type | also called | meaning |
| --- | --- | --- | --- |
`)
	for _, f := range event.Fields {
		t := string(f.Type)
		if f.Type == event.Stored {
			t = "stored"
		}
		if f.Array {
			t += ", list"
		}
		if f.Search {
			t += ", text"
		}
		if f.Column {
			t += ", column"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, t, f.Aliases, strings.ReplaceAll(f.Meaning, "|", "\\|"))
	}
	b.WriteString("\n# Actions\n\n`event.action` is one of a closed list; `event.category` and `event.type` follow from it.\n\n| action | category | type | meaning |\n| --- | --- | --- | --- |\n")
	for _, a := range event.Actions() {
		i := a.Info()
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", i.Name, i.Category, strings.Join(i.Types, ", "), i.Meaning)
	}
	b.WriteString("\nAn event without action is a line that says nothing about access; a `job-run` has the type info, start or end by its state.\n")
	return b.Bytes()
}
