package parsers

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatebook/gatebook/event"
)

// What a column or key of the payment portal means.
const (
	colTime column = iota + 1
	colUser
	colEntry
	colStatus
	colIP
	colCompany
	colSession
	colUserAgent
	colLogout
	colDetails
	colEmail
	colEntryName
	colStatusName
	columnCount
)

// portalOrder is the order of the columns where there is no header.
var portalOrder = []string{"time", "user", "entry", "status", "ip", "company", "session", "user_agent", "logout_time", "details"}

// portalColumns finds a column by its name without letter case and separators (foldName).
var portalColumns = func() map[string]column {
	names := [columnCount]string{
		colTime:       "time timestamp datetime date logintime logindate logindatetime logontime lastlogin lastlogintime starttime start createdat",
		colUser:       "user username userid loginname loginid userlogin",
		colEntry:      "entry entrytype entrycode entrymethod entrynumber entryid",
		colStatus:     "status statustype statuscode statusnumber statusid",
		colIP:         "ip ipaddress ipaddr address clientip clientaddress sourceip sourceaddress remoteip remoteaddr remoteaddress",
		colCompany:    "company companyname companyid merchant merchantname merchantid organization organisation",
		colSession:    "session sessionid",
		colUserAgent:  "useragent browser agent",
		colLogout:     "logouttime logout logoutdate logoutdatetime logofftime lastlogout lastlogouttime endtime end",
		colDetails:    "details detail description comment comments securitydetails note notes",
		colEmail:      "email useremail emailaddress mail",
		colEntryName:  "entryname",
		colStatusName: "statusname",
	}
	m := map[string]column{}
	for c, list := range names {
		for _, name := range strings.Fields(list) {
			m[name] = column(c)
		}
	}
	return m
}()

func portalColumn(name string) column {
	var buf [24]byte
	return portalColumns[string(foldName(buf[:0], name))]
}

func newPortalHeader(names []string) *header { return newHeader(names, portalColumn) }

// isPortalHeader says that a line names columns: no cell begins as numbers, times and addresses do, and most are known names. One that
// names a column for the event, and none for the entry, is of another source.
func isPortalHeader(cells []string) bool {
	if len(cells) < 3 || startsWithDigit(cells) {
		return false
	}
	h := newPortalHeader(cells)
	if h.known < 3 || 2*h.known < len(cells) {
		return false
	}
	return h.has(colEntry) || h.has(colStatus) && !isActivityHeader(cells)
}

// portalRow is the text of each column of one row.
type portalRow struct {
	text  [columnCount]string
	known int
}

func (r *portalRow) set(c column, text string) {
	if r.text[c] == "" && text != "" {
		r.text[c] = text
		r.known++
	}
}

func (r *portalRow) value(c column) string {
	if absent(r.text[c]) {
		return ""
	}
	return r.text[c]
}

// complete says whether a row of named values is of this source at all.
func (r *portalRow) complete() error {
	named := r.text[colUser] != "" || r.text[colTime] != "" || r.text[colEmail] != ""
	coded := r.text[colEntry] != "" || r.text[colStatus] != "" || r.text[colEntryName] != "" || r.text[colStatusName] != ""
	if r.known < 3 || !named || !coded {
		return ErrNoMatch
	}
	return nil
}

// members reads the JSON object at s[i]; objects within it give names such as "entry code".
func (r *portalRow) members(ev *event.Event, s string, i int, prefix string, depth int) {
	for i = skipSpace(s, i+1); s[i] != '}'; i = afterComma(s, i) {
		end, escaped := stringEnd(s, i)
		key := s[i+1 : end-1]
		if escaped {
			key = unescape(s[i:end])
		}
		if prefix != "" {
			key = prefix + "_" + key
		}
		i = skipSpace(s, skipSpace(s, end)+1)
		var text string
		var next int
		switch s[i] {
		case '{', '[':
			next = valueEnd(s, i)
			if s[i] == '{' && depth < 4 && len(key) < 64 {
				r.members(ev, s, i, key, depth+1)
				i = next
				continue
			}
			text = s[i:next]
		default:
			next, text = scalar(s, i)
		}
		i = next
		if c := portalColumn(key); c != colOther {
			r.set(c, strings.TrimSpace(text))
		} else {
			labelCell(ev, event.LabelKey(key), text)
		}
	}
}

