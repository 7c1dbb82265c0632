package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// stream is a data stream that exists.
type stream struct {
	name     string
	template string // index template that it goes by now
	indices  []string
	keeps    string // of its data stream lifecycle
}

func (s stream) write() string { return s.indices[len(s.indices)-1] }

// dataset is the short name of the stream's dataset.
func (s stream) dataset() string {
	rest := strings.TrimPrefix(s.name, "logs-"+event.DatasetPrefix)
	dataset, _, _ := strings.Cut(rest, "-")
	return dataset
}

// renewStreams gives the data streams that exist the mapping and the lifecycle of their template, which by itself has to do with new indices only.
func (c *Client) renewStreams(ctx context.Context, p *plan, dry bool) ([]Step, error) {
	list, err := c.streams(ctx)
	var re *RequestError
	if errors.As(err, &re) && re.Status == http.StatusForbidden {
		return []Step{{Did: "data streams are not looked at: these credentials lack view_index_metadata on " + Streams}}, nil
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	marks, err := c.indexMarks(ctx)
	if err != nil {
		return nil, err
	}
	var under map[string]string
	if p.lifecycle == LifecycleILM {
		if under, err = c.indexPolicies(ctx); err != nil {
			return nil, err
		}
	}
	var steps []Step
	for _, s := range list {
		if !p.made(s.template) {
			steps = append(steps, Step{"/_data_stream/" + s.name, fmt.Sprintf("goes by index template %q, which is not ours: left as it is", s.template)})
			continue
		}
		more, err := c.renewStream(ctx, p, s, marks[s.write()], under, dry)
		if steps = append(steps, more...); err != nil {
			return steps, fmt.Errorf("renew %s: %w", s.name, err)
		}
	}
	return steps, nil
}

// made tells whether an index template is ours.
func (p *plan) made(template string) bool {
	return slices.ContainsFunc(p.templates(), func(t streamTemplate) bool { return t.name() == template })
}

// templateOf is the template that a stream goes by, as planned.
func (p *plan) templateOf(s stream) streamTemplate {
	list := p.templates()
	if i := slices.IndexFunc(list, func(t streamTemplate) bool { return t.dataset == s.dataset() }); i >= 0 {
		return list[i]
	}
	return streamTemplate{p.layout, ""}
}

// streams lists the data streams of ours.
func (c *Client) streams(ctx context.Context) ([]stream, error) {
	answer, err := c.do(ctx, "GET", "/_data_stream/"+Streams, nil)
	var re *RequestError
	if errors.As(err, &re) && re.Status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list data streams: %w", err)
	}
	var list []stream
	for _, d := range gjson.GetBytes(answer, "data_streams").Array() {
		s := stream{name: d.Get("name").String(), template: d.Get("template").String(), keeps: d.Get("lifecycle.data_retention").String()}
		for _, i := range d.Get("indices").Array() {
			s.indices = append(s.indices, i.Get("index_name").String())
		}
		if len(s.indices) > 0 {
			list = append(list, s)
		}
	}
	return list, nil
}

// indexMarks reads the mark of our mapping from every index.
func (c *Client) indexMarks(ctx context.Context) (map[string]mark, error) {
	answer, err := c.do(ctx, "GET", "/"+Streams+"/_mapping?filter_path=*.mappings._meta", nil)
	if err != nil {
		return nil, fmt.Errorf("read mappings: %w", err)
	}
	marks := map[string]mark{}
	gjson.ParseBytes(answer).ForEach(func(index, v gjson.Result) bool {
		if m := metaMark("mappings._meta")(v); m != nil {
			marks[index.String()] = *m
		}
		return true
	})
	return marks, nil
}

// indexPolicies reads which ILM policy every index is under.
func (c *Client) indexPolicies(ctx context.Context) (map[string]string, error) {
	answer, err := c.do(ctx, "GET", "/"+Streams+"/_settings?filter_path=*.settings.index.lifecycle.name", nil)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	under := map[string]string{}
	gjson.ParseBytes(answer).ForEach(func(index, v gjson.Result) bool {
		under[index.String()] = v.Get("settings.index.lifecycle.name").String()
		return true
	})
	return under, nil
}

