package account

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	pyth "github.com/pyth-on/pyth-on"
)

// Limits of a password's length in characters: the minimum of NIST SP 800-63B
// (5.1.1), and a maximum that keeps hashing cheap.
const (
	minPassword = 8
	maxPassword = 128
)

//go:embed common_passwords.txt
var commonPasswords string

// normalizePassword returns the password in NFC, so that all keyboards type the
// same one.
func normalizePassword(password string) string { return norm.NFC.String(password) }

// newPassword normalizes a new password and checks its length and strength.
func newPassword(location, raw, email string) (string, error) {
	password := normalizePassword(raw)
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return "", pyth.Invalid(location, "must be valid UTF-8")
	case n < minPassword || n > maxPassword:
		return "", pyth.Invalid(location, "must have %d to %d characters", minPassword, maxPassword)
	case pyth.EmailKey(password) == pyth.EmailKey(email):
		return "", pyth.Invalid(location, "must not be the e-mail address")
	case common(password):
		return "", pyth.Invalid(location, "is one of the commonest passwords; choose another")
	}
	return password, nil
}

// common reports whether the password is one of those that attackers guess
// first.
func common(password string) bool {
	for line := range strings.Lines(commonPasswords) {
		if strings.EqualFold(strings.TrimSpace(line), password) {
			return true
		}
	}
	return false
}
