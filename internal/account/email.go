package account

import (
	"errors"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	emails "github.com/pyth-on/pyth-on/internal/email"
)

// normalizeEmail returns the canonical form of an address, so that different spellings of
// an address belong to the same account. It returns CodeInvalid for an invalid address.
func normalizeEmail(raw string) (string, error) {
	email, err := emails.Canonical(raw)
	switch {
	case errors.Is(err, emails.ErrTooLong):
		return "", pyth.Invalid("body.email", "must have at most %d characters", emails.MaxBytes)
	case err != nil:
		return "", pyth.Invalid("body.email", "must be an e-mail address, for example ada@example.org")
	}
	return email, nil
}

// storedForms returns the two forms in which the store may contain the address: the
// canonical form and the older form. Older servers stored addresses in the older form.
// storedForms returns nil for an invalid address.
func storedForms(raw string) []string {
	normal, err := normalizeEmail(raw)
	if err != nil {
		return nil
	}
	forms := []string{normal}
	email := strings.TrimSpace(raw)
	at := strings.LastIndexByte(email, '@')
	if former := email[:at+1] + strings.ToLower(email[at+1:]); former != normal {
		forms = append(forms, former)
	}
	return forms
}
