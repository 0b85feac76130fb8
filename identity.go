package pyth

import (
	"context"
	"time"
)

// IdentityID identifies an Identity.
type IdentityID string

// Identity links an account to a person at an OIDC provider. Issuer and Subject
// together are unique.
type Identity struct {
	ID     IdentityID
	UserID UserID
	// Issuer is the URL of the provider.
	Issuer string
	// Subject is the ID of the person at the provider. The ID never changes.
	Subject string
	// Email is the address that the provider reported when the identity was linked.
	Email     string
	CreatedAt time.Time
	// LastUsedAt is the time of the last login with the identity.
	LastUsedAt time.Time
}

// SignIn is the stored result of a sign-in at the provider. A client exchanges this
// result once for a login.
type SignIn struct {
	// Hash is the SHA-256 of the code that the client received.
	Hash [32]byte
	// Challenge is the SHA-256 of the verifier. The verifier is a secret of the client
	// that began the sign-in.
	Challenge [32]byte
	ProviderUser
	CreatedAt time.Time
	ExpiresAt time.Time
}

// ProviderUser contains the data that the provider reported about a person.
type ProviderUser struct {
	Issuer, Subject string
	// Email is the e-mail address of the person. It is "" if the provider reported no
	// address.
	Email string
	// EmailVerified is true if the provider has verified that the address belongs to the
	// person.
	EmailVerified bool
}

// IdentityStore stores identities and sign-ins.
type IdentityStore interface {
	CreateSignIn(ctx context.Context, s *SignIn) error
	// SignIn returns the sign-in with the given hash.
	SignIn(ctx context.Context, hash [32]byte) (*SignIn, error)
	// DeleteSignIn deletes a sign-in. If several callers delete the same sign-in, only
	// the first call succeeds. All other calls fail with CodeNotFound.
	DeleteSignIn(ctx context.Context, hash [32]byte) error
	// DeleteExpiredSignIns deletes the sign-ins that expired before the given time.
	DeleteExpiredSignIns(ctx context.Context, before time.Time) error
	// CreateIdentity stores an identity. It fails with CodeConflict if the person is
	// already linked to an account, or if the user has "limit" identities.
	CreateIdentity(ctx context.Context, i *Identity, limit int) error
	// CreateIdentifiedUser is like CreateUser, but also stores the identity in the same
	// transaction. It fails with CodeConflict if the person is already linked to an
	// account.
	CreateIdentifiedUser(ctx context.Context, u *User, key *APIKey, dataKey *DataKey, i *Identity) error
	// Identity returns the identity of a person.
	Identity(ctx context.Context, issuer, subject string) (*Identity, error)
	// Identities returns the identities of the user, oldest first.
	Identities(ctx context.Context, user UserID) ([]*Identity, error)
	// SetIdentityUsed sets the time of the last login with the identity. It does
	// nothing if the identity does not exist.
	SetIdentityUsed(ctx context.Context, id IdentityID, at time.Time) error
	// DeleteIdentity deletes an identity of the user.
	DeleteIdentity(ctx context.Context, user UserID, id IdentityID) error
}

// SignInStart contains the data that the browser needs to begin a sign-in.
type SignInStart struct {
	// URL is the address of the provider's page that the browser must open.
	URL string
	// State is the encrypted state of the sign-in. The server stores it in a cookie of
	// the browser.
	State string
}

// SignInCallback contains the data that the browser sends when it returns from the
// provider.
type SignInCallback struct {
	// Cookie is the value of SignInStart.State.
	Cookie string
	// State and Code are query parameters from the provider. Error is the provider's
	// error code. It is "" after a success.
	State, Code, Error string
}

// SignInResult contains the result of a sign-in at the provider.
type SignInResult struct {
	// ReturnTo is the path that the browser opens after the sign-in. It is "" if the
	// cookie is not valid.
	ReturnTo string
	// Code is the code for the methods LogInWith and Link. It is "" after an error.
	Code string
}

// IdentityService lets users log in through an OIDC provider. It is safe for concurrent
// use. All errors are *Error.
type IdentityService interface {
	// Begin begins a sign-in. The challenge is the SHA-256 of the client's verifier.
	// After the sign-in, the browser opens the path in the parameter returnTo.
	Begin(ctx context.Context, challenge [32]byte, returnTo string) (*SignInStart, error)
	// Complete ends a sign-in. It returns the path that the browser opens next. If the
	// cookie is valid, Complete returns this path even after an error.
	Complete(ctx context.Context, c SignInCallback) (SignInResult, error)
	// LogInWith returns a grant for the account that is linked to the person. If no
	// account is linked to the person, and the settings allow new accounts, LogInWith
	// creates an account. If an unlinked account has the person's e-mail address,
	// LogInWith fails with CodeIdentityNotLinked. If the account has a second factor,
	// LogInWith needs a code, like AccountService.Login. If the code is missing or
	// wrong, the sign-in stays valid for another attempt.
	LogInWith(ctx context.Context, signIn, verifier, code string) (*Grant, error)
	// Link links the person to the account of the caller.
	Link(ctx context.Context, p *Principal, password, signIn, verifier string) (*Identity, error)
	// Identities returns the caller's identities, oldest first.
	Identities(ctx context.Context, p *Principal) ([]*Identity, error)
	// Unlink deletes an identity of the caller.
	Unlink(ctx context.Context, p *Principal, id IdentityID) error
}

// LinkedIdentityError returns the error for a person who is already linked to an
// account.
func LinkedIdentityError() *Error {
	return Errorf(CodeConflict, "The sign-in belongs to an account already. Log in with it, or remove it from that account first.")
}

// TooManyIdentitiesError returns the error for a user who has the maximum number of
// identities.
func TooManyIdentitiesError(limit int) *Error {
	return Errorf(CodeConflict, "You have reached the maximum of %d identities. Delete an identity first.", limit)
}
