package enrich

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
)

// Redactor takes secrets out of an event before anything is written.
//
//	line holds nothing that looks like a secret, no label's key does -> done (the usual case)
//	else  each text: secrets by key and by pattern -> "[redacted]"; values found by key are remembered      redact_scan.go
//	      the same where one member names the secret and another holds it, and through escapes               redact_named.go, redact_encoded.go
//	      bodies of notifications, paths of addresses: values that stand in a sentence or a segment          redact_notice.go
//	      each text again: remembered values, however encoded -> "[redacted]"
//	      chosen fields -> "hmac-<16 hexadecimal digits>", there and wherever else the value stands
//
// It runs before event.Finish, so related.* is made of what it left. Addresses (type ip) and what Gatebook itself sets are not
// touched. Values shorter than four bytes are replaced only where their key stands, those shorter than six elsewhere only as
// whole words.
type Redactor struct {
	keys     *keySet
	patterns []*regexp.Regexp
	hash     []event.FieldID
	hmacKey  []byte
	hashes   *cache[string]
}

// NewRedactor reads the config's redact block: keys, patterns, hash = { fields, key }. A nil body gives the built-in lists alone. Errors
// are noted in the body.
func NewRedactor(body *conf.Body) *Redactor {
	if body == nil {
		return &Redactor{keys: newKeySet(nil)}
	}
	defer body.Close()
	keys := body.Strings("keys")
	for _, k := range keys {
		if folded, _ := foldKey(k); folded == "" {
			body.Errorf("keys", "%q has no letters, or more than %d", k, longestWord)
		}
	}
	r := &Redactor{keys: newKeySet(keys)}
	for _, p := range body.Strings("patterns") {
		re, err := regexp.Compile(p)
		switch {
		case err != nil:
			body.Errorf("patterns", "%q is not a regular expression: %v", p, err)
		case re.MatchString(""):
			body.Errorf("patterns", "%q matches the empty text", p)
		default:
			r.patterns = append(r.patterns, re)
		}
	}
	if o := body.Object("hash"); o != nil {
		r.hashConfig(o)
	}
	return r
}

const shortestHashKey = 16

func (r *Redactor) hashConfig(o *conf.Object) {
	o.Require("fields", `["user.email"]`)
	for _, name := range o.Strings("fields") {
		id, ok := event.FieldByName(name)
		if !ok {
			message := "unknown field " + strconv.Quote(name)
			if near := conf.Suggest(name, event.FieldNames()); near != "" {
				message += "; did you mean " + strconv.Quote(near) + "?"
			}
			o.Errorf("fields", "%s", message)
			continue
		}
		if !hashable(id) {
			o.Errorf("fields", "%s cannot hold a hash: it is of type %s or has fixed values", name, id.Info().Type)
			continue
		}
		r.hash = append(r.hash, id)
	}
	key := o.RequiredString("key")
	if key != "" && len(key) < shortestHashKey {
		o.Errorf("key", "want at least %d bytes: shorter ones can be guessed", shortestHashKey)
	}
	r.hmacKey, r.hashes = []byte(key), newCache[string](8192)
}

func hashable(id event.FieldID) bool {
	f := id.Info()
	if f.Go == "" || f.Array || f.Type != event.Keyword && f.Type != event.Text {
		return false
	}
	switch id {
	case event.FieldEventId, event.FieldEventKind, event.FieldEventCategory, event.FieldEventType, event.FieldEventAction,
		event.FieldEventOutcome, event.FieldEventDataset:
		return false
	}
	return true
}

// Enrich implements Enricher.
func (r *Redactor) Enrich(ev *event.Event) {
	secret, notice := r.suspect(ev), !plainAuth(ev)
	if !secret && !notice && len(r.hash) == 0 {
		return
	}
	var w redaction
	w.r = r
	if notice {
		w.notices(ev)
	}
	if secret {
		w.direct = true
		w.all(ev)
		w.direct = false
	}
	for _, id := range r.hash {
		w.hashField(ev, id)
	}
	if w.prepare() {
		w.all(ev)
	}
}

// suspect tells whether the event may hold a secret. Every text of an event stands in its line, if maybe encoded there; the
// keys of labels may come from elsewhere (the header of a CSV file).
func (r *Redactor) suspect(ev *event.Event) bool {
	if ev.Original == "" || r.suspectText(ev.Original) {
		return true
	}
	for i := range ev.Labels {
		if r.suspectLabel(&ev.Labels[i]) {
			return true
		}
	}
	return false
}

func (r *Redactor) suspectLabel(l *event.Label) bool {
	if !r.keys.mayEnd(l.Key, false) {
		return false
	}
	_, ok := r.keys.match(l.Key)
	return ok
}

