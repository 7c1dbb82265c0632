package parsers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/testkit"
)

// beatsLeft is why fields of Filebeat's documents of web servers are not compared, beyond those of webLeft.
var beatsLeft = map[string]string{
	"event.module":    "the parser is gatebook.parser",
	"event.dataset":   "has our prefix; the ingress controller's is nginx.access",
	"fileset.name":    "of Filebeat",
	"input.type":      "of Filebeat",
	"log.offset":      "of Filebeat",
	"log.flags":       "of Filebeat",
	"http.request.id": "labels.request_id",
	"nginx.ingress_controller.remote_ip_list":            "labels.forwarded_for, where there are several",
	"nginx.ingress_controller.http.request.time":         "event.duration",
	"nginx.ingress_controller.upstream.ip":               "part of labels.upstream_addr",
	"nginx.ingress_controller.upstream.port":             "part of labels.upstream_addr",
	"nginx.ingress_controller.upstream_address_list":     "labels.upstream_addr is the list as it stands",
	"nginx.ingress_controller.upstream.response.*":       "the last of each list; ours are the lists as they stand",
	"nginx.ingress_controller.upstream.alternative_name": "empty in all documents",
}

// beatsWrong says why an expectation is wrong.
func beatsWrong(d *corpusDifference) string {
	switch {
	case d.want[0] == "-" && d.got == nil:
		return `"-" is what the server writes for nothing; their newer documents leave it out too`
	case d.field == "event.type" && d.document["event.dataset"][0] == nginxAccessDataset && d.want[0] == "info":
		return "a request is an access: so say their own documents of the same format in nginx.access"
	}
	return ""
}

// TestBeatsWeb holds our documents against those of Filebeat's modules for nginx and Apache.
func TestBeatsWeb(t *testing.T) {
	for _, base := range []corpusPackage{nginxCorpus, apacheCorpus} {
		t.Run(base.name, func(t *testing.T) {
			p := base
			p.left, p.mapped = maps.Clone(base.left), maps.Clone(base.mapped)
			maps.Copy(p.left, beatsLeft)
			for _, name := range []string{"http.request.id", "http.request.length", "upstream.name"} {
				p.mapped["nginx.ingress_controller."+name] = "labels." + strings.TrimPrefix(strings.ReplaceAll(name, ".", "_"), "http_")
			}
			p.wrong = func(d *corpusDifference) string {
				reason := beatsWrong(d)
				if reason == "" && base.wrong != nil {
					reason = base.wrong(d)
				}
				return reason
			}
			c := comparison{corpusPackage: p, unlisted: map[string]bool{}, printed: map[string]int{}}
			paths, err := filepath.Glob(filepath.Join(testkit.Shared(t, "corpora/beats/"+p.name), "*", "*-expected.json"))
			if err != nil || len(paths) == 0 {
				t.Fatalf("%d files, %v", len(paths), err)
			}
			parser := newWeb(t, p.parser, Options{Location: time.FixedZone("", -2*3600)})
			enc := event.NewEncoder(event.EncoderOptions{Namespace: "default", Plain: true})
			for _, path := range paths {
				var docs []map[string]any
				decode(t, path, &docs)
				for i, theirs := range docs {
					line, _ := theirs["event.original"].(string)
					at := fmt.Sprintf("%s:%d", filepath.Base(path), i+1)
					var ev event.Event
					if err := parser.Parse(Line{Text: line, Received: received}, &ev); err != nil {
						t.Errorf("%s: %v: %q", at, err, line)
						continue
					}
					var ours map[string]any
					d := json.NewDecoder(bytes.NewReader(enc.AppendDocument(nil, &ev)))
					d.UseNumber()
					if err := d.Decode(&ours); err != nil {
						t.Fatal(err)
					}
					c.documents++
					c.document(t, at, line, flatten(theirs), flatten(ours))
				}
			}
			c.report(t)
		})
	}
}
