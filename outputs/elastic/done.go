package elastic

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// doneTemplate is a component template of which nothing is made: it notes the last setup that came to its end, and what it was asked for. An agent that sets up
// at its start looks at it, so that a fleet that starts does not ask a cluster some twenty things each.
const doneTemplate = "gatebook-done"

// fingerprint is one of everything that this version could install.
var fingerprint = sync.OnceValue(func() string {
	h := sha256.New()
	for _, r := range Requests(SetupOptions{}) {
		fmt.Fprintf(h, "%s %d\n", r.Path, len(r.Body))
		h.Write(r.Body)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
})

// done is the note of a setup.
func (p *plan) done() object {
	tiers := object{}
	for _, dataset := range slices.Sorted(maps.Keys(p.tiers)) {
		tiers = append(tiers, member{dataset, timeUnits(p.tiers[dataset])})
	}
	meta := mark{templateVersion, fingerprint()}.meta(member{"lifecycle", string(p.lifecycle)}, member{"pipeline", p.setter != ""},
		member{"retention", timeUnits(p.keep)}, member{"tiers", tiers})
	return object{{"template", object{}}, {"_meta", meta}}
}

// readDone reads the note that is there; ErrForeign where it is none of ours.
func (c *Client) readDone(ctx context.Context, p *plan) error {
	have, err := c.do(ctx, "GET", components.path+doneTemplate, nil)
	var re *RequestError
	switch {
	case errors.As(err, &re) && re.Status == http.StatusNotFound:
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", components.path+doneTemplate, err)
	}
	if p.noted = gjson.GetBytes(have, "component_templates.0.component_template._meta"); p.noted.Get("managed_by").String() != managedBy {
		return ErrForeign
	}
	return nil
}

// noteDone notes that all is done, if it is not noted yet.
func (c *Client) noteDone(ctx context.Context, p *plan) error {
	body := render(p.done())
	var is, want any // the server keeps no order
	_ = json.Unmarshal([]byte(p.noted.Raw), &is)
	_ = json.Unmarshal([]byte(gjson.GetBytes(body, "_meta").Raw), &want)
	if p.noted.Get("version").Int() > templateVersion || reflect.DeepEqual(is, want) {
		return nil
	}
	if _, err := c.do(ctx, "PUT", components.path+doneTemplate, body); err != nil {
		return fmt.Errorf("install %s: %w", components.path+doneTemplate, err)
	}
	return nil
}

// isDone tells whether a setup that was asked for the same came to its end, and what matters most is still there.
func (c *Client) isDone(ctx context.Context, o SetupOptions) bool {
	there := func(k *kind, name string) gjson.Result {
		answer, err := c.do(ctx, "GET", k.path+name, nil)
		v := gjson.ParseBytes(answer)
		if err != nil || k.mark(v) == nil {
			return gjson.Result{}
		}
		return v
	}
	meta := there(&components, doneTemplate).Get("component_templates.0.component_template._meta")
	version := meta.Get("version").Int()
	if version < templateVersion || version == templateVersion && meta.Get("hash").String() != fingerprint() {
		return false
	}
	if o.Lifecycle != LifecycleAuto && string(o.Lifecycle) != meta.Get("lifecycle").String() || o.Roles || o.DryRun {
		return false
	}
	kept := func(want time.Duration, is gjson.Result) bool { return parseUnits(is.String()) == want }
	if !kept(cmp.Or(o.Retention.Default, parseUnits(meta.Get("retention").String())), meta.Get("retention")) {
		return false
	}
	tiers := meta.Get("tiers").Map()
	for dataset, d := range o.Retention.ByDataset {
		if !kept(d, tiers[dataset]) {
			return false
		}
	}
	return there(&templates, IndexTemplate).Exists() && (!meta.Get("pipeline").Bool() || there(&pipelines, Pipeline).Exists())
}
