package main

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/kibana"
	"github.com/gatebook/gatebook/kibana/detection"
	"github.com/gatebook/gatebook/outputs/elastic"
)

// namespaces are those that Kibana's objects are about; all where none is named.
func (o *setupOptions) namespaces() []string {
	if o.namespace == "" {
		return nil
	}
	return []string{o.namespace}
}

// prepareKibana imports data views, saved searches and dashboards, and detection rules where they are asked for.
func (o *setupOptions) prepareKibana(cmd *cobra.Command) error {
	k, err := kibana.New(kibana.ClientConfig{URL: o.kibana, Space: o.space, APIKey: o.apiKey, Username: o.username, Password: o.password, CA: o.ca, UserAgent: "gatebook/" + version})
	if err != nil {
		return err
	}
	defer k.Close()
	objects, err := kibana.Objects(o.namespaces()...)
	if err != nil {
		return err
	}
	rules, err := o.detections(cmd)
	if err != nil {
		return err
	}
	is, err := k.Status(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Kibana: %s\n", printable("version "+cmp.Or(is, "not told"), 100))
	if o.dryRun {
		fmt.Fprintf(out, "Kibana: %d data views, saved searches and dashboards would be imported\n", lines(objects))
		if rules != nil {
			fmt.Fprintf(out, "Kibana: %d detection rules would be imported\n", lines(rules))
		}
		return nil
	}
	tell := func(what string, done kibana.Imported, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Kibana: %d %s imported\n", done.Count, what)
		for _, w := range done.Warnings {
			fmt.Fprintf(out, "Kibana: %s\n", printable(w, 1000))
		}
		return nil
	}
	done, err := k.ImportObjects(cmd.Context(), objects)
	if err := tell("data views, saved searches and dashboards", done, err); err != nil || rules == nil {
		return err
	}
	done, err = k.ImportRules(cmd.Context(), rules)
	return tell("detection rules", done, err)
}

// detections are the rules that are to be imported; nil where none are. With --rules they are those that the config would run, the shipped ones where it runs none, as
// far as Kibana can say them.
func (o *setupOptions) detections(cmd *cobra.Command) ([]byte, error) {
	switch {
	case o.alerts:
		return detection.Alerts(detection.Options{Namespace: o.namespace})
	case !o.rules:
		return nil, nil
	}
	from := ruleOptions{library: true}
	if o.configGiven {
		from.config = o.config
	}
	s, err := from.load(cmd, true)
	if err == nil && len(s.set.Rules) == 0 {
		from.config = ""
		s, err = from.load(cmd, true)
	}
	if err != nil {
		return nil, err
	}
	ndjson, report, err := detection.Export(s.set, detection.Options{Namespace: o.namespace, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	var missing int
	for _, r := range report {
		if len(r.Parts) == 0 && len(r.Missing) > 0 {
			missing++
		}
	}
	if missing > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d rules cannot be said in Kibana: gatebook rules export kibana tells why\n", missing, len(report))
	}
	return ndjson, nil
}

// lines counts the objects of NDJSON.
func lines(ndjson []byte) int { return bytes.Count(ndjson, []byte("\n")) }

// kibanaRequests are the imports as files.
func (o *setupOptions) kibanaRequests(cmd *cobra.Command) ([]elastic.Request, error) {
	objects, err := kibana.Objects(o.namespaces()...)
	if err != nil {
		return nil, err
	}
	list := []elastic.Request{{Method: "POST", Path: "/api/saved_objects/_import?overwrite=true", File: "kibana/gatebook.ndjson", Body: objects}}
	rules, err := o.detections(cmd)
	if err != nil {
		return nil, err
	}
	if rules != nil {
		list = append(list, elastic.Request{Method: "POST", Path: "/api/detection_engine/rules/_import?overwrite=true", File: "kibana/rules.ndjson", Body: rules})
	}
	return list, nil
}
