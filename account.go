package pyth

import (
	"context"
	"strings"
	"time"
)

// UserID identifies a user. A user is also a tenant: sandboxes run on behalf of
// one user and are never shared with another.
type UserID string

// User is an account.
type User struct {
	ID UserID
	// Email is trimmed and has its domain in lower case. The rest is as the user
	// wrote it.
	Email string
	// PasswordHash is in PHC string format.
	PasswordHash string
	CreatedAt    time.Time
}

// EmailKey returns the form of an e-mail address that is compared. Case does not
// matter.
func EmailKey(email string) string { return strings.ToLower(email) }

// Credential names how a caller authenticated.
type Credential string

// Kinds of credentials.
const (
	CredentialNone   Credential = "none"
	CredentialJWT    Credential = "jwt"
	CredentialAPIKey Credential = "api_key"
)

// Principal is an authenticated caller.
type Principal struct {
	User       User
	Credential Credential
	// KeyPrefix is the visible start of the API key; "" for a JWT.
	KeyPrefix string
	// FamilyID identifies the login that issued the JWT; "" for an API key.
	FamilyID string
	// ExpiresAt is the expiry of the credential; zero if it has none.
	ExpiresAt time.Time
}

// KeyID identifies an API key.
type KeyID string

// APIKey is the stored record of an API key.
type APIKey struct {
	ID     KeyID
	UserID UserID
	Name   string
	// Prefix is the visible start of the key. It is long enough to tell keys
	// apart.
	Prefix string
	// Hash is the SHA-256 of the whole key and serves to look it up. A plain hash
	// is enough, because the key holds 190 bits of randomness.
	Hash [32]byte
	// Sealed is the key itself, with envelope encryption. Only the account's first
	// key has it, because login returns that key again.
	Sealed    []byte
	CreatedAt time.Time
	// ExpiresAt is zero if the key does not expire.
	ExpiresAt time.Time
}

// RefreshToken is the stored record of a refresh token. A token is used once and
// replaced by a new one. If a spent token is seen again, its whole family is
// revoked (RFC 9700, section 4.14.2).
type RefreshToken struct {
	// Hash is the SHA-256 of the token.
	Hash     [32]byte
	FamilyID string
	UserID   UserID
	IssuedAt time.Time
	// ExpiresAt is the expiry of an unused token.
	ExpiresAt time.Time
	// SpentAt is the time of the exchange; zero if the token is unused.
	SpentAt time.Time
	// ClientHash identifies the client that spent the token. The same client may
	// retry for a short time.
	ClientHash [32]byte
}

// CredentialError is the cause of an Error about an invalid credential. It goes to
// the audit log only, never to callers.
type CredentialError struct {
	// User owns the password or token that was tried; "" if no user does.
	User UserID
	// Reused reports that a spent refresh token was used again.
	Reused bool
}

func (e *CredentialError) Error() string {
	if e.Reused {
		return "spent refresh token used again"
	}
	return "invalid credential"
}

// Credentials are the credentials in a request. Fields that the request did not
// carry are empty.
type Credentials struct {
	APIKey string
	Bearer string
}

// Client identifies the caller's program across retries. It proves nothing.
type Client struct {
	IP        string
	UserAgent string
}

// Grant holds the credentials that a login, a registration or a refresh issues.
type Grant struct {
	User User
	// Token is a JWT that is valid until ExpiresAt.
	Token     string
	ExpiresAt time.Time
	// APIKey is the account's first key; "" if it was revoked.
	APIKey string
	// RefreshToken is "" if the grant was renewed with a JWT alone.
	RefreshToken string
}

// AccountService authenticates callers and manages accounts. Errors are *Error.
// Wrong or missing credentials are CodeUnauthenticated or
// CodeInvalidCredentials. It is safe for concurrent use.
type AccountService interface {
	// Register creates an account. It checks the invite only if registration
	// requires one.
	Register(ctx context.Context, email, password, invite string) (*Grant, error)
	// Login takes the same time whether or not the account exists.
	Login(ctx context.Context, email, password string) (*Grant, error)
	// Authenticate resolves the credentials of a request. If the request carries
	// two, both must name the same user.
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
	// Refresh exchanges a refresh token for a new grant.
	Refresh(ctx context.Context, refreshToken string, client Client) (*Grant, error)
	// Renew issues a new JWT to a caller with a valid one, unless the login that
	// issued it was revoked.
	Renew(ctx context.Context, p *Principal) (*Grant, error)
	// Logout revokes the family of the refresh token. Without a token it revokes
	// all families of the user.
	Logout(ctx context.Context, p *Principal, refreshToken string) error
	// ChangePassword also revokes all refresh tokens of the user.
	ChangePassword(ctx context.Context, p *Principal, current, replacement string) error
	// CreateKey returns the record of the new key and the key itself, which is not
	// stored. A zero expiresAt means that the key does not expire.
	CreateKey(ctx context.Context, p *Principal, name string, expiresAt time.Time) (*APIKey, string, error)
	// Keys returns a page of keys after the cursor, and the cursor of the next
	// page; "" if there is none.
	Keys(ctx context.Context, p *Principal, cursor string, limit int) ([]*APIKey, string, error)
	DeleteKey(ctx context.Context, p *Principal, id KeyID) error
}
