package parsers

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// Bounds of gatebook.changes. What goes beyond them is counted in the entry "_more"; the whole stands in gatebook.old and
// gatebook.new. A value that is longer than maxChangeValue is cut and written as text.
const (
	maxChanges      = 128       // entries
	maxChangeBytes  = 32 << 10  // of all entries together, the last one aside
	maxChangeValue  = 2 << 10   // bytes of one value
	maxChangePath   = 200       // bytes of a path
	maxChangeDepth  = 8         // objects in a path; what lies deeper is compared as a whole
	maxFlatDepth    = 12        // objects and lists within a value; Elasticsearch takes 20 levels in a flattened field
	maxFlatPath     = 1000      // bytes of the keys within a value; a key and its value make one term there
	maxCompareDepth = 64        // levels within which values are the same in another notation, else only as text
	moreChanges     = `"_more"` // entry that counts what was left out
)

// changesOf returns gatebook.changes computed from two JSON objects, checked texts; "" and null are absent. Each field that
// changed is one entry {"path.of.field":{"old":..,"new":..}}: objects by dotted path, lists as a whole; what was added has only
// "new", what was removed only "old". "" where nothing changed.
func changesOf(old, new string) event.Raw {
	var c changeList
	var space [8]change
	var paths [192]byte
	c.entries, c.paths = space[:0], paths[:0]
	c.both(presentJSON(old), presentJSON(new), 0)
	return c.raw()
}

// changesFromDiff returns gatebook.changes read from a diff, a checked JSON text: {"f__added":v}, {"f__deleted":v},
// {"f":{"_old":..,"_new":..}} (also __old, __new), objects of such, and lists as json-diff writes them: [["+",v],["-",v],["~",{..}],
// [" "]], of which the removed elements become "old" and the added ones "new". Any other value is the new one.
func changesFromDiff(diff string) event.Raw {
	var c changeList
	var space [8]change
	var paths [192]byte
	c.entries, c.paths = space[:0], paths[:0]
	if diff = presentJSON(diff); diff != "" {
		c.diff(diff, 0)
	}
	return c.raw()
}

// presentJSON trims a JSON text; null is as good as nothing.
func presentJSON(s string) string {
	s = strings.Trim(s, " \t\r\n")
	if s == "null" {
		return ""
	}
	return s
}

// change is one entry: its path within changeList.paths, and its values as JSON text, "" where there is none.
type change struct {
	start, end int
	old, new   string
}

// changeList gathers entries. path[:n] is where it is now.
type changeList struct {
	entries []change
	paths   []byte
	more    int
	adds    int // calls of add
	path    [maxChangePath]byte
	n       int
}

// push goes down to a key and returns what n has to become again. A path that gets too long is cut: its fields become one.
func (c *changeList) push(key string) (back int) {
	back = c.n
	if key == "" {
		key = "_"
	}
	if c.n > 0 && c.n < len(c.path) {
		c.path[c.n] = '.'
		c.n++
	}
	if strings.IndexByte(key, 0) >= 0 || !utf8.ValidString(key) {
		key = strings.ReplaceAll(strings.ToValidUTF8(key, "\ufffd"), "\x00", "_") // Elasticsearch refuses NUL there
	}
	room := len(c.path) - c.n
	if room < len(key) {
		for room > 0 && !utf8.RuneStart(key[room]) {
			room--
		}
		key = key[:room]
	}
	c.n += copy(c.path[c.n:], key)
	return back
}

// add notes the values at the path. A second one fills in what the first left open: deleted and added are one change.
func (c *changeList) add(old, new string) {
	c.adds++
	path := c.path[:c.n]
	if c.n == 0 {
		path = []byte("value")
	}
	for i := range c.entries {
		e := &c.entries[i]
		if string(c.paths[e.start:e.end]) != string(path) {
			continue
		}
		if e.old == "" {
			e.old = old
		}
		if e.new == "" {
			e.new = new
		}
		return
	}
	if len(c.entries) == maxChanges {
		c.more++
		return
	}
	start := len(c.paths)
	c.paths = append(c.paths, path...)
	c.entries = append(c.entries, change{start, len(c.paths), old, new})
}

