package audit

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxText bounds in bytes each text whose words a caller chooses.
	maxText = 256
	// maxList bounds the texts of a list; a user has at most 200 secrets.
	maxList = 200
)

// credential is what looks like an API key, a refresh token or a JWT.
var credential = regexp.MustCompile(`py(?:api|rt)_[0-9A-Za-z]{12,}|eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_.-]*`)

// clean makes text from outside fit for an entry: valid, printable, so that it
// cannot forge lines or hide in them where entries are shown, without
// credentials, which people put anywhere, and bounded.
func clean(s string) string {
	if strings.Contains(s, "py") || strings.Contains(s, "eyJ") {
		s = credential.ReplaceAllString(s, "[credential]")
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	end := maxText - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// cleanDetails does so with details. Another type than those that details may
// have is a fault of the program.
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
			return nil, fmt.Errorf("audit: the detail %s is a %T", name, value)
		}
	}
	return out, nil
}