// pairs reads key=value; a value may hold spaces without being quoted.
func (r *portalRow) pairs(ev *event.Event, text string) {
	for s := (pairScanner{text: text, joined: true}); s.next(); {
		if s.bare {
			continue
		}
		if c := portalColumn(s.key); c != colOther {
			r.set(c, strings.TrimSpace(s.value))
		} else {
			labelCell(ev, event.LabelKey(s.key), s.value)
		}
	}
}

// portalCode is one line of a code table.
type portalCode struct {
	code
	coded   event.Long
	number  string // the code as text
	phrase  string // the name as it stands within a sentence
	ofLogin bool   // action holds only where the entry is a login
}

// portalTable finds codes by number and by name.
type portalTable struct {
	byNumber map[int64]*portalCode
	byName   map[string]*portalCode
}

// portalCodes returns the tables of the portal itself.
func portalCodes() (entries, status portalTable) {
	entries = portalTable{map[int64]*portalCode{}, map[string]*portalCode{}}
	status = portalTable{map[int64]*portalCode{}, map[string]*portalCode{}}
	for _, e := range event.PortalEntries {
		entries.add(&portalCode{code: code{name: e.Name, action: e.Action}, coded: event.LongOf(e.Code)}, "")
	}
	for _, s := range event.PortalStatuses {
		c := code{name: s.Name, action: s.Action, outcome: s.Outcome}
		if s.MFA {
			c.mfa = event.True
		}
		status.add(&portalCode{code: c, coded: event.LongOf(s.Code), ofLogin: s.OfLogin}, "")
	}
	return entries, status
}

func (t *portalTable) add(c *portalCode, alias string) {
	if c.coded.Valid {
		t.byNumber[c.coded.N] = c
		c.number = strconv.FormatInt(c.coded.N, 10)
	}
	c.phrase = inSentence(c.name)
	for _, name := range []string{alias, c.name} {
		if folded := foldedName(name); folded != "" {
			t.byName[folded] = c
		}
	}
}

// maxName is how long the name of a code may be, without separators.
const maxName = 64

func foldedName(s string) string {
	var buf [maxName]byte
	return string(foldName(buf[:0], s))
}

// inSentence writes a name as it stands in the middle of a sentence: "Mobile Login" is "mobile login", "HTTPS request" stays.
func inSentence(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		_, n := utf8.DecodeRuneInString(w)
		second, _ := utf8.DecodeRuneInString(w[n:])
		if !unicode.IsUpper(second) {
			words[i] = strings.ToLower(w[:n]) + w[n:]
		}
	}
	return strings.Join(words, " ")
}

// override adds the codes of the config; what an entry leaves out stays as it is.
func (t *portalTable) override(site codeTable) {
	for key, c := range site.byText {
		merged := portalCode{code: *c}
		alias := key
		if n, ok := wholeNumber(key); ok {
			merged.coded, alias = event.LongOf(n), ""
		}
		if old := t.find(key); old != nil {
			merged = *old
			merged.merge(c)
		}
		if merged.name == "" {
			merged.name = key
		}
		t.add(&merged, alias)
	}
}

func (p *portalCode) merge(c *code) {
	if c.name != "" {
		p.name = c.name
	}
	if c.action != event.ActionNone {
		p.action, p.ofLogin = c.action, false
	}
	if c.outcome != "" {
		p.outcome = c.outcome
	}
	if c.category != "" {
		p.category = c.category
	}
	if c.reason != "" {
		p.reason = c.reason
	}
	if c.mfa != event.Absent {
		p.mfa = c.mfa
	}
}

func (t *portalTable) find(text string) *portalCode {
	if n, ok := wholeNumber(text); ok {
		return t.byNumber[n]
	}
	var buf [maxName]byte
	return t.byName[string(foldName(buf[:0], text))]
}

func (t *portalTable) fits(text string) bool {
	if absent(text) || t.find(text) != nil {
		return true
	}
	_, numeric := wholeNumber(text)
	return numeric
}

// set gives the field its code and name, by number, by name, or as it came.
func (t *portalTable) set(ev *event.Event, to *event.Coded, text, name string) *portalCode {
	if text == "" {
		text = name
	}
	if text == "" {
		return nil
	}
	if c := t.find(text); c != nil {
		to.Code, to.Name = c.coded, c.name
		return c
	}
	ev.Tag(tagUnknownCode)
	if n, ok := wholeNumber(text); ok {
		to.Code, to.Name = event.LongOf(n), name
	} else {
		to.Name = text
	}
	return nil
}