func (r *Redactor) suspectText(s string) bool {
	if !r.keys.quiet(s) {
		return true
	}
	for _, p := range r.patterns {
		if p.MatchString(s) {
			return true
		}
	}
	return false
}

// redaction is the work on one event.
type redaction struct {
	r      *Redactor
	direct bool // first round: find; second round: replace what was found
	values []replacement
}

type replacement struct {
	text, with string
	fold       bool // letter case does not matter
}

const (
	mostValues    = 64 // remembered of one event
	shortestValue = 4
	wholeWord     = 6 // shorter values are replaced as whole words only
)

// all goes through the texts of the event.
func (w *redaction) all(ev *event.Event) {
	eachText(ev, w.text)
	for i := range ev.Labels {
		l := &ev.Labels[i]
		if w.direct && w.r.suspectLabel(l) && l.Value != redacted {
			w.remember(l.Value)
			l.Value = redacted
			continue
		}
		w.text(&l.Key)
		w.text(&l.Value)
		l.Key = event.LabelKey(l.Key)
	}
	eachRaw(ev, w.raw)
}

func (w *redaction) text(s *string) {
	if *s == "" {
		return
	}
	if w.direct {
		*s = w.find(*s)
	} else {
		*s = w.replace(*s)
	}
}

// find replaces the secrets of a text that their key or their form gives away.
func (w *redaction) find(s string) string {
	out, at := []byte(nil), 0
	for {
		sp, ok := w.r.keys.find(s, at)
		if !ok {
			break
		}
		if sp.byKey {
			w.rememberSpan(s[sp.start:sp.end], sp.kind)
		} else if p := basicPassword(s[sp.start:sp.end]); p != "" {
			w.remember(p)
		}
		out = append(out, s[at:sp.start]...)
		out = appendRedacted(out, sp.quote)
		at = sp.end
	}
	if at > 0 {
		s = string(append(out, s[at:]...))
	}
	s = w.findEncoded(w.findNamed(s))
	out, at = nil, 0
	for {
		start, end, ok := findCard(s, at)
		if !ok {
			break
		}
		out = append(append(out, s[at:start]...), redacted...)
		at = end
	}
	if at > 0 {
		s = string(append(out, s[at:]...))
	}
	for _, p := range w.r.patterns {
		s = w.pattern(p, s)
	}
	return s
}

func appendRedacted(out []byte, quote bool) []byte {
	if quote {
		return append(out, `"`+redacted+`"`...)
	}
	return append(out, redacted...)
}

// pattern replaces the first group of a pattern of the config, or all of the match where it has none.
func (w *redaction) pattern(p *regexp.Regexp, s string) string {
	all := p.FindAllStringSubmatchIndex(s, -1)
	if all == nil {
		return s
	}
	out, at := []byte(nil), 0
	for _, m := range all {
		start, end := m[0], m[1]
		if len(m) > 2 && m[2] >= 0 {
			start, end = m[2], m[3]
		}
		if start < at || start == end || s[start:end] == redacted {
			continue
		}
		w.remember(s[start:end])
		out = append(append(out, s[at:start]...), redacted...)
		at = end
	}
	return string(append(out, s[at:]...))
}

// rememberSpan remembers the value of a key as it stands there and as it reads decoded.
func (w *redaction) rememberSpan(v string, kind keyKind) {
	switch kind {
	case keyHeader:
		scheme, token, ok := strings.Cut(v, " ")
		if !ok {
			w.remember(v)
			return
		}
		w.remember(strings.TrimSpace(token))
		if strings.EqualFold(scheme, "digest") {
			w.rememberResponse(token)
		}
		if strings.EqualFold(scheme, "basic") {
			w.remember(basicPassword(strings.TrimSpace(token)))
		}
	case keyCookie:
		for part := range strings.SplitSeq(v, ";") {
			if _, value, ok := strings.Cut(part, "="); ok {
				w.remember(value)
			}
		}
	default:
		w.remember(v)
	}
}

// rememberResponse remembers what of the parameters of Digest is a secret, should a parser part them at their commas.
func (w *redaction) rememberResponse(parameters string) {
	for part := range strings.SplitSeq(parameters, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if name == "response" || name == "cnonce" {
			w.remember(strings.Trim(value, `\"`))
		}
	}
}

func (w *redaction) remember(v string) {
	w.add(v, redacted, false)
	for range 3 { // a JSON text within a JSON text within a JSON text
		if strings.IndexByte(v, '\\') < 0 {
			break
		}
		var decoded string
		if json.Unmarshal([]byte(`"`+v+`"`), &decoded) != nil || decoded == v {
			break
		}
		v = decoded
		w.add(v, redacted, false)
	}
	if strings.ContainsAny(v, "%+") {
		if u, err := url.QueryUnescape(v); err == nil && u != v {
			w.add(u, redacted, false)
		}
		if u, err := url.PathUnescape(v); err == nil && u != v {
			w.add(u, redacted, false)
		}
	}
}

