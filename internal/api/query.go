package api

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// checkQuery refuses unknown and repeated query parameters. Without it, a filter
// with a typing error would match everything.
func (h *Handler) checkQuery(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if r.URL.RawQuery != "" {
		if err := queryFaults(r.URL.RawQuery, h.queryEnums(ctx.Operation())); err != nil {
			h.writeError(w, r, err)
			return
		}
	}
	next(ctx)
}

// queryFaults returns the faults of a query. known has the values that each
// parameter may have; nil for any.
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
			faults.Add(location, "is not a known parameter; this call takes none")
		case !isKnown:
			faults.Add(location, "is not a known parameter%s", suggestion(name, names))
		case len(given) > 1:
			faults.Add(location, "is given more than once")
		case given[0] != "" && len(enum) > 0 && !slices.Contains(enum, given[0]):
			message := oneOf + strings.Join(enum, ", ")
			if near := nearest(given[0], enum); near != "" {
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