// both compares two values, one of which may be absent, at the path.
func (c *changeList) both(old, new string, depth int) {
	before := c.adds
	objects := (old == "" || old[0] == '{') && (new == "" || new[0] == '{')
	if objects && depth < maxChangeDepth {
		c.compare(old, new, depth)
		if old != "" && new != "" || old == new || c.adds > before || depth == 0 {
			return
		}
	}
	if old == "" || new == "" || !sameJSON(old, new, 0) {
		c.add(old, new)
	}
}

// compare finds the members that differ.
func (c *changeList) compare(old, new string, depth int) {
	var oldSpace, newSpace [24]jsonMember
	was, is := membersOf(oldSpace[:0], old), membersOf(newSpace[:0], new)
	f := finder{list: is}
	for _, m := range was {
		value := ""
		if j := f.find(m.key); j >= 0 {
			is[j].seen = true
			if value = is[j].value; value == m.value {
				continue
			}
		}
		back := c.push(m.key)
		c.both(m.value, value, depth+1)
		c.n = back
	}
	for i := range is {
		if !is[i].seen {
			back := c.push(is[i].key)
			c.both("", is[i].value, depth+1)
			c.n = back
		}
	}
}

// diff reads the notation of a diff.
func (c *changeList) diff(s string, depth int) {
	switch {
	case s[0] == '{' && depth <= maxChangeDepth:
		var space [16]jsonMember
		list := membersOf(space[:0], s)
		if old, new, ok := oldAndNew(list); ok {
			c.both(old, new, depth)
			return
		}
		for _, m := range list {
			if key, ok := strings.CutSuffix(m.key, "__added"); ok {
				back := c.push(key)
				c.add("", m.value)
				c.n = back
			} else if key, ok := strings.CutSuffix(m.key, "__deleted"); ok {
				back := c.push(key)
				c.add(m.value, "")
				c.n = back
			} else {
				back := c.push(m.key)
				c.diff(m.value, depth+1)
				c.n = back
			}
		}
	case s[0] == '[' && depth <= maxChangeDepth && c.listDiff(s, depth):
	default:
		c.add("", s)
	}
}

// oldAndNew reads {"_old":..,"_new":..}, one of which may be missing.
func oldAndNew(list []jsonMember) (old, new string, ok bool) {
	if len(list) == 0 || len(list) > 2 {
		return "", "", false
	}
	for _, m := range list {
		switch m.key {
		case "_old", "__old":
			old = m.value
		case "_new", "__new":
			new = m.value
		default:
			return "", "", false
		}
	}
	return old, new, true
}

// listDiff reads a list of changes; it reports whether the list is one.
func (c *changeList) listDiff(s string, depth int) bool {
	if !isListDiff(s) {
		return false
	}
	var old, new []byte
	index := 0 // in the old list
	for i := skipSpace(s, 1); s[i] != ']'; {
		end := valueEnd(s, i)
		mark, value := listChange(s[i:end])
		switch mark {
		case '-':
			old = appendElement(old, value)
		case '+':
			new = appendElement(new, value)
		case '~':
			back := c.push(strconv.Itoa(index))
			if value != "" {
				c.diff(value, depth+1)
			}
			c.n = back
		}
		if mark != '+' {
			index++
		}
		i = afterComma(s, end)
	}
	if len(old)+len(new) > 0 {
		c.add(closeList(old), closeList(new))
	}
	return true
}

func isListDiff(s string) bool {
	n := 0
	for i := skipSpace(s, 1); s[i] != ']'; n++ {
		end := valueEnd(s, i)
		if mark, _ := listChange(s[i:end]); mark == 0 {
			return false
		}
		i = afterComma(s, end)
	}
	return n > 0
}

// listChange reads ["+", value]; the mark is 0 where the element is something else.
func listChange(s string) (mark byte, value string) {
	if s[0] != '[' {
		return 0, ""
	}
	i := skipSpace(s, 1)
	if len(s)-i < 4 || s[i] != '"' || s[i+2] != '"' || strings.IndexByte("+-~ ", s[i+1]) < 0 {
		return 0, ""
	}
	mark = s[i+1]
	i = afterComma(s, i+3)
	if s[i] == ']' {
		return mark, ""
	}
	end := valueEnd(s, i)
	if s[skipSpace(s, end)] != ']' {
		return 0, ""
	}
	return mark, s[i:end]
}