// Words that stand where a secret could and are no secret; replacing them elsewhere would blind the record.
func harmless(v string) bool {
	switch v {
	case "null", "none", "true", "false", "yes", "no", "required", "expired", "invalid", "incorrect", "missing", "failed", "failure",
		"success", "changed", "password", "publickey", "root", "unknown", redacted:
		return true
	}
	return strings.Contains(redacted, v) || strings.HasPrefix(v, "hmac-")
}

func (w *redaction) add(v, with string, fold bool) {
	v = strings.TrimSpace(v)
	if v == "" || with == redacted && (len(v) < shortestValue || harmless(v)) || len(w.values) >= mostValues {
		return
	}
	for _, x := range w.values {
		if x.text == v {
			return
		}
	}
	w.values = append(w.values, replacement{v, with, fold})
}

// hashField replaces the value of a field by its keyed hash and remembers to do so elsewhere. User names and e-mail addresses
// ignore case, so their hashes do.
func (w *redaction) hashField(ev *event.Event, id event.FieldID) {
	v := ev.Get(id)
	if v.Kind != event.Str || v.Str == redacted || strings.HasPrefix(v.Str, "hmac-") {
		return
	}
	fold, text := strings.HasPrefix(id.Info().Name, "user."), v.Str
	h, ok := w.r.hashes.get(text, "")
	if !ok {
		what := text
		if fold {
			what = strings.ToLower(what)
		}
		mac := hmac.New(sha256.New, w.r.hmacKey)
		mac.Write([]byte(what))
		h = "hmac-" + hex.EncodeToString(mac.Sum(nil)[:8])
		w.r.hashes.put(text, "", h)
	}
	if ev.Set(id, h) == nil {
		w.add(text, h, fold)
	}
}

// prepare adds what the remembered values look like encoded, the longest first, and tells whether there are any.
func (w *redaction) prepare() bool {
	for _, v := range w.values {
		if plainText(v.text) {
			continue
		}
		for _, e := range encodings(v.text) {
			if e != v.text {
				w.values = append(w.values, replacement{e, v.with, v.fold})
			}
		}
	}
	sort.SliceStable(w.values, func(i, j int) bool { return len(w.values[i].text) > len(w.values[j].text) })
	return len(w.values) > 0
}

// plainText tells that no encoding changes s.
func plainText(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !isTokenByte(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func encodings(v string) []string {
	q := url.QueryEscape(v)
	once := jsonInner(v, true)
	return []string{q, strings.ReplaceAll(q, "+", "%20"), lowerPercent(q), url.PathEscape(v), url.QueryEscape(q), once, jsonInner(v, false), jsonInner(once, true)}
}

// jsonInner is v as it stands in a JSON text, without the quotes.
func jsonInner(v string, html bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(v) != nil {
		return v
	}
	s := strings.TrimSuffix(b.String(), "\n")
	return s[1 : len(s)-1]
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// replace replaces the remembered values of a text.
func (w *redaction) replace(s string) string {
	for i := range w.values {
		s = w.values[i].in(s)
	}
	return s
}

func (v *replacement) in(s string) string {
	at := v.index(s, 0)
	if at < 0 {
		return s
	}
	out, from := []byte(nil), 0
	for ; at >= 0; at = v.index(s, from) {
		out = append(append(out, s[from:at]...), v.with...)
		from = at + len(v.text)
	}
	return string(append(out, s[from:]...))
}

// index finds the value at or after from, as a whole word where it is short.
func (v *replacement) index(s string, from int) int {
	for from+len(v.text) <= len(s) {
		var at int
		if v.fold {
			at = indexFold(s[from:], v.text)
		} else {
			at = strings.Index(s[from:], v.text)
		}
		if at < 0 {
			return -1
		}
		at += from
		end := at + len(v.text)
		if len(v.text) >= wholeWord || (at == 0 || !wordByte(s[at-1])) && (end == len(s) || !wordByte(s[end])) {
			return at
		}
		from = at + 1
	}
	return -1
}

func wordByte(c byte) bool { return isTokenByte(c) || c == '_' }

// indexFold is strings.Index where ASCII letter case does not matter.
func indexFold(s, sub string) int {
	first := lower(sub[0])
	for i := 0; i+len(sub) <= len(s); i++ {
		if lower(s[i]) == first && strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 32
	}
	return c
}
