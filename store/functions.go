package store

import (
	"database/sql/driver"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/tidwall/gjson"
	"modernc.org/sqlite"

	"github.com/gatebook/gatebook/query"
)

// registerFunctions gives SQLite what query.SQL calls. NULL and what cannot be converted gives NULL.
//
//	gb_doc(blob)              the JSON text of a stored document
//	gb_get(blob, path)        one value of it, found without parsing the rest; booleans are 0 and 1
//	gb_lower(text)            lower case of all of Unicode (SQLite's knows ASCII)
//	gb_time(text)             nanoseconds since 1970 of an RFC 3339 time
//	gb_ip(text)               4 or 16 bytes of an address
//	gb_matches(pattern, text) RE2, not anchored
var registerFunctions = sync.OnceValue(func() error {
	for name, f := range map[string]func(string) driver.Value{
		"gb_lower": func(s string) driver.Value { return strings.ToLower(s) },
		"gb_time": func(s string) driver.Value {
			t, err := time.Parse(time.RFC3339Nano, s)
			if err != nil {
				return nil
			}
			return t.UnixNano()
		},
		"gb_ip": func(s string) driver.Value {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil
			}
			return query.AddressBytes(a)
		},
	} {
		err := sqlite.RegisterDeterministicScalarFunction(name, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			s, ok := args[0].(string)
			if !ok {
				return nil, nil
			}
			return f(s), nil
		})
		if err != nil {
			return fmt.Errorf("register function %s: %w", name, err)
		}
	}
	err := sqlite.RegisterDeterministicScalarFunction("gb_doc", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		stored, ok := args[0].([]byte)
		if !ok {
			return nil, nil
		}
		doc, err := decodeDocument(nil, stored)
		if err != nil {
			return nil, err
		}
		return unsafe.String(unsafe.SliceData(doc), len(doc)), nil // nobody else has doc
	})
	if err != nil {
		return fmt.Errorf("register function gb_doc: %w", err)
	}
	if err := sqlite.RegisterDeterministicScalarFunction("gb_get", 2, getFunction); err != nil {
		return fmt.Errorf("register function gb_get: %w", err)
	}
	var last patternCache
	err = sqlite.RegisterDeterministicScalarFunction("gb_matches", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		pattern, _ := args[0].(string)
		text, ok := args[1].(string)
		if !ok {
			return nil, nil
		}
		re, err := last.compile(pattern)
		if err != nil {
			return nil, err
		}
		return re.MatchString(text), nil
	})
	if err != nil {
		return fmt.Errorf("register function gb_matches: %w", err)
	}
	return nil
})

var documentBuffers = sync.Pool{New: func() any { return new([]byte) }}

func getFunction(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	stored, ok := args[0].([]byte)
	path, isText := args[1].(string)
	if !ok || !isText {
		return nil, nil
	}
	buf := documentBuffers.Get().(*[]byte)
	defer documentBuffers.Put(buf)
	doc, err := decodeDocument(*buf, stored)
	if err != nil {
		return nil, err
	}
	*buf = doc
	switch v := gjson.GetBytes(doc, path); v.Type {
	case gjson.String:
		return strings.Clone(v.Str), nil
	case gjson.Number:
		if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
			return n, nil
		}
		return v.Num, nil
	case gjson.True:
		return int64(1), nil
	case gjson.False:
		return int64(0), nil
	case gjson.JSON:
		return strings.Clone(v.Raw), nil
	}
	return nil, nil
}

// patternCache keeps the pattern used last, which is that of the question being answered.
type patternCache struct {
	mu      sync.Mutex
	pattern string
	re      *regexp.Regexp
}

func (c *patternCache) compile(pattern string) (*regexp.Regexp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.re != nil && c.pattern == pattern {
		return c.re, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	c.pattern, c.re = strings.Clone(pattern), re
	return re, nil
}
