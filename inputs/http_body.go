package inputs

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// splitJSON returns the records of a body: an object; the objects and texts of a list; or an object a line. Nothing is copied but texts of a list with
// escapes. What is wrong with it is told with its place.
func splitJSON(text string, maxLine int) ([]string, *refusal) {
	text = strings.Trim(strings.TrimPrefix(text, "\ufeff"), " \t\r\n")
	bad := func(format string, args ...any) *refusal {
		return &refusal{status: http.StatusBadRequest, reason: fmt.Sprintf(format, args...)}
	}
	if text == "" {
		return nil, bad("the body is empty")
	}
	var lines []string
	switch err := event.CheckJSON(text); {
	case errors.Is(err, event.ErrTooDeep):
		return nil, bad("%v", err)
	case err == nil && text[0] == '[':
		var refused *refusal
		gjson.Parse(text).ForEach(func(_, v gjson.Result) bool {
			switch {
			case v.IsObject():
				lines = append(lines, v.Raw)
			case v.Type == gjson.String && v.Str != "":
				lines = append(lines, v.Str)
			default:
				refused = bad("element %d of the list is neither an object nor a text", len(lines)+1)
			}
			if len(lines) > maxItems {
				refused = tooMany()
			}
			return refused == nil
		})
		if refused != nil {
			return nil, refused
		}
	case err == nil && text[0] == '{':
		lines = append(lines, text)
	case err == nil:
		return nil, bad("the body is no object and no list")
	default:
		var refused *refusal
		if lines, refused = splitLines(text); refused != nil {
			return nil, refused
		}
	}
	for i, line := range lines {
		if len(line) > maxLine {
			return nil, &refusal{status: http.StatusRequestEntityTooLarge, reason: fmt.Sprintf("record %d is longer than max_line, %d bytes", i+1, maxLine)}
		}
	}
	return lines, nil
}

func tooMany() *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, reason: fmt.Sprintf("more than %d records; send them in parts", maxItems)}
}

// splitLines reads a text that is not one JSON value: an object a line, or a mistake.
func splitLines(text string) (lines []string, refused *refusal) {
	whole := text
	for number := 1; text != ""; number++ {
		line := strings.Trim(nextLine(&text), " \t\r")
		if line == "" {
			continue
		}
		if !isObject(line) {
			if number == 1 { // not a list of lines: the mistake is somewhere in the one value
				return nil, misplaced(whole, 1)
			}
			if event.CheckJSON(line) == nil {
				return nil, &refusal{status: http.StatusBadRequest, reason: fmt.Sprintf("line %d is not an object", number)}
			}
			return nil, misplaced(line, number)
		}
		if lines = append(lines, line); len(lines) > maxItems {
			return nil, tooMany()
		}
	}
	return lines, nil
}

// misplaced says where a text, which begins at that line of the body, ceases to be JSON.
func misplaced(text string, line int) *refusal {
	var v json.RawMessage
	var syntax *json.SyntaxError
	reason := fmt.Sprintf("line %d: not valid JSON", line)
	if err := json.Unmarshal([]byte(text), &v); errors.As(err, &syntax) {
		before := text[:max(min(int(syntax.Offset), len(text))-1, 0)]
		line += strings.Count(before, "\n")
		reason = fmt.Sprintf("line %d, column %d: %v", line, len(before)-strings.LastIndexByte(before, '\n'), err)
	}
	return &refusal{status: http.StatusBadRequest, reason: reason}
}
