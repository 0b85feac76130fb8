package api

// Conceal takes the text of a field out of a body.
func Conceal(data []byte, field string) []byte { return conceal(data, field) }

// NewCursor is the cursor of a list of ada's.
func NewCursor(list, position string) string { return newCursor(list, "usr_ada", position) }

// Nearest is the known name that is nearest to a name.
func Nearest(name string, known ...string) string { return nearest(name, known) }
