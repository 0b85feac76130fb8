// Package printable defines the characters that are allowed in texts that some
// users choose and others read: paths, labels, names of keys, audit entries.
//
// All characters are printable, except those that break a line of text or change
// its direction. So letters of every script, joiners, emoji, private and
// unassigned characters are printable. All functions are safe for hostile input.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault returns the kind of an unprintable character, such as "control
// characters"; "" if the character is printable.
func Fault(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "control characters"
	case r == 0x2028 || r == 0x2029: // Unicode, section 5.8.
		return "line separators"
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		// Embeddings, overrides and isolates (UAX #9, section 2) can make one name
		// look like another. The marks used in Arabic and Hebrew text cannot.
		return "controls of text direction"
	default:
		return ""
	}
}

// Rune reports whether the character is printable.
func Rune(r rune) bool { return Fault(r) == "" }

// Text reports whether all characters are printable. It does not check that the
// text is valid UTF-8.
func Text(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !Rune(r) })
}

// Clean replaces unprintable characters and invalid UTF-8 by U+FFFD.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !Rune(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
