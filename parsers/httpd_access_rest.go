package parsers

import (
	"strings"

	"github.com/gatebook/gatebook/event"
)

// extras reads what follows the size of the response.
type extras struct {
	log    *accessLog
	into   filling
	quoted int // plain quoted fields so far: referrer, user agent, others
	more   int // fields so far that have no name of their own
}

// rest reads what follows the size: time taken, referrer, user agent, and whatever a site adds.
func (a *accessLog) rest(ev *event.Event, s string) {
	x := extras{log: a, into: filling{ev: ev}}
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return
		}
		if s[0] == '"' {
			var value string
			value, s = quotedField(s)
			x.plain(value)
			continue
		}
		if x.quoted == 2 && x.more == 0 && a.extra == nil && ingress(s, &x.into) {
			return
		}
		var key, value string
		if key, value, s = extraField(s); key != "" {
			x.named(key, value)
		} else {
			x.bare(value)
		}
	}
}

// quotedField cuts a field in quotes; one that is not closed goes to the end.
func quotedField(s string) (value, rest string) {
	end := quoteEnd(s, 1)
	if end < 0 {
		return s[1:], ""
	}
	return s[1:end], s[end+1:]
}

// extraField cuts key=value, key="value", [value], or words joined by commas (172.17.0.6:8080, 172.17.0.7:8080).
func extraField(s string) (key, value, rest string) {
	i := 0
	for i < len(s) && i < 64 && (s[i] == '_' || s[i] == '-' || isDigit(s[i]) || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') {
		i++
	}
	if i > 0 && i < len(s) && (s[i] == '=' || s[i] == ':' && i+1 < len(s) && s[i+1] == '"') {
		key, s = s[:i], s[i+1:]
		if strings.HasPrefix(s, `"`) {
			value, rest = quotedField(s)
			return key, value, rest
		}
	}
	if key == "" && s[0] == '[' {
		if end := strings.IndexByte(s, ']'); end > 0 && (end+1 == len(s) || s[end+1] == ' ') {
			return "", s[1:end], s[end+1:]
		}
	}
	value, _, rest = addressGroupOf(s)
	return key, value, rest
}

// addressGroupOf is addressGroup for a text that may be empty.
func addressGroupOf(s string) (group string, single bool, rest string) {
	if s == "" || s[0] == ' ' {
		return "", true, s
	}
	return addressGroup(s)
}

func (x *extras) plain(value string) {
	x.quoted++
	ev := x.into.ev
	switch x.quoted {
	case 1:
		if !absent(value) {
			ev.NeedHTTP().Referrer = value
		}
	case 2:
		if !absent(value) {
			ev.UserAgent.Original = value
		}
	default:
		if x.quoted == 3 && x.more == 0 && x.log.extra == nil && isAddressList(value) {
			x.more++ // the third quoted field of nginx's own main format
			x.named("forwarded_for", value)
			return
		}
		x.bare(value)
	}
}

// bare is a field that has no name but by the config.
func (x *extras) bare(value string) {
	if _, number := wholeNumber(value); number && x.quoted == 0 && x.more == 0 {
		x.named("response_time", value) // %D or %T of Apache: the unit is not known
		return
	}
	n := x.more
	x.more++
	switch {
	case n < len(x.log.extra):
		x.named(x.log.extra[n], value)
	case n < len(extraKeys):
		x.named(extraKeys[n], value)
	default:
		x.into.ev.Tag(tagLabelsCut)
	}
}

func (x *extras) named(key, value string) {
	if absent(value) {
		return
	}
	if strings.EqualFold(key, "x-forwarded-for") || strings.EqualFold(key, "xff") {
		key = "forwarded_for"
	}
	ev := x.into.ev
	unit := int64(0)
	switch key {
	case "rt", "request_time":
		unit = 1e9
	case "request_time_ms":
		unit = 1e6
	case "request_time_us":
		unit = 1e3
	}
	if unit != 0 && !ev.Duration.Valid {
		if n, ok := units(value, unit); ok {
			ev.Duration = event.LongOf(n)
			return
		}
	}
	x.into.label(event.LabelKey(key), value)
}

// units reads "0.123" of a unit as nanoseconds, up to a day.
func units(s string, unit int64) (int64, bool) {
	whole, part, _ := strings.Cut(s, ".")
	n, ok := parseDigits(whole)
	if !ok || n > secondsADay*1e9/unit {
		return 0, false
	}
	n *= unit
	for i := 0; i < len(part); i++ {
		if !isDigit(part[i]) {
			return 0, false
		}
		unit /= 10
		n += int64(part[i]-'0') * unit
	}
	return n, true
}

// isAddressList wants "-", or addresses and commas.
func isAddressList(s string) bool {
	if absent(s) {
		return true
	}
	first, _, _ := strings.Cut(s, ",")
	return first != "" && len(first) < 60 && isClientAddress(first)
}

// ingress reads what the ingress controller of Kubernetes puts behind the user agent:
//
//	length time [upstream] [alternative] address[, address] bytes time status id
func ingress(s string, f *filling) bool {
	var values [9]string
	for i := range values {
		s = strings.TrimLeft(s, " ")
		if s == "" || (i == 2 || i == 3) != (s[0] == '[') && i != 4 {
			return false
		}
		var key string
		if key, values[i], s = extraField(s); key != "" {
			return false
		}
	}
	if strings.TrimLeft(s, " ") != "" {
		return false
	}
	taken, ok := units(values[1], 1e9)
	if _, number := wholeNumber(values[0]); !number || !ok {
		return false
	}
	f.ev.Duration = event.LongOf(taken)
	for i, key := range [...]string{"request_length", "", "upstream_name", "alternative_upstream_name", "upstream_addr",
		"upstream_response_length", "upstream_response_time", "upstream_status", "request_id"} {
		if key != "" && !absent(values[i]) {
			f.label(key, values[i])
		}
	}
	return true
}
