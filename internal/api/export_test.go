package api

// NewCursor is the cursor of a list of ada's.
func NewCursor(list, position string) string { return newCursor(list, "usr_ada", position) }

// Nearest is the known name that is nearest to a name.
func Nearest(name string, known ...string) string { return nearest(name, known) }
