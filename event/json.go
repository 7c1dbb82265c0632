package event

import (
	"errors"

	"github.com/tidwall/gjson"
)

// What CheckJSON finds wrong with a text.
var (
	ErrNotJSON = errors.New("not valid JSON")
	ErrTooDeep = errors.New("JSON nested too deep")
)

// CheckJSON says what is wrong with a text that should be JSON. gjson recurses, and a text of many megabytes of brackets would end
// the process by overflow of its stack, which nothing can recover: so the depth of long texts is counted first.
func CheckJSON(s string) error {
	const short, deepest = 64 << 10, 10_000
	if len(s) > short && deeper(s, deepest) {
		return ErrTooDeep
	}
	if !gjson.Valid(s) {
		return ErrNotJSON
	}
	return nil
}

// deeper reports whether brackets are nested deeper than most. It takes any text.
func deeper(s string, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
