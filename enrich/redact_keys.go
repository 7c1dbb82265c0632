package enrich

import "strings"

// keySet tells whether a word is the name of a secret: "password", "DB_PASSWORD", "user[newPassword]", "X-Api-Key",
// "password_confirmation". The end of the word decides, so "password_changed_at" and "token_type" are none.
type keySet struct {
	byLast [256][]secretKey // by last byte
	ends   [1024]uint32     // by the last two bytes, five bits of each: which can stand before them at the end of such a word
	digits bool             // a key of the config is a number
}

type secretKey struct {
	text  string // lower case, letters and digits only
	whole bool   // stands at the start of a part of the word: "pin" is not the end of "spin"
	kind  keyKind
}

type keyKind uint8

const (
	keyPlain  keyKind = iota
	keyHeader         // Authorization: a scheme, then the secret
	keyCookie         // Cookie: up to the end of the line
	keyHolder         // credentials, tokens: an object under it may hold other things as well
)

// Keys that are part of longer words as well ("dbpassword") and keys that have to stand for themselves.
const (
	partKeys = "password passwd passphrase passcode secret apikey accesskey secretkey privatekey signingkey encryptionkey " +
		"accesstoken refreshtoken idtoken authtoken sessiontoken bearertoken clientsecret authcode " +
		"verificationcode recoverycode recoverycodes backupcode backupcodes onetimecode otpcode totpcode mfacode secretdata codeverifier"
	wholeKeys = "pwd pass token otp totp hotp pin cvv cvc passwort kennwort motdepasse contrasena senha jwt assertion " +
		"samlresponse sessionkey phpsessid jsessionid aspnetsessionid connectsid laravelsession xamzsecuritytoken xamzsignature xgoogsignature sastoken pgpassfile"
	holderKeys = "credential credentials tokens"
	headerKeys = "authorization proxyauthorization"
	cookieKeys = "cookie setcookie cookie2"
	// trailers may follow a key: password_confirmation, secret_hash, token_value.
	trailers = "confirmation confirm again repeat hash value plain plaintext old new current encrypted enc digest text added deleted removed"
)

var trailerList = strings.Fields(trailers)

func newKeySet(extra []string) *keySet {
	k := &keySet{}
	for _, w := range strings.Fields(partKeys) {
		k.add(secretKey{w, false, keyPlain}, false)
	}
	for _, w := range strings.Fields(wholeKeys) {
		k.add(secretKey{w, true, keyPlain}, false)
	}
	for _, w := range strings.Fields(holderKeys) {
		k.add(secretKey{w, w == "tokens", keyHolder}, false)
	}
	for _, w := range strings.Fields(headerKeys) {
		k.add(secretKey{w, true, keyHeader}, false)
	}
	for _, w := range strings.Fields(cookieKeys) {
		k.add(secretKey{w, true, keyCookie}, false)
	}
	for _, w := range extra {
		if folded, _ := foldKey(w); folded != "" {
			k.add(secretKey{folded, true, keyPlain}, true)
		}
	}
	for _, w := range trailerList {
		k.addEnd(w, false)
	}
	return k
}

const anyByte = 1<<32 - 1

func endOf(a, b byte) int { return int(a&31)<<5 | int(b&31) }

// addEnd notes how a word ends, digits aside. Between the letters of a word of the config a separator may stand.
func (k *keySet) addEnd(word string, separated bool) {
	word = strings.TrimRight(word, "0123456789")
	n := len(word)
	switch {
	case n == 0:
		k.digits = true
	case n == 1 || separated:
		for before := range byte(32) {
			k.ends[endOf(before, word[n-1])] = anyByte
		}
	case n == 2:
		k.ends[endOf(word[0], word[1])] = anyByte
	default:
		k.ends[endOf(word[n-2], word[n-1])] |= 1 << (word[n-3] & 31)
	}
}

