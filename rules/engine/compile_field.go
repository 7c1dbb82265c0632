package engine

import (
	"strings"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// fieldTerm reads a field of the event itself: texts that fold in lower case, addresses in their shortest form, times as seconds since 1970. Of
// labels with one key it is the first; several values of another field are one text, joined by ", ".
func fieldTerm(f query.Field) term {
	if f.Key != "" {
		return textTerm(f, func(ev *event.Event) string {
			for i := range ev.Labels {
				if ev.Labels[i].Key == f.Key {
					return ev.Labels[i].Value
				}
			}
			return ""
		})
	}
	if get := query.TextOf(f.ID); get != nil {
		return textTerm(f, get)
	}
	id := f.ID
	return func(s *scene) value {
		switch v := s.ev.Get(id); v.Kind {
		case event.Str, event.JSON:
			return s.textValue(f, v.Str)
		case event.List:
			if len(v.List) == 1 {
				return s.textValue(f, v.List[0])
			}
			return s.textValue(f, strings.Join(v.List, ", "))
		case event.Int:
			return value{kind: number, number: float64(v.Int)}
		case event.Num:
			return value{kind: number, number: v.Num}
		case event.Date:
			return value{kind: number, number: float64(v.Int) / 1e9}
		case event.Truth:
			return truth(v.Int != 0)
		}
		return value{}
	}
}

func textTerm(f query.Field, get func(*event.Event) string) term {
	if event.Fields[f.ID].Type == event.IP || f.Fold {
		return func(s *scene) value { return s.textValue(f, get(s.ev)) }
	}
	return func(s *scene) value {
		if t := get(s.ev); t != "" {
			return value{kind: text, text: t}
		}
		return value{}
	}
}

func (s *scene) textValue(f query.Field, t string) value {
	switch {
	case t == "":
		return value{}
	case event.Fields[f.ID].Type == event.IP:
		t = s.address(t)
	case f.Fold:
		t = s.lower(t)
	}
	return value{kind: text, text: t}
}

// everyValue calls test for each value of a field with several, until it holds.
func everyValue(f query.Field) func(s *scene, test func(string) bool) bool {
	if f.Key != "" {
		return func(s *scene, test func(string) bool) bool {
			for i := range s.ev.Labels {
				if l := &s.ev.Labels[i]; l.Key == f.Key && l.Value != "" && test(s.textValue(f, l.Value).text) {
					return true
				}
			}
			return false
		}
	}
	return func(s *scene, test func(string) bool) bool {
		for _, t := range s.ev.Get(f.ID).List {
			if t != "" && test(s.textValue(f, t).text) {
				return true
			}
		}
		return false
	}
}