func (c *Client) renewStream(ctx context.Context, p *plan, s stream, have mark, under map[string]string, dry bool) ([]Step, error) {
	mapping, err := c.renewMapping(ctx, p, s, have, dry)
	if err != nil {
		return nil, err
	}
	steps := []Step{{"/_data_stream/" + s.name, mapping}}
	t := p.templateOf(s)
	var lifecycle string
	switch p.lifecycle {
	case LifecycleILM:
		lifecycle, err = c.renewPolicy(ctx, s, t, under, dry)
	case LifecycleStream:
		lifecycle, err = c.renewRetention(ctx, p, s, t, dry)
	}
	if lifecycle != "" {
		steps = append(steps, Step{"/_data_stream/" + s.name, lifecycle})
	}
	return steps, err
}

// renewMapping has new fields indexed at once: in the index that is written to or, where it cannot take them, in a new one.
func (c *Client) renewMapping(ctx context.Context, p *plan, s stream, have mark, dry bool) (string, error) {
	i := item{body: p.mapping}
	want := i.seal()
	if have.version > want.version || have == want {
		return upToDate, nil
	}
	if dry {
		return "would get the mapping of this version", nil
	}
	body := render(i.sealed())
	_, err := c.do(ctx, "PUT", "/"+s.name+"/_mapping?write_index_only=true", body)
	var re *RequestError
	switch {
	case err == nil:
		return "has the mapping of this version: new fields are indexed from now on", nil
	case !errors.As(err, &re) || re.Status != http.StatusBadRequest:
		return "", err
	}
	_, err = c.do(ctx, "POST", "/"+s.name+"/_rollover", nil)
	return "has a new index with the mapping of this version; the one before cannot take it: " + re.Reason, err
}

// renewPolicy puts the indices under the policy of their template, all but those that are under one that is not ours.
func (c *Client) renewPolicy(ctx context.Context, s stream, t streamTemplate, under map[string]string, dry bool) (string, error) {
	keep, _ := t.keeps()
	want := policyName(keep)
	other := func(i string) bool { return under[i] != want }
	if !slices.ContainsFunc(s.indices, other) {
		return "", nil
	}
	for _, i := range s.indices {
		if name := under[i]; name != "" && !strings.HasPrefix(name, prefix) {
			return fmt.Sprintf("is under lifecycle policy %q, which is not ours: left as it is", name), nil
		}
	}
	if dry {
		return "would be under lifecycle policy " + want, nil
	}
	_, err := c.do(ctx, "PUT", "/"+s.name+"/_settings", render(object{{"index", object{{"lifecycle", object{{"name", want}}}}}}))
	return "is under lifecycle policy " + want + " now, old indices too", err
}

// renewRetention sets how long the stream is kept where its template says something new, or it has none.
func (c *Client) renewRetention(ctx context.Context, p *plan, s stream, t streamTemplate, dry bool) (string, error) {
	keep, _ := t.keeps()
	want := timeUnits(keep)
	if s.keeps == want {
		return "", nil
	}
	if s.keeps != "" && !p.retentionChanges(t) {
		return fmt.Sprintf("keeps for %s, its template for %s: somebody changed that, left as it is", s.keeps, want), nil
	}
	if dry {
		return "would keep for " + want, nil
	}
	_, err := c.do(ctx, "PUT", "/_data_stream/"+s.name+"/_lifecycle", render(object{{"data_retention", want}}))
	return "keeps for " + want + " now", err
}

// retentionChanges tells whether this run changes how long the streams of a template are kept.
func (p *plan) retentionChanges(t streamTemplate) bool {
	keep, _ := t.keeps()
	before, ok := p.was[t.dataset]
	if !ok {
		before = p.wasKept
	}
	return before != keep
}
