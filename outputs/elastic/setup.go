package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Names of what Setup installs.
const (
	ComponentTemplate = "gatebook-mappings"
	IndexTemplate     = "gatebook"
	Pipeline          = "gatebook-ingested"
	Pattern           = "logs-gatebook.*-*"
)

// managedBy marks what is ours; templateVersion is raised with every change of what Setup installs.
const (
	managedBy       = "gatebook"
	templateVersion = 4
)

// Setup installs the ingest pipeline, the component template and the index template, where they are missing or older than
// ours. Something of the same name that is not marked as ours is an error and stays as it is. The notes say what was done,
// and what the server cannot do.
func (c *Client) Setup(ctx context.Context) (notes []string, err error) {
	pipeline, note, err := c.putPipeline(ctx)
	if err != nil {
		return nil, fmt.Errorf("install pipeline %s: %w", Pipeline, err)
	}
	notes = append(notes, note)
	flattened := Flattened
	for _, kind := range []string{Flattened, FlatObject, Unindexed} {
		note, err = c.putTemplate(ctx, "/_component_template/"+ComponentTemplate, "component_templates.0.component_template", Component(kind))
		flattened = kind
		var re *RequestError
		if !errors.As(err, &re) || re.Status != http.StatusBadRequest || !strings.Contains(re.Error(), kind) {
			break
		}
	}
	if err != nil {
		return notes, fmt.Errorf("install component template %s: %w", ComponentTemplate, err)
	}
	if flattened != Flattened {
		note += "; fields of type flattened are mapped as " + flattened
	}
	notes = append(notes, note)
	note, err = c.putTemplate(ctx, "/_index_template/"+IndexTemplate, "index_templates.0.index_template", Template(pipeline))
	if err != nil {
		return notes, fmt.Errorf("install index template %s: %w", IndexTemplate, err)
	}
	return append(notes, note), nil
}

// putPipeline installs the pipeline; false where the server has no processor for it. A pipeline that sets no date would have
// every document refused, so each is tried before it is installed.
func (c *Client) putPipeline(ctx context.Context) (bool, string, error) {
	path := "/_ingest/pipeline/" + Pipeline
	old, err := c.do(ctx, "GET", path, nil)
	var re *RequestError
	switch {
	case err == nil:
		switch d := gjson.GetBytes(old, Pipeline+".description").String(); {
		case d == pipelineMark+"sets event.ingested":
			return true, path + " is up to date", nil
		case !strings.HasPrefix(d, "Gatebook "):
			return false, "", ErrForeign
		}
	case errors.As(err, &re) && re.Status == http.StatusNotFound:
	default:
		return false, "", err
	}
	for _, body := range pipelines {
		works, err := c.tryPipeline(ctx, body)
		if err != nil {
			return false, "", err
		}
		if works {
			_, err = c.do(ctx, "PUT", path, []byte(body))
			return err == nil, path + " installed", err
		}
	}
	return false, "no ingest processor that could do it on this cluster: event.ingested is not set", nil
}

// tryPipeline tells whether a pipeline sets event.ingested to a date.
func (c *Client) tryPipeline(ctx context.Context, body string) (bool, error) {
	answer, err := c.do(ctx, "POST", "/_ingest/pipeline/_simulate", []byte(`{"pipeline":`+body+`,"docs":[{"_source":{"event":{"kind":"event"}}}]}`))
	var re *RequestError
	if errors.As(err, &re) && re.Status == http.StatusBadRequest {
		return false, nil // no such processor
	}
	if err != nil {
		return false, err
	}
	_, err = time.Parse(time.RFC3339Nano, gjson.GetBytes(answer, "docs.0.doc._source.event.ingested").String())
	return err == nil, nil
}

// putTemplate installs a template unless the one there is as new, or not ours.
func (c *Client) putTemplate(ctx context.Context, path, at string, body []byte) (string, error) {
	old, err := c.do(ctx, "GET", path, nil)
	var re *RequestError
	switch {
	case err == nil:
		if done, err := ours(gjson.GetBytes(old, at)); done || err != nil {
			return path + " is up to date", err
		}
	case errors.As(err, &re) && re.Status == http.StatusNotFound:
	default:
		return "", err
	}
	if _, err := c.do(ctx, "PUT", path, body); err != nil {
		return "", err
	}
	return path + " installed", nil
}

// ErrForeign says that something of our name is not ours.
var ErrForeign = errors.New("there is one of this name that Gatebook did not make (no _meta.managed_by: gatebook); rename it or remove it")

func ours(have gjson.Result) (upToDate bool, err error) {
	if have.Get("_meta.managed_by").String() != managedBy {
		return false, ErrForeign
	}
	return have.Get("_meta.version").Int() >= templateVersion, nil
}
