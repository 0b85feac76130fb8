package api

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
	"github.com/pyth-on/pyth-on/internal/nearest"
)

// queryFaults returns an error that lists all errors in a query string. It rejects
// unknown and repeated parameters. For example, if the name of a filter is misspelled,
// the request would otherwise select all items. The parameter "known" maps the names of
// parameters to their allowed values. An empty list means that all values are allowed.
func queryFaults(query string, known map[string][]string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return pyth.Invalid("query", "must be pairs of name and value, percent-encoded, with & between them")
	}
	names := slices.Sorted(maps.Keys(known))
	var faults pyth.FieldErrors
	for _, name := range slices.Sorted(maps.Keys(values)) {
		location := problem.Clip("query." + strings.ToValidUTF8(name, "\ufffd"))
		given := values[name]
		enum, isKnown := known[name]
		switch {
		case !isKnown && len(names) == 0:
			faults.Add(location, "is not a known parameter; this call has no parameters")
		case !isKnown:
			faults.Add(location, "is not a known parameter%s", nearest.Suggestion(name, names))
		case len(given) > 1:
			faults.Add(location, "must not be given more than once")
		case given[0] != "" && len(enum) > 0 && !slices.Contains(enum, given[0]):
			message := oneOf + strings.Join(enum, ", ")
			if near := nearest.Name(given[0], enum); near != "" {
				message += "; did you mean " + near + "?"
			}
			faults.Add(location, "%s", message)
		}
		if len(faults) == problem.MaxFields {
			break
		}
	}
	return faults.Err()
}
