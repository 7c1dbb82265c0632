package parsers

import (
	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// rawParser keeps the line as it is: the time of arrival, nothing recognized, no failure.
type rawParser struct{ name, dataset string }

func newRaw(label string, body *conf.Body, _ Options) (Parser, error) {
	p := rawParser{name: "raw", dataset: event.DatasetPrefix + "raw"}
	if body != nil {
		p = rawParser{name: label, dataset: event.DatasetPrefix + readDataset(body, "raw."+foldDataset(label))}
		body.Close()
	}
	return p, nil
}

func (p rawParser) Dataset() string { return p.dataset }

func (p rawParser) Parse(line Line, ev *event.Event) error {
	ev.Time, ev.Message, ev.Dataset, ev.Parser = line.Received, line.Text, p.dataset, p.name
	return nil
}
