package inputs

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gatebook/gatebook/event"
)

// bulkOp is what an action line asks for.
type bulkOp uint8

const (
	opCreate bulkOp = iota
	opIndex
	opUpdate
	opDelete
)

var bulkOps = [...]string{"create", "index", "update", "delete"}

// bulkItem is one item of a bulk request, and what becomes of it.
type bulkItem struct {
	op        bulkOp
	index, id string
	doc       string
	fate      fate
}

// fate is what becomes of an item.
type fate uint8

const (
	fateTaken fate = iota
	fateRepeat
	fateOperation
	fateID
	fateDocument
	fateLong
	fateAlert
	fates
)

// fateText is the answer to an item, in Elasticsearch's words; name is the reason in metrics.
var fateText = [fates]struct {
	status            int
	name, typ, reason string
}{
	fateTaken:     {http.StatusCreated, "", "", ""},
	fateRepeat:    {http.StatusConflict, "repeat", "version_conflict_engine_exception", "version conflict, document already exists (current version [1])"},
	fateOperation: {http.StatusBadRequest, "operation", "illegal_argument_exception", "only create and index are taken: what is in the log does not change"},
	fateID:        {http.StatusBadRequest, "id", "illegal_argument_exception", "the _id is empty or, with the name of its key before it, longer than 512 bytes"},
	fateDocument:  {http.StatusBadRequest, "document", "document_parsing_exception", "the document is not a JSON object, or is nested too deep"},
	fateLong:      {http.StatusRequestEntityTooLarge, "too-long", "content_too_long_exception", "the document is longer than max_line"},
	fateAlert: {http.StatusForbidden, "alert", "security_exception",
		"alerts are taken from another Gatebook only; if the sender is one, set gatebook = true in its key"},
}

const (
	maxAction = 8 << 10 // bytes of an action line
	maxItems  = 50_000  // items of one request
	maxID     = 512     // bytes of an _id, Elasticsearch's limit
	maxIndex  = 255     // bytes of an index' name
)

// readBulk splits the body of a bulk request. What is wrong with its form refuses all of it, as Elasticsearch does; what is wrong with
// one item is that item's fate.
func readBulk(text, index string) ([]bulkItem, *refusal) {
	bad := func(line int, format string, args ...any) *refusal {
		return &refusal{status: http.StatusBadRequest, typ: "illegal_argument_exception", reason: fmt.Sprintf("Malformed action/metadata line [%d], ", line) + fmt.Sprintf(format, args...)}
	}
	if strings.TrimSpace(text) == "" {
		return nil, &refusal{status: http.StatusBadRequest, typ: "parse_exception", reason: "request body is required"}
	}
	if text[len(text)-1] != '\n' {
		return nil, &refusal{status: http.StatusBadRequest, typ: "illegal_argument_exception", reason: `The bulk request must be terminated by a newline [\n]`}
	}
	var items []bulkItem
	for line := 1; text != ""; line++ {
		head := nextLine(&text)
		if head == "" {
			continue // between items
		}
		if len(items) == maxItems {
			return nil, &refusal{status: http.StatusRequestEntityTooLarge, typ: "content_too_long_exception", reason: fmt.Sprintf("more than %d items; send them in parts", maxItems)}
		}
		item := bulkItem{index: index}
		if len(head) > maxAction || event.CheckJSON(head) != nil {
			return nil, bad(line, "expected a JSON object of at most %d bytes", maxAction)
		}
		if problem := item.read(head); problem != "" {
			return nil, bad(line, "%s", problem)
		}
		if item.op != opDelete {
			if text == "" {
				return nil, bad(line, "the document is missing")
			}
			item.doc = nextLine(&text)
			line++
		}
		items = append(items, item)
	}
	return items, nil
}

// nextLine cuts the first line off, without its end.
func nextLine(text *string) string {
	line, rest, _ := strings.Cut(*text, "\n")
	*text = rest
	return strings.TrimSuffix(line, "\r")
}

// read reads an action line; problem says what is wrong with it.
func (i *bulkItem) read(head string) (problem string) {
	v := gjson.Parse(head)
	if !v.IsObject() {
		return "expected START_OBJECT"
	}
	count := 0
	v.ForEach(func(k, v gjson.Result) bool {
		count++
		op := -1
		for n, name := range bulkOps {
			if k.Str == name {
				op = n
			}
		}
		switch {
		case count > 1:
			problem = "expected one action"
		case op < 0:
			problem = "expected one of [create, delete, index, update]"
		case !v.IsObject():
			problem = "expected an object after the action"
		default:
			i.op = bulkOp(op)
			i.members(v)
		}
		return problem == ""
	})
	if count == 0 {
		return "expected one action"
	}
	return problem
}

func (i *bulkItem) members(v gjson.Result) {
	v.ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "_index":
			i.index = v.String()[:min(len(v.String()), maxIndex)]
		case "_id":
			if v.Type == gjson.Null {
				break
			}
			if i.id = v.String(); i.id == "" {
				i.fate = fateID
			}
		}
		return true
	})
}

// judge finds what is wrong with the item.
func (i *bulkItem) judge(k *senderKey, maxLine int) {
	switch {
	case i.op == opUpdate || i.op == opDelete:
		i.fate = fateOperation
	case i.fate == fateID || i.id != "" && len(k.name)+1+len(i.id) > maxID:
		i.fate = fateID
	case len(i.doc) > maxLine:
		i.fate = fateLong
	case !isObject(i.doc):
		i.fate = fateDocument
	case !k.source.Trusted && isAlert(i.doc):
		i.fate = fateAlert
	}
}

// isObject says whether a text is a JSON object that is safe to be read.
func isObject(s string) bool {
	t := strings.TrimLeft(s, " \t")
	return t != "" && t[0] == '{' && event.CheckJSON(s) == nil
}

// isAlert says whether a document claims to be an alert. It is a courtesy to the sender: what gets past it makes no alert
// either, since the parser takes no such field from it.
func isAlert(doc string) bool {
	if !strings.Contains(doc, "alert") {
		return false
	}
	for _, path := range [...]string{"event.kind", `event\.kind`} {
		for _, kind := range gjson.Get(doc, path).Array() {
			if kind.String() == "alert" {
				return true
			}
		}
	}
	return gjson.Get(doc, "gatebook.alert").Exists() || gjson.Get(doc, `gatebook\.alert`).Exists()
}
