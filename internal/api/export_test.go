package api

// NewCursor returns a cursor for a list of the user ada.
func NewCursor(list, position string) string { return newCursor(list, "usr_ada", position) }
