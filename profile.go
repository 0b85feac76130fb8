package pyth

import (
	"context"
	"time"
)

// Login is a login of a user: a family of refresh tokens.
type Login struct {
	// ID is the ID of the family.
	ID string
	// CreatedAt is the time of the login. LastUsedAt is the time of the last new refresh
	// token.
	CreatedAt, LastUsedAt time.Time
	// ExpiresAt is the time when the login ends if it is not used.
	ExpiresAt time.Time
	// Client is the client that received the last refresh token. Older servers did not
	// store the client. For tokens of an older server, its fields are "".
	Client Client
}

// ProfileService lets callers change their accounts. It is safe for concurrent use. All
// errors are *Error. A wrong password causes CodeInvalidCredentials.
type ProfileService interface {
	// ChangeEmail replaces the e-mail address and returns the changed account. It fails
	// with CodeEmailTaken if another account has the address.
	ChangeEmail(ctx context.Context, p *Principal, email, password string) (*User, error)
	// DeleteAccount ends the runs and sessions of the caller and deletes the account with
	// all of its data. It fails with CodeLastAdmin for the last enabled administrator.
	DeleteAccount(ctx context.Context, p *Principal, password string) error
	// Logins returns the caller's logins whose ID is greater than "after", oldest first,
	// at most "limit" of them.
	Logins(ctx context.Context, p *Principal, after string, limit int) ([]*Login, error)
	// DeleteLogin revokes the refresh tokens of a login of the caller. It fails with
	// CodeNotFound if the caller has no such login.
	DeleteLogin(ctx context.Context, p *Principal, id string) error
	// NoteExport is called before the caller receives an export of the account.
	NoteExport(ctx context.Context, p *Principal) error
	// ResetPassword sets a new password with a reset token, and revokes all refresh
	// tokens of the user. It returns the user. It fails with CodeInvalidCredentials if
	// the token is unknown, used or expired.
	ResetPassword(ctx context.Context, token, password string) (UserID, error)
}
