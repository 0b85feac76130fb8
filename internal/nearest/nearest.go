// Package nearest finds the known name that is most similar to a misspelled name.
package nearest

import (
	"slices"
	"strings"
)

// maxSuggested is the maximum length in bytes of a name for which Name returns a
// suggestion. For longer names, Name returns "".
const maxSuggested = 64

// Name returns the known name that is most similar to the given name. If no known name
// is similar, it returns "". Two names are similar if they differ by a few edits, or if
// one name is a prefix of the other name. The comparison ignores case, hyphens,
// underscores and spaces.
func Name(name string, known []string) string {
	if name == "" || len(name) > maxSuggested {
		return ""
	}
	plain := foldName(name)
	best, least := "", len(plain)/3+1
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		other := foldName(candidate)
		if plain == other {
			return candidate
		}
		distance := editDistance(plain, other)
		if min(len(plain), len(other)) >= 4 && (strings.HasPrefix(other, plain) || strings.HasPrefix(plain, other)) {
			distance = min(distance, 1)
		}
		if distance < least || distance == least && best == "" {
			best, least = candidate, distance
		}
	}
	return best
}

// foldName returns the name in lower case without hyphens, underscores and spaces.
func foldName(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// editDistance returns the minimum number of edits that convert a to b. An edit
// inserts, deletes or replaces a byte, or swaps two adjacent bytes.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// Suggestion returns the last part of an error message about an unknown name. It
// contains the most similar known name. If no known name is similar, it contains all
// known names.
func Suggestion(name string, known []string) string {
	if near := Name(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(known) == 0 {
		return ""
	}
	return "; known names are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
