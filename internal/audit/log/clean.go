package log

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/pyth-on/pyth-on/internal/printable"
)

const (
	// maxText is the maximum length of a string in an entry, in bytes.
	maxText = 256
	// maxList is the maximum number of items in a list. The longest list contains all
	// secrets of a user, and a user can have at most 200 secrets.
	maxList = 200
)

// The pattern "credential" matches text that looks like an API key, an invite, a token
// of this server or a JWT.
var credential = regexp.MustCompile(`(?:py(?:api|rt|inv|reset|confirm|signin)|e2b)_[0-9A-Za-z]{12,}|eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_.-]*`)

// The function "clean" makes a string from a caller safe for an entry. It replaces
// unprintable characters, which could mislead a person who reads the log. It replaces API
// keys and tokens, because users paste them into wrong fields. It truncates the string to
// maxText bytes.
func clean(s string) string {
	if strings.Contains(s, "py") || strings.Contains(s, "e2b_") || strings.Contains(s, "eyJ") {
		s = credential.ReplaceAllString(s, "[credential]")
	}
	s = printable.Clean(s)
	if len(s) <= maxText {
		return s
	}
	end := maxText - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// cleanDetails applies the function "clean" to all texts in the details. It returns an
// error if a value has a type that AuditEvent does not allow.
func cleanDetails(details map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(details))
	for name, value := range details {
		switch v := value.(type) {
		case bool, int, int64:
			out[name] = v
		case string:
			out[name] = clean(v)
		case []string:
			list := make([]string, 0, len(v))
			for _, s := range v[:min(len(v), maxList)] {
				list = append(list, clean(s))
			}
			out[name] = list
		default:
			return nil, fmt.Errorf("audit: detail %s has type %T", name, value)
		}
	}
	return out, nil
}
