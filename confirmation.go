package pyth

import (
	"context"
	"time"
)

// EmailConfirmation is the stored record of a token that confirms an e-mail address
// once.
type EmailConfirmation struct {
	// Hash is the SHA-256 of the token.
	Hash   [32]byte
	UserID UserID
	// Email is the address to which the server sent the token. The token confirms only
	// this address.
	Email     string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// EmailConfirmationStore stores confirmations of e-mail addresses.
type EmailConfirmationStore interface {
	// CreateEmailConfirmation stores a confirmation. It replaces earlier confirmations of
	// the user. It fails with CodeNotFound if the user does not exist.
	CreateEmailConfirmation(ctx context.Context, c *EmailConfirmation) error
	// UseEmailConfirmation marks the address of the confirmation as confirmed, deletes
	// the confirmations of the user, and returns the user. It fails with CodeNotFound if
	// the confirmation does not exist or is not valid at the given time, or if the user
	// has another address now.
	UseEmailConfirmation(ctx context.Context, hash [32]byte, at time.Time) (UserID, error)
	// DeleteExpiredEmailConfirmations deletes the confirmations that expired before the
	// given time.
	DeleteExpiredEmailConfirmations(ctx context.Context, before time.Time) error
	// ConfirmEmail marks the address as confirmed if it is the address of the user.
	// Otherwise it does nothing.
	ConfirmEmail(ctx context.Context, user UserID, email string) error
}

// UnconfirmedEmailError returns the error for a caller whose e-mail address must be
// confirmed first.
func UnconfirmedEmailError() *Error {
	return Errorf(CodeEmailUnconfirmed, "The e-mail address of the account is not confirmed. Open the link in the mail to this address. If you have no mail, request a new one with POST /api/email/resend.")
}