// mayEnd tells in a few nanoseconds that no name of a secret ends where s does, digits and separators after it aside; most
// words fail here. bounded: the name does not go beyond the bytes that isWord knows, so that what stands before them is none
// of its letters.
func (k *keySet) mayEnd(s string, bounded bool) bool {
	n := len(s)
	for n > 0 && trails(s[n-1]) {
		n--
	}
	if n < len(s) && k.digits {
		return true
	}
	if n < 3 {
		return n > 0 && (n == 1 || k.ends[endOf(s[0], s[1])] != 0)
	}
	c, before := s[n-3], k.ends[endOf(s[n-2], s[n-1])]
	ok := false
	switch {
	case before == 0:
	case c|32 >= 'a' && c|32 <= 'z':
		ok = before>>(c&31)&1 != 0
	case bounded && !isWord(c) && c != '\\':
		ok = before == anyByte // a word of two letters, if both are letters
	default:
		ok = true // what is no letter may stand between the letters of a name
	}
	// Of a name that is encoded (%5D, %22, \u0064, \u006e) anything may be the end.
	return ok || c == '%' || s[n-1] == '%' || s[n-1] == 'u' && s[n-2] == '\\' || n > 5 && s[n-6] == '\\'
}

// trails tells whether a byte may follow the name of a secret and change nothing of it.
func trails(c byte) bool { return c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' }

func (k *keySet) add(s secretKey, separated bool) {
	c := s.text[len(s.text)-1]
	k.byLast[c] = append(k.byLast[c], s)
	k.addEnd(s.text, separated)
}

const longestWord = 64 // of a key; longer words are none

// foldedKey is a word in lower case without separators, and where its parts begin.
type foldedKey struct {
	buf    [longestWord]byte
	begins [longestWord + 1]bool
	n      int
}

// foldKey is for the words of the config.
func foldKey(word string) (string, bool) {
	var f foldedKey
	if !f.fold(word) {
		return "", false
	}
	return string(f.buf[:f.n]), true
}

func (f *foldedKey) fold(word string) bool {
	f.n = 0
	start, prevLower := true, false
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80:
			start = start || c < 0x80 && i > 0 && word[i-1] >= 0x80 // bytes that are no text may stand before a name
		case c >= 'A' && c <= 'Z':
			next := i+1 < len(word) && word[i+1] >= 'a' && word[i+1] <= 'z'
			start = start || prevLower || next
		default:
			start, prevLower = true, false
			continue
		}
		if f.n == longestWord {
			return false
		}
		prevLower = c < 'A' || c > 'Z'
		if !prevLower {
			c += 32
		}
		f.buf[f.n], f.begins[f.n] = c, start
		f.n++
		start = false
	}
	return f.n > 0
}

// match tells whether the word names a secret.
func (k *keySet) match(word string) (keyKind, bool) {
	if len(word) == 0 || len(word) > 2*longestWord {
		return 0, false
	}
	var f foldedKey
	if !f.fold(word) {
		return 0, false
	}
	if kind, ok := k.suffix(&f); ok {
		return kind, ok
	}
	n := f.n
	for f.n > 0 && f.buf[f.n-1] >= '0' && f.buf[f.n-1] <= '9' { // password2
		f.n--
	}
	if f.n != n && f.n > 0 {
		if kind, ok := k.suffix(&f); ok {
			return kind, ok
		}
	}
	for _, t := range trailerList {
		at := f.n - len(t)
		if at > 0 && f.begins[at] && string(f.buf[at:f.n]) == t {
			f.n = at
			return k.suffix(&f)
		}
	}
	return 0, false
}

func (k *keySet) suffix(f *foldedKey) (keyKind, bool) {
	for _, s := range k.byLast[f.buf[f.n-1]] {
		at := f.n - len(s.text)
		if at >= 0 && string(f.buf[at:f.n]) == s.text && (!s.whole || f.begins[at]) {
			return s.kind, true
		}
	}
	return 0, false
}
