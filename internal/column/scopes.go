package column

import (
	"database/sql"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// ScopesValue returns the column value for scopes: their names, separated by spaces.
func ScopesValue(scopes []pyth.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, " ")
}

// Scopes returns a scan target for a column that was written with ScopesValue. API keys
// of old servers had no scopes, so the column is NULL in their rows. Scopes reads NULL
// as the default scopes.
func Scopes(scopes *[]pyth.Scope) sql.Scanner { return scopesOf{scopes} }

type scopesOf struct{ scopes *[]pyth.Scope }

func (d scopesOf) Scan(v any) error {
	*d.scopes = nil
	switch v := v.(type) {
	case nil:
		*d.scopes = pyth.DefaultScopes()
	case string:
		for _, name := range strings.Fields(v) {
			*d.scopes = append(*d.scopes, pyth.Scope(name))
		}
	default:
		return fmt.Errorf("column contains scopes of type %T", v)
	}
	return nil
}
