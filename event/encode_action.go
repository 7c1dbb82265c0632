package event

// outcomeIndex is where an outcome stands in outcomes, -1 where it is none of ECS.
func outcomeIndex(o Outcome) int {
	switch o {
	case "", Unknown:
		return 0
	case Success:
		return 1
	case Failure:
		return 2
	}
	return -1
}

var outcomes = [...]Outcome{Unknown, Success, Failure}

// actionText is what appendAction writes of an action with an outcome, and where the values stand in it.
type actionText struct {
	text  string
	marks [5]textMark
	n     int
}

type textMark struct {
	id         FieldID
	start, end int
}

var actionTexts = func() (out [actionCount][len(outcomes)]actionText) {
	for a := range actions {
		for o := range outcomes {
			out[a][o] = newActionText(Action(a), outcomes[o])
		}
	}
	return out
}()

func newActionText(a Action, o Outcome) (t actionText) {
	var b []byte
	add := func(id FieldID, key, value string) {
		b = append(b, key...)
		t.marks[t.n] = textMark{id, len(b), len(b) + len(value)}
		t.n++
		b = append(b, value...)
	}
	add(FieldEventKind, `"kind":"`, string(KindEvent))
	b = append(b, `",`...)
	i := &actions[a]
	if i.Category != "" {
		add(FieldEventCategory, `"category":`, string(appendList(nil, []string{i.Category})))
		b = append(b, ',')
	}
	if len(i.Types) > 0 {
		add(FieldEventType, `"type":`, string(appendList(nil, i.Types)))
		b = append(b, ',')
	}
	if a != ActionNone {
		add(FieldEventAction, `"action":"`, i.Name)
		b = append(b, `",`...)
	}
	add(FieldEventOutcome, `"outcome":"`, string(o))
	t.text = string(append(b, `",`...))
	return t
}
