package parsers

// looksLikeAuthService wants the keys that make up a row of one of the streams. It takes any text. Rows that say less are read by the
// parser all the same, where an input names it.
func looksLikeAuthService(text string) bool {
	if !looksLikeJSON(text) {
		return false
	}
	var keys, inner svcSet
	var last svcKey // key at the top that a value is of
	depth := 0
	for i, n := 0, 0; i < len(text) && n < maxSniffed; i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			start := i + 1
			if i = textEnd(text, start); i == len(text) {
				return false
			}
			if depth > 2 || depth == 2 && last != svcData {
				continue
			}
			if next := skipSpace(text, i+1); next == len(text) || text[next] != ':' {
				continue
			}
			n++
			k := svcNames.find(text[start:i])
			to := &inner
			if depth == 1 {
				to, last = &keys, k
			}
			if to.add(k); k != 0 && to.surely() {
				return to == &keys || keys.any(svcStream, svcType)
			}
		}
	}
	return inner.surely() && keys.any(svcStream, svcType)
}

// maxSniffed is how many keys are looked at.
const maxSniffed = 64

// textEnd returns the index of the quote that ends a string, len(text) where there is none.
func textEnd(text string, i int) int {
	for ; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i, len(text))
}

// surely says that the keys are those of a stream and not of another application's log.
func (s *svcSet) surely() bool {
	switch {
	case s.all(svcAction, svcActor) && s.any(svcTarget, svcTargetID):
		return s.any(svcOld, svcNew, svcDiff, svcClientActor)
	case s.all(svcEventType, svcCreated) && s.any(svcClient, svcProvider):
		return s.any(svcEmail, svcUsername) && !s.has(svcActor)
	case s.all(svcJobName, svcStatus):
		return s.any(svcJobID, svcJobType)
	case s.all(svcRecipient, svcSubject, svcStatus):
		return true
	case s.all(svcSessionID, svcProtocol, svcStatus):
		return s.any(svcClientID, svcUserID)
	case s.all(svcGrantID, svcStatus):
		return s.any(svcSessionID, svcProvider, svcClient)
	}
	return false
}