func appendElement(list []byte, value string) []byte {
	if value == "" {
		return list
	}
	if len(list) == 0 {
		list = append(list, '[')
	} else {
		list = append(list, ',')
	}
	return append(list, value...)
}

func closeList(list []byte) string {
	if len(list) == 0 {
		return ""
	}
	return string(append(list, ']'))
}

// raw writes the entries.
func (c *changeList) raw() event.Raw {
	if len(c.entries) == 0 {
		return ""
	}
	var space [1024]byte
	b := append(space[:0], '{')
	for i := range c.entries {
		if len(b) > maxChangeBytes {
			c.more += len(c.entries) - i
			break
		}
		e := &c.entries[i]
		b = event.AppendQuoted(b, string(c.paths[e.start:e.end]))
		b = append(b, ":{"...)
		if e.old != "" {
			b = appendFlat(append(b, `"old":`...), e.old)
		}
		if e.new != "" {
			if e.old != "" {
				b = append(b, ',')
			}
			b = appendFlat(append(b, `"new":`...), e.new)
		}
		b = append(b, "},"...)
	}
	if c.more > 0 {
		b = append(b, moreChanges+`:{"new":`...)
		b = append(strconv.AppendInt(b, int64(c.more), 10), "},"...)
	}
	b[len(b)-1] = '}'
	return event.Raw(b)
}

// appendFlat appends a JSON value in a form that a flattened field takes.
func appendFlat(dst []byte, s string) []byte {
	nested := s[0] == '{' || s[0] == '['
	if len(s) > maxChangeValue || nested && !flatJSON(s, maxFlatDepth, maxFlatPath) {
		text := s
		if s[0] == '"' {
			text = unescape(s)
		}
		if len(text) > maxChangeValue {
			text = strings.ToValidUTF8(text[:maxChangeValue], "") + "..."
		}
		return event.AppendQuoted(dst, text)
	}
	return appendClean(dst, s)
}

// flatJSON says that a list or object is nested no deeper than levels, its keys together no longer than room, and that none is
// empty, holds NUL or comes twice in one object.
func flatJSON(s string, levels, room int) bool {
	if s[0] != '{' && s[0] != '[' {
		return true
	}
	if levels == 0 {
		return false
	}
	if s[0] == '[' {
		for i := skipSpace(s, 1); s[i] != ']'; {
			end := valueEnd(s, i)
			if !flatJSON(s[i:end], levels-1, room) {
				return false
			}
			i = afterComma(s, end)
		}
		return true
	}
	var space [24]jsonMember
	list := membersOf(space[:0], s)
	if !distinct(list) {
		return false
	}
	for _, m := range list {
		if m.key == "" || len(m.key) > room || strings.IndexByte(m.key, 0) >= 0 || !flatJSON(m.value, levels-1, room-len(m.key)-1) {
			return false
		}
	}
	return true
}

// maxStoredDepth is how deep a stored object may be nested; Elasticsearch refuses documents deeper than 1000.
const maxStoredDepth = 100

// storedObject returns a checked JSON text in a form that Elasticsearch stores: an object on one line, in UTF-8, no key of
// which comes twice, not nested too deep. What is no object, or not such a one, becomes {"value": ..}; "" and null nothing.
func storedObject(s string) event.Raw {
	if s = presentJSON(s); s == "" {
		return ""
	}
	storable := storableJSON(s, maxStoredDepth)
	switch {
	case storable && s[0] == '{':
		return cleanRaw(s)
	case storable:
		return event.Raw(append(appendClean([]byte(`{"value":`), s), '}'))
	default:
		return event.Raw(append(event.AppendQuoted([]byte(`{"value":`), s), '}'))
	}
}

