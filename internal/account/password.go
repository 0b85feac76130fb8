package account

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	pyth "github.com/pyth-on/pyth-on"
)

// The lengths of a password in characters: the least of NIST SP 800-63B (5.1.1)
// and an end that keeps hashing cheap.
const (
	minPassword = 8
	maxPassword = 128
)

//go:embed common_passwords.txt
var commonPasswords string

// normalizePassword makes what one person types the same on every keyboard.
func normalizePassword(password string) string { return norm.NFC.String(password) }

// newPassword checks a password that an account is to have.
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

// common is whether the password is among those that are guessed first.
func common(password string) bool {
	for line := range strings.Lines(commonPasswords) {
		if strings.EqualFold(strings.TrimSpace(line), password) {
			return true
		}
	}
	return false
}
