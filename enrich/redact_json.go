package enrich

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

const (
	deepest     = 64 // deeper JSON is replaced as a whole
	rawRedacted = event.Raw(`{"redacted":"` + redacted + `"}`)
)

// raw rewrites a JSON field; what comes out is valid JSON whatever went in.
func (w *redaction) raw(p *event.Raw) {
	s := string(*p)
	if s == "" {
		return
	}
	if !gjson.Valid(s) {
		*p = rawRedacted
		return
	}
	out, ok := w.appendJSON(make([]byte, 0, len(s)), gjson.Parse(s), false, 0)
	switch {
	case !ok:
		*p = rawRedacted
	case string(out) != s:
		*p = event.Raw(out)
	}
}

// appendJSON appends the value; secret says that its key names a secret, so that all texts and numbers in it are.
func (w *redaction) appendJSON(dst []byte, v gjson.Result, secret bool, depth int) ([]byte, bool) {
	if depth > deepest {
		return dst, false
	}
	switch {
	case v.IsObject():
		return w.appendObject(dst, v, secret, depth)
	case v.IsArray():
		dst = append(dst, '[')
		first, ok := true, true
		v.ForEach(func(_, one gjson.Result) bool {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst, ok = w.appendJSON(dst, one, secret, depth+1)
			return ok
		})
		return append(dst, ']'), ok
	case v.Type == gjson.String:
		return w.appendString(dst, v, secret), true
	case v.Type == gjson.Number && secret:
		if w.direct {
			w.remember(v.Raw)
			return append(dst, `"`+redacted+`"`...), true
		}
	case v.Type == gjson.Number:
		if text := v.Raw; w.direct {
			if _, _, card := findCard(text, 0); card {
				return append(dst, `"`+redacted+`"`...), true
			}
		} else if w.replace(text) != text {
			return append(dst, `"`+redacted+`"`...), true
		}
	}
	return append(dst, strings.TrimSpace(v.Raw)...), true
}

func (w *redaction) appendString(dst []byte, v gjson.Result, secret bool) []byte {
	text := v.String()
	after := text
	if secret && w.direct && text != "" && text != redacted {
		w.remember(text)
		after = redacted
	} else {
		w.text(&after)
	}
	if after == text {
		return append(dst, v.Raw...)
	}
	return appendJSONText(dst, after)
}

func appendJSONText(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		b = []byte(`"` + redacted + `"`)
	}
	return append(dst, b...)
}

// appendObject also knows objects that name a field in one member and give its value in others:
// {"field": "password", "old": "x", "new": "y"}.
func (w *redaction) appendObject(dst []byte, v gjson.Result, secret bool, depth int) ([]byte, bool) {
	named := secret
	v.ForEach(func(k, one gjson.Result) bool {
		if one.Type == gjson.String {
			switch strings.ToLower(k.String()) {
			case "field", "name", "key", "attribute", "property", "parameter", "header":
				_, hit := w.r.keys.match(one.String())
				named = named || hit
			}
		}
		return true
	})
	dst = append(dst, '{')
	first, ok := true, true
	v.ForEach(func(k, one gjson.Result) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		key := k.String()
		inner := secret
		if kind, hit := w.r.keys.match(key); hit && (!one.IsObject() || kind != keyHeader && (kind != keyHolder || w.r.keys.holdsTexts(one.Raw))) {
			inner = true
		}
		switch strings.ToLower(key) {
		case "value", "values", "old", "new", "before", "after", "from", "to", "oldvalue", "newvalue", "old_value", "new_value", "content":
			inner = inner || named
		}
		kept := key
		w.text(&kept)
		if kept == key {
			dst = append(dst, k.Raw...)
		} else {
			dst = appendJSONText(dst, kept)
		}
		dst = append(dst, ':')
		dst, ok = w.appendJSON(dst, one, inner, depth+1)
		return ok
	})
	return append(dst, '}'), ok
}
