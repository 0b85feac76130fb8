package account

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	pyth "github.com/pyth-on/pyth-on"
)

// These constants limit the length of a password in characters. The minimum is from NIST
// SP 800-63B (5.1.1). The maximum exists because long passwords take more time to hash.
const (
	minPassword = 8
	maxPassword = 128
)

//go:embed common_passwords.txt
var commonPasswords string

// normalizePassword returns the password in NFC, because keyboards may produce
// different code points for the same text.
func normalizePassword(password string) string { return norm.NFC.String(password) }

// newPassword checks a new password and returns its normalized form. It fails if the
// password is too short, too long or easy to guess. The parameter "location" names
// the field in the error.
func newPassword(location, raw, email string) (string, error) {
	password := normalizePassword(raw)
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return "", pyth.Invalid(location, "must be valid UTF-8")
	case n < minPassword || n > maxPassword:
		return "", pyth.Invalid(location, "must have %d to %d characters", minPassword, maxPassword)
	case pyth.EmailKey(password) == pyth.EmailKey(email):
		return "", pyth.Invalid(location, "must not be your e-mail address")
	case common(password):
		return "", pyth.Invalid(location, "is one of the most common passwords; choose a different password")
	}
	return password, nil
}

// common reports whether the password is in the list of common passwords. Attackers
// try these passwords first.
func common(password string) bool {
	for line := range strings.Lines(commonPasswords) {
		if strings.EqualFold(strings.TrimSpace(line), password) {
			return true
		}
	}
	return false
}
