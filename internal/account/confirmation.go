package account

import (
	"context"
	"crypto/rand"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Confirmation says whether users must confirm their e-mail addresses.
type Confirmation string

// Modes of confirmation. With ConfirmationOff, the server asks nobody to confirm an
// address. With ConfirmationOptional, it sends a mail to each new address.
// With ConfirmationRequired, it also sends these mails, and a user with an unconfirmed
// address can only manage the account.
const (
	ConfirmationOff      Confirmation = "off"
	ConfirmationOptional Confirmation = "optional"
	ConfirmationRequired Confirmation = "required"
)

const (
	confirmationStart = "pyconfirm_"
	// confirmationLifetime is the lifetime of a confirmation token.
	confirmationLifetime = 72 * time.Hour
)

// unconfirmedSince returns the value of User.EmailUnconfirmedAt for a new address.
func (s *Service) unconfirmedSince() time.Time {
	if s.config.Confirmation == ConfirmationOff {
		return time.Time{}
	}
	return s.now()
}

// isRefused reports whether the server refuses the account, because its address is not
// confirmed.
func (s *Service) isRefused(u *pyth.User) bool {
	return s.config.Confirmation == ConfirmationRequired && !u.EmailUnconfirmedAt.IsZero()
}

// checkConfirmed returns an error if the server requires a confirmed address and the
// address is not confirmed. Call it only after the credentials were verified. Otherwise
// the error would reveal to others that the account exists.
func (s *Service) checkConfirmed(u *pyth.User) error {
	if !s.isRefused(u) {
		return nil
	}
	return withOwner(pyth.UnconfirmedEmailError(), u.ID)
}

// createConfirmation creates a token with which the user can confirm the address once.
// It replaces earlier tokens of the user. The store has only the hash of the token.
func (s *Service) createConfirmation(ctx context.Context, u *pyth.User) (token string, expires time.Time, err error) {
	token = confirmationStart + rand.Text() + rand.Text() // 260 bits
	now := s.now()
	expires = now.Add(confirmationLifetime)
	return token, expires, s.config.Store.CreateEmailConfirmation(ctx, &pyth.EmailConfirmation{
		Hash: hashOf(token), UserID: u.ID, Email: u.Email, CreatedAt: now, ExpiresAt: expires,
	})
}

// ConfirmEmail confirms the address to which the token was sent.
func (x *Profiles) ConfirmEmail(ctx context.Context, token string) (pyth.UserID, error) {
	s := x.accounts
	user, err := s.config.Store.UseEmailConfirmation(ctx, hashOf(token), s.now())
	if absent(err) {
		err = pyth.Errorf(pyth.CodeInvalidCredentials, "The confirmation token is unknown, used or expired, or the account has another e-mail address now. Request a new mail.")
	}
	return user, err
}
