package problem

import "strings"

const (
	// MaxFields is the maximum number of faults in an answer.
	MaxFields = 50
	// maxLocation is the maximum length of a name from the request in an answer.
	maxLocation = 200
	// UnknownField is the beginning of the message about an unknown field.
	UnknownField = "is not a known field"
)

// Clip shortens a name from the request to the length that an answer may repeat.
func Clip(name string) string {
	if len(name) <= maxLocation {
		return name
	}
	return strings.ToValidUTF8(name[:maxLocation], "") + "…"
}
