package outputs

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

//go:embed templates/*.tmpl
var hookTemplates embed.FS

// Bounds of templates.
const (
	mostTemplate = 64 << 10
	mostBody     = 256 << 10
)

// hookTemplate makes the body of a request; nil text is the default form.
type hookTemplate struct{ text *template.Template }

// templateFunctions are what templates may call beside what text/template has. None of them reads a file or the environment.
var templateFunctions = template.FuncMap{
	"json":  templateJSON,
	"slack": slackText,
	"upper": strings.ToUpper,
	"lower": strings.ToLower,
	"join":  func(sep string, list []string) string { return strings.Join(list, sep) },
	"cut":   cutText,
	"field": field,
}

// field is a value after its name, nothing where there is no value.
func field(name, value string) string {
	if value == "" {
		return ""
	}
	return name + value
}

func templateJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// slackText escapes what Slack takes for markup of its own: links, names, channels.
func slackText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cutText cuts to so many bytes, between characters and not within an entity of slackText.
func cutText(most int, s string) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	s = s[:most]
	if i := strings.LastIndexByte(s, '&'); i >= 0 && len(s)-i < len("&amp;") && !strings.Contains(s[i:], ";") {
		s = s[:i]
	}
	return s + "…"
}

// readTemplate reads template or body and tries it on a made-up alert. nil where it is wrong, which is noted.
func readTemplate(body *conf.Body, isJSON bool) *hookTemplate {
	name, text := body.String("template", "default"), body.String("body", "")
	at := "template"
	switch {
	case body.Has("template") && body.Has("body"):
		body.Errorf("body", "template and body: one of them is enough")
		return nil
	case body.Has("body"):
		at = "body"
	case name == "default":
		return &hookTemplate{}
	case name == "slack" || name == "teams":
		src, err := hookTemplates.ReadFile("templates/" + name + ".tmpl")
		if err != nil {
			body.Errorf("template", "%v", err)
			return nil
		}
		text = string(src)
	case !strings.ContainsAny(name, "/."):
		body.Errorf("template", `wants "default", "slack", "teams" or the path of a file, such as "./pager.tmpl"`)
		return nil
	default:
		src, err := readTemplateFile(body, name)
		if err != nil {
			body.Errorf("template", "%v", err)
			return nil
		}
		text = src
	}
	t, err := parseTemplate(text)
	if err == nil {
		_, err = t.render(sampleNotification(), isJSON)
	}
	if err != nil {
		body.Errorf(at, "%v", err)
		return nil
	}
	return t
}

func readTemplateFile(body *conf.Body, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(body.File().Name()), path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read template: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > mostTemplate {
		return "", fmt.Errorf("read template %s: wants a regular file of at most 64 KiB", path)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read template: %w", err)
	}
	return string(src), nil
}

func parseTemplate(text string) (*hookTemplate, error) {
	if len(text) > mostTemplate {
		return nil, errors.New("wants at most 64 KiB")
	}
	t, err := template.New("notification").Funcs(templateFunctions).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	return &hookTemplate{t}, nil
}

var errNotJSON = errors.New("what the template makes is no valid JSON")

// render makes the body of a notification.
func (t *hookTemplate) render(n *Notification, isJSON bool) ([]byte, error) {
	if t.text == nil {
		return defaultBody(n), nil
	}
	var out bytes.Buffer
	if err := t.text.Execute(&boundedWriter{&out, mostBody}, n); err != nil {
		return nil, err
	}
	if isJSON && !json.Valid(out.Bytes()) {
		return nil, errNotJSON
	}
	return out.Bytes(), nil
}

type boundedWriter struct {
	w    io.Writer
	left int
}

var errBody = errors.New("a body of more than 256 KiB")

func (b *boundedWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBody
	}
	return b.w.Write(p)
}

// sampleNotification has something in every field, and what needs escaping.
func sampleNotification() *Notification {
	ev := event.Event{Kind: event.KindAlert, Severity: event.LongOf(severityHigh), Risk: event.Float{F: 73, Valid: true}, Tags: []string{"sample"}}
	ev.Time = event.Time(1_700_000_000_000_000_000)
	ev.Start, ev.End = ev.Time, ev.Time
	ev.User.Name, ev.UserKey, ev.Source.IP, ev.Host.Name = `bob "the\builder"`, "example/bob", "192.0.2.1", "host"
	r := ev.NeedRule()
	r.ID, r.Name, r.Description, r.Reference = "sample.rule", `a "title" <&> \ {{.}}`, "description", "https://example.com/"
	a := ev.NeedAlert()
	a.ID, a.State, a.By, a.Key, a.Event, a.Summary, a.Runbook = "0123", "open", "source.ip", "192.0.2.1", "e-1", `5 "events" \`, "look"
	a.Revision, a.Count, a.Events = event.LongOf(1), event.LongOf(5), []string{"e-1"}
	n := newNotification(notificationID(&ev), &ev)
	n.add(&ev)
	return n
}