// setObject sets a field that holds an object to a text from a line: false where that is none. Elasticsearch takes nothing but objects
// there, flat ones where it indexes them.
func setObject(ev *event.Event, id event.FieldID, text string) bool {
	if text == "" || text[0] != '{' || event.CheckJSON(text) != nil {
		return false
	}
	if id.Info().Type == event.Place {
		return ev.Set(id, text) == nil
	}
	var raw event.Raw
	switch {
	case id.Info().Type != event.Flattened:
		raw = storedObject(text)
	case flatJSON(text, maxFlatDepth, maxFlatPath):
		raw = cleanRaw(text)
	default:
		raw = event.Raw(append(appendFlat([]byte(`{"value":`), text), '}'))
	}
	return ev.SetRaw(id, raw) == nil
}

// storableJSON says that no object has a key twice and nothing is nested deeper than levels. Each text is scanned once a level.
func storableJSON(s string, levels int) bool {
	switch {
	case s[0] != '{' && s[0] != '[':
		return true
	case levels == 0:
		return false
	case s[0] == '[':
		for i := skipSpace(s, 1); s[i] != ']'; {
			end := valueEnd(s, i)
			if !storableJSON(s[i:end], levels-1) {
				return false
			}
			i = afterComma(s, end)
		}
		return true
	}
	var space [24]jsonMember
	list := membersOf(space[:0], s)
	if !distinct(list) {
		return false
	}
	for _, m := range list {
		if !storableJSON(m.value, levels-1) {
			return false
		}
	}
	return true
}

// cleanJSON says that a JSON text is on one line and in UTF-8.
func cleanJSON(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x80 {
			return !strings.ContainsAny(s, "\n\r\t") && utf8.ValidString(s)
		}
	}
	return true
}

// cleanRaw is a JSON text on one line and in UTF-8: the text itself where it is so already.
func cleanRaw(s string) event.Raw {
	if cleanJSON(s) {
		return event.Raw(s)
	}
	return event.Raw(appendClean(nil, s))
}

// appendClean appends a JSON text on one line and in UTF-8. Within strings a checked text has no control characters.
func appendClean(dst []byte, s string) []byte {
	if cleanJSON(s) {
		return append(dst, s...)
	}
	for _, r := range s { // a byte that is not UTF-8 comes as U+FFFD
		if r >= ' ' {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// sameJSON says that two checked values are the same, whatever the order of members and the notation of strings and numbers.
func sameJSON(a, b string, depth int) bool {
	switch {
	case a == b:
		return true
	case depth == maxCompareDepth || kindOf(a) != kindOf(b):
		return false
	}
	switch a[0] {
	case '"':
		return (strings.IndexByte(a, '\\') >= 0 || strings.IndexByte(b, '\\') >= 0) && unescape(a) == unescape(b)
	case '{':
		return sameObjects(a, b, depth)
	case '[':
		return sameLists(a, b, depth)
	case 't', 'f', 'n':
		return false
	}
	if !strings.ContainsAny(a, ".eE") && !strings.ContainsAny(b, ".eE") {
		return false // whole numbers are exact as text
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

// kindOf is the first byte of a value, the same one for all numbers.
func kindOf(s string) byte {
	if c := s[0]; c == '-' || isDigit(c) {
		return '0'
	}
	return s[0]
}

func sameObjects(a, b string, depth int) bool {
	var aSpace, bSpace [16]jsonMember
	x, y := membersOf(aSpace[:0], a), membersOf(bSpace[:0], b)
	if len(x) != len(y) {
		return false
	}
	f := finder{list: y}
	for _, m := range x {
		j := f.find(m.key)
		if j < 0 || !sameJSON(m.value, y[j].value, depth+1) {
			return false
		}
	}
	return true
}

func sameLists(a, b string, depth int) bool {
	i, j := skipSpace(a, 1), skipSpace(b, 1)
	for a[i] != ']' && b[j] != ']' {
		iEnd, jEnd := valueEnd(a, i), valueEnd(b, j)
		if !sameJSON(a[i:iEnd], b[j:jEnd], depth+1) {
			return false
		}
		i, j = afterComma(a, iEnd), afterComma(b, jEnd)
	}
	return a[i] == ']' && b[j] == ']'
}
