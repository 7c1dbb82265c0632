package elastic

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tidwall/gjson"
)

// setters are ways to set event.ingested by an ingest processor, by name; which one works depends on the server and its modules.
var setters = []struct {
	name      string
	processor object
}{
	{"copy_from", object{{"set", object{{"field", "event.ingested"}, {"copy_from", "_ingest.timestamp"}, {"ignore_failure", true}}}}},
	{"template", object{{"set", object{{"field", "event.ingested"}, {"value", "{{{_ingest.timestamp}}}"}, {"ignore_failure", true}}}}},
}

// pipelineBody is the pipeline with one of the setters.
func pipelineBody(setter string) func(mark) object {
	return func(m mark) object {
		body := object{{"description", m.text("sets event.ingested")}}
		for _, s := range setters {
			if s.name == setter {
				body = append(body, member{"processors", []object{s.processor}})
			}
		}
		return body
	}
}

// findSetter returns the name of the first setter that works on the server; empty where none does. A pipeline that sets no date would have every document
// refused, so each is tried before it is installed.
func (c *Client) findSetter(ctx context.Context) (string, error) {
	for _, s := range setters {
		works, err := c.trySetter(ctx, s.name)
		if err != nil || works {
			return s.name, err
		}
	}
	return "", nil
}

func (c *Client) trySetter(ctx context.Context, name string) (bool, error) {
	body := object{
		{"pipeline", pipelineBody(name)(mark{})},
		{"docs", []object{{{"_source", object{{"event", object{{"kind", "event"}}}}}}}},
	}
	answer, err := c.do(ctx, "POST", "/_ingest/pipeline/_simulate", render(body))
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
