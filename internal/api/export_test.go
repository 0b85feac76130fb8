package api

// NewCursor returns a cursor of the user with the ID usr_ada.
func NewCursor(list, position string) string { return newCursor(list, "usr_ada", position) }
