package problem

import "strings"

const (
	// MaxFields is the maximum number of field errors in a response.
	MaxFields = 50
	// maxLocation is the maximum length, in bytes, of a name that a response repeats
	// from the request.
	maxLocation = 200
	// UnknownField is the beginning of the message about an unknown field.
	UnknownField = "is not a known field"
)

// Clip truncates a name from the request to maxLocation bytes.
func Clip(name string) string {
	if len(name) <= maxLocation {
		return name
	}
	return strings.ToValidUTF8(name[:maxLocation], "") + "…"
}
