package enrich

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// Some secrets stand in a sentence ("837465 is your verification code", "Your temporary password is Xy7..."), or in a segment of a path
// of their own ("/password/reset/8f3c..."): no key stands before them. Sentences are told by a strict form in any text, and by a code
// near such a word in the bodies and subjects of messages, where that can hardly mean anything else.

// plainAuth tells that the event is one of those that make up most of a log, and have nothing of the kind: an auth line that its
// parser knew.
func plainAuth(ev *event.Event) bool {
	return ev.Dataset == event.DatasetPrefix+"linux.auth" && len(ev.Tags) == 0 && ev.Code != ""
}

// notices remembers these secrets, to be replaced everywhere.
func (w *redaction) notices(ev *event.Event) {
	w.segments(ev.Original)
	w.strict(ev.Original)
	if n := ev.Notification; n != nil {
		w.sentences(n.Body)
	}
	if m := ev.Email; m != nil {
		w.sentences(m.Subject)
	}
}

// strict remembers the value of "KEY is VALUE" and "VALUE is your ... KEY", where it has a digit.
func (w *redaction) strict(s string) {
	const is = " is "
	for at := 0; ; {
		n := strings.Index(s[at:], is)
		if n < 0 {
			return
		}
		n += at
		at = n + len(is)
		b, e := n, at
		for b > 0 && isTokenByte(s[b-1]) {
			b--
		}
		for e < len(s) && s[e] > ' ' && strings.IndexByte(`"',;<>\`, s[e]) < 0 {
			e++
		}
		before, value := s[b:n], strings.TrimRight(s[at:e], ".!?")
		if isCodeWord(before) && len(value) >= shortestValue && strings.ContainsAny(value, "0123456789") {
			w.remember(value)
		} else if len(before) >= shortestValue && strings.ContainsAny(before, "0123456789") && !dateLike(before) &&
			strings.HasPrefix(s[at:], "your ") && codeNear(s[:min(len(s), at+nearCode)], at, at) {
			w.remember(before)
		}
	}
}

func isCodeWord(word string) bool {
	for _, c := range codeWords {
		if strings.EqualFold(word, c) {
			return true
		}
	}
	return false
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

// secretPaths are the names in a path after which a segment may stand that lets in whoever has it.
var secretPaths = []string{"reset", "password-reset", "reset-password", "verify", "verification", "activate", "activation", "confirm", "magic",
	"magic-link", "invite", "invitation", "unlock"}

const shortestSegment = 16

// segments remembers the segment after such a name where it looks made by chance: long, with digits and letters.
func (w *redaction) segments(s string) {
	for at := 0; len(w.values) < mostValues; {
		n := strings.IndexByte(s[at:], '/')
		if n < 0 {
			return
		}
		at += n + 1
		if at == len(s) || strings.IndexByte("rpvacmiu", s[at]) < 0 {
			continue
		}
		for _, name := range secretPaths {
			if rest := s[at:]; len(rest) <= len(name) || rest[len(name)] != '/' || rest[:len(name)] != name {
				continue
			}
			at += len(name) + 1
			end, digits := at, 0
			for ; end < len(s) && (isTokenByte(s[end]) || strings.IndexByte("-_.~%=", s[end]) >= 0); end++ {
				if isDigit(s[end]) {
					digits++
				}
			}
			if segment := s[at:end]; len(segment) >= shortestSegment && digits > 0 && digits < len(segment) {
				w.remember(segment)
			}
			at = end
			break
		}
	}
}
