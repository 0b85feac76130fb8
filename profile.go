package pyth

import (
	"context"
	"time"
)

// Login is a login of a user. Each login has its own family of refresh tokens.
type Login struct {
	// ID is the ID of the family of refresh tokens.
	ID string
	// CreatedAt is the time of the login. LastUsedAt is the time when the server issued
	// the last refresh token.
	CreatedAt, LastUsedAt time.Time
	// ExpiresAt is the time when the login ends if nobody uses it before.
	ExpiresAt time.Time
	// Client is the client that received the last refresh token. Older versions of the
	// server did not store the client. For a token from such a version, the fields of
	// Client are "".
	Client Client
}

// ProfileService lets callers change their accounts. It is safe for concurrent use. All
// errors are *Error. A wrong password causes CodeInvalidCredentials.
type ProfileService interface {
	// ChangeEmail replaces the e-mail address and returns the changed account. It fails
	// with CodeEmailTaken if another account has the address. If the server asks for
	// confirmations, the new address is not confirmed.
	ChangeEmail(ctx context.Context, p *Principal, email, password string) (*User, error)
	// DeleteAccount ends the runs and sessions of the caller, and deletes the account
	// with all of its data. It fails with CodeLastAdmin if the caller is the last
	// enabled administrator.
	DeleteAccount(ctx context.Context, p *Principal, password string) error
	// Logins returns the caller's logins whose ID is greater than "after", oldest
	// first, but no more than "limit" logins.
	Logins(ctx context.Context, p *Principal, after string, limit int) ([]*Login, error)
	// DeleteLogin revokes the refresh tokens of a login of the caller. It fails with
	// CodeNotFound if the caller has no such login.
	DeleteLogin(ctx context.Context, p *Principal, id string) error
	// NoteExport records an export of the account in the audit log. It is called before
	// the caller receives the export.
	NoteExport(ctx context.Context, p *Principal) error
	// ResetPassword sets a new password with a reset token, and revokes all refresh
	// tokens of the user. It returns the user. It fails with CodeInvalidCredentials if
	// the token is unknown, used or expired.
	ResetPassword(ctx context.Context, token, password string) (UserID, error)
	// ConfirmEmail confirms the e-mail address to which the server sent the token. It
	// returns the user. It fails with CodeInvalidCredentials if the token is unknown,
	// used or expired, or if the user has another address now.
	ConfirmEmail(ctx context.Context, token string) (UserID, error)
}
