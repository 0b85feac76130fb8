// Package printable defines which characters are printable. Some texts are written by
// one user and read by other users: paths, labels, names of keys, audit entries. These
// texts may contain only printable characters.
//
// A character is unprintable if it breaks a line of text or changes the direction of the
// text. All other characters are printable: letters of all scripts, joiners, emoji, and
// private and unassigned characters. All functions are safe for malicious input.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault returns the kind of an unprintable character, such as "control characters". It
// returns "" if the character is printable.
func Fault(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "control characters"
	case r == 0x2028 || r == 0x2029: // Unicode, section 5.8.
		return "line separators"
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		// Embeddings, overrides and isolates (UAX #9, section 2) can make a name look
		// like another name. The direction marks of Arabic and Hebrew texts do not have
		// this effect, so they are printable.
		return "controls of text direction"
	default:
		return ""
	}
}

// Rune reports whether the character is printable.
func Rune(r rune) bool { return Fault(r) == "" }

// Text reports whether all characters of the text are printable. It does not check
// that the text is valid UTF-8.
func Text(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !Rune(r) })
}

// Clean replaces each unprintable character and invalid UTF-8 by U+FFFD.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !Rune(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
