package enrich

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// Bodies of notifications give secrets in sentences ("837465 is your verification code", "Your temporary password is Xy7..."), and
// paths of addresses in a segment of their own ("/password/reset/8f3c..."). No key stands before them, so they are looked for only
// where such texts are: gatebook.notification.body, email.subject and the url.* fields.

// notices remembers the secrets of these fields, to be replaced everywhere.
func (w *redaction) notices(ev *event.Event) {
	if n := ev.Notification; n != nil {
		w.sentences(n.Body)
		w.segments(n.Body)
	}
	if m := ev.Email; m != nil {
		w.sentences(m.Subject)
	}
	if u := ev.URL; u != nil {
		for _, s := range [...]string{u.Path, u.Original, u.Full} {
			w.segments(s)
		}
	}
	if h := ev.HTTP; h != nil {
		w.segments(h.Referrer)
	}
}

// codeWords are the words near which a code is one.
var codeWords = []string{"code", "otp", "pin", "passcode", "password", "totp"}

const nearCode = 40 // bytes between the word and the code

// sentences remembers codes: words of 4 to 16 letters and digits, with at least one digit and none of a date or address, near a word
// that says what they are.
func (w *redaction) sentences(s string) {
	for i := 0; i < len(s) && len(w.values) < mostValues; {
		if !isTokenByte(s[i]) {
			i++
			continue
		}
		end, digits := i, 0
		for ; end < len(s) && (isTokenByte(s[end]) || s[end] == '-' && end+1 < len(s) && isTokenByte(s[end+1])); end++ {
			if isDigit(s[end]) {
				digits++
			}
		}
		word := s[i:end]
		mixed := digits >= 4 || digits > 0 && strings.ToLower(word) != word // 837465, Xy7canary; not "v2", "30"
		joined := end < len(s) && (s[end] == ':' || s[end] == '/' || s[end] == '@' || s[end] == '.') && end+1 < len(s) && isTokenByte(s[end+1]) ||
			i > 0 && strings.IndexByte(":/@.?=&", s[i-1]) >= 0
		if len(word) >= shortestValue && len(word) <= 24 && mixed && !joined && !dateLike(word) && codeNear(s, i, end) {
			w.remember(word)
		}
		i = end
	}
}

// dateLike tells years and dates from codes: 2026, 2026-11-22.
func dateLike(word string) bool {
	year := len(word) >= 4 && (word[:2] == "19" || word[:2] == "20") && isDigit(word[2]) && isDigit(word[3])
	return year && (len(word) == 4 || word[4] == '-')
}

func codeNear(s string, start, end int) bool {
	around := strings.ToLower(s[max(0, start-nearCode):min(len(s), end+nearCode)])
	for _, word := range codeWords {
		for at := 0; ; {
			n := strings.Index(around[at:], word)
			if n < 0 {
				break
			}
			n += at
			at = n + len(word)
			if (n == 0 || !isTokenByte(around[n-1])) && (at == len(around) || !isTokenByte(around[at])) {
				return true
			}
		}
	}
	return false
}

// secretPaths are what stands in a path before a segment that lets in whoever has it.
var secretPaths = []string{"/reset/", "/password-reset/", "/reset-password/", "/verify/", "/verification/", "/activate/", "/activation/", "/confirm/",
	"/magic/", "/magic-link/", "/invite/", "/invitation/", "/unlock/"}

const shortestSegment = 16

// segments remembers the segment after such a path where it looks made by chance: long, with digits and letters.
func (w *redaction) segments(s string) {
	if len(s) < shortestSegment {
		return
	}
	for _, p := range secretPaths {
		for at := 0; ; {
			n := strings.Index(s[at:], p)
			if n < 0 {
				break
			}
			at += n + len(p)
			end, digits := at, 0
			for ; end < len(s) && (isTokenByte(s[end]) || strings.IndexByte("-_.~%=", s[end]) >= 0); end++ {
				if isDigit(s[end]) {
					digits++
				}
			}
			if segment := s[at:end]; len(segment) >= shortestSegment && digits > 0 && digits < len(segment) {
				w.remember(segment)
			}
		}
	}
}

// mayNotice tells whether notices has to look.
func mayNotice(ev *event.Event) bool {
	if n := ev.Notification; n != nil && n.Body != "" || ev.Email != nil {
		return true
	}
	return ev.URL != nil || ev.HTTP != nil && ev.HTTP.Referrer != ""
}
