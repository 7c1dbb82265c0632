package conf

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Suggest returns the member of known that was probably meant by given, or "" where none is near. Letter case and
// the difference of "-", "_" and "." weigh nothing; of equally near ones the first wins.
func Suggest(given string, known []string) string {
	const longest = 64 // longer than any name of ours; bounds the work
	if given == "" || len(given) > longest {
		return ""
	}
	a := fold(given)
	best, bestDistance := "", max(1, (len(a)+1)/3)+1
	for _, k := range known {
		if len(k) > longest {
			continue
		}
		if d := levenshtein.Distance(a, fold(k), nil); d < bestDistance && d < len(a) {
			best, bestDistance = k, d
		}
	}
	return best
}

func fold(s string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(s))
}

// didYouMean is the remedy for a name that is not among known.
func didYouMean(given string, known []string, quote func(string) string) string {
	if s := Suggest(given, known); s != "" {
		return "did you mean " + quote(s) + "?"
	}
	const most = 24 // a longer list helps nobody
	if len(known) == 0 || len(known) > most {
		return ""
	}
	quoted := make([]string, len(known))
	for i, k := range known {
		quoted[i] = quote(k)
	}
	return "known here: " + strings.Join(quoted, ", ")
}
