package http

// Conceal takes the text of a field out of a body.
func Conceal(data []byte, field string) []byte { return conceal(data, field) }
