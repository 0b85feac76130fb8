package pyth

import (
	"context"
	"strings"
	"time"
)

// UserID identifies a user. Each user is a tenant: two users never share a sandbox.
type UserID string

// User is the stored record of an account.
type User struct {
	ID UserID
	// Email is trimmed and has its domain in lower case. The rest is as the user
	// wrote it.
	Email string
	// PasswordHash is the Argon2id hash of the password, in PHC string format.
	PasswordHash string
	CreatedAt    time.Time
	// Role is RoleAdmin if the user may administer the server.
	Role Role
	// DisabledAt is the time when an administrator disabled the account. It is zero if
	// the account is enabled.
	DisabledAt time.Time
	// Quotas contains the limits of this user that replace the defaults of the server.
	Quotas map[QuotaName]int64
	// SecondFactorAt is the time at which the user activated a second factor. It is
	// zero if the account has no active second factor.
	SecondFactorAt time.Time
}

// ActiveAdmin reports whether the user is an administrator whose account is enabled.
func (u *User) ActiveAdmin() bool { return u.Role == RoleAdmin && u.DisabledAt.IsZero() }

// EmailKey returns an e-mail address in lower case. The store looks up accounts by
// this key, so that a login ignores the case of the address.
func EmailKey(email string) string { return strings.ToLower(email) }

// Credential is the kind of credential that a caller used.
type Credential string

// Kinds of credentials.
const (
	CredentialNone   Credential = "none"
	CredentialJWT    Credential = "jwt"
	CredentialAPIKey Credential = "api_key"
)

// Principal describes an authenticated caller.
type Principal struct {
	User       User
	Credential Credential
	// KeyID is the ID of the API key, and KeyPrefix is its visible start. Both are ""
	// for a JWT.
	KeyID     KeyID
	KeyPrefix string
	// FamilyID identifies the login that issued the JWT; "" for an API key.
	FamilyID string
	// Scopes contains the scopes of the API key. A JWT has no scopes, because it allows
	// everything.
	Scopes []Scope
	// ExpiresAt is the time when the credential expires; zero if the credential does
	// not expire.
	ExpiresAt time.Time
}

// KeyID identifies an API key.
type KeyID string

// APIKey is the stored record of an API key.
type APIKey struct {
	ID     KeyID
	UserID UserID
	Name   string
	// Prefix is the start of the key in plain text. Users recognize a key by its
	// prefix.
	Prefix string
	// Hash is the SHA-256 of the whole key. The store finds a key by its hash. A hash
	// without salt is enough, because the key holds 190 bits of randomness.
	Hash [32]byte
	// Sealed is the whole key, encrypted with the user's data key. Only the account's
	// first key has the field Sealed, because each login returns the first key again.
	Sealed    []byte
	CreatedAt time.Time
	// ExpiresAt is zero if the key does not expire.
	ExpiresAt time.Time
	// Scopes contains the scopes of the key, in the order of the function Scopes.
	Scopes []Scope
	// LastUsedAt is the time of the last request with the key, with a resolution of one
	// minute. It is zero if the key was never used.
	LastUsedAt time.Time
}

// KeyFormat is the form of an API key.
type KeyFormat string

// Forms of API keys. KeyFormatE2B is for clients that accept only keys of this form.
const (
	KeyFormatDefault KeyFormat = "pyapi"
	KeyFormatE2B     KeyFormat = "e2b"
)

// KeyFormats returns all forms of API keys.
func KeyFormats() []KeyFormat { return []KeyFormat{KeyFormatDefault, KeyFormatE2B} }

// KeySpec describes a new API key.
type KeySpec struct {
	Name string
	// ExpiresAt is zero if the key does not expire.
	ExpiresAt time.Time
	// Scopes is nil for the default, which is DefaultScopes. If another key creates the
	// key, the default contains only those scopes that the other key also has.
	Scopes []Scope
	// Format is KeyFormatDefault if it is "".
	Format KeyFormat
}

// KeyChange contains changes of an API key. A field with its zero value changes
// nothing.
type KeyChange struct {
	Name      string
	ExpiresAt time.Time
}

// RefreshToken is the stored record of a refresh token. A client exchanges a token
// once, for a new token of the same family. If a used token is sent again, its whole
// family is revoked (RFC 9700, section 4.14.2). There is one exception: for a short
// time after the exchange, the same client may repeat it.
type RefreshToken struct {
	// Hash is the SHA-256 of the token.
	Hash     [32]byte
	FamilyID string
	UserID   UserID
	IssuedAt time.Time
	// ExpiresAt is the time when an unused token expires.
	ExpiresAt time.Time
	// SpentAt is the time when the token was exchanged for a new one. It is zero for an
	// unused token.
	SpentAt time.Time
	// ClientHash identifies the client that exchanged the token. Only this client may
	// repeat the exchange.
	ClientHash [32]byte
	// Client is the client that received the token.
	Client Client
}

// CredentialError says why a credential is invalid. It is the cause (Err) of an
// Error. The audit log records this cause, but callers never receive it.
type CredentialError struct {
	// User is the owner of the password or token; "" if there is no owner.
	User UserID
	// Reused is true if a refresh token was used a second time.
	Reused bool
}

func (e *CredentialError) Error() string {
	if e.Reused {
		return "refresh token used a second time"
	}
	return "invalid credential"
}

// Credentials are the credentials in a request. A field is empty if the request does
// not contain that credential.
type Credentials struct {
	APIKey string
	Bearer string
}

// Client describes the program that sent a request. The server compares both fields
// to recognize a retry. They do not prove identity, because callers can forge them.
type Client struct {
	IP        string
	UserAgent string
}

// Grant holds the credentials that a login, a registration or a refresh issues.
type Grant struct {
	User User
	// Token is a JWT. It is valid until ExpiresAt.
	Token     string
	ExpiresAt time.Time
	// APIKey is the account's first key; "" if that key was deleted.
	APIKey string
	// RefreshToken is the new refresh token. It is "" if Renew issued the Grant.
	RefreshToken string
	// SecondFactor is the kind of the second-factor code in a login; "" if the login
	// had no such code.
	SecondFactor SecondFactorMethod
	// Registered is true if a sign-in at the OIDC provider created the account.
	Registered bool
}

// AccountService authenticates callers and manages accounts. It is safe for
// concurrent use. All errors are *Error. Wrong or missing credentials cause
// CodeUnauthenticated or CodeInvalidCredentials.
type AccountService interface {
	// Register creates an account. It checks the invite only if the settings of the
	// server require an invite.
	Register(ctx context.Context, email, password, invite string) (*Grant, error)
	// Login returns a grant if the password is right. It takes the same time if the
	// account does not exist, so that callers cannot find out who has an account. If the
	// account has a second factor, Login also needs a code. Without a code it fails with
	// CodeSecondFactorRequired, and with a wrong code with CodeInvalidSecondFactor.
	Login(ctx context.Context, email, password, code string) (*Grant, error)
	// Authenticate returns the owner of the credentials. If c contains two credentials,
	// both must belong to the same user.
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
	// Refresh exchanges a refresh token for a new grant.
	Refresh(ctx context.Context, refreshToken string, client Client) (*Grant, error)
	// Renew issues a new JWT to a caller who sent a valid JWT. It fails if the login
	// that issued the old JWT was revoked.
	Renew(ctx context.Context, p *Principal) (*Grant, error)
	// Logout revokes the family of the refresh token. Without a token it revokes
	// all families of the user.
	Logout(ctx context.Context, p *Principal, refreshToken string) error
	// ChangePassword replaces the password and revokes all refresh tokens of the user.
	ChangePassword(ctx context.Context, p *Principal, current, replacement string) error
	// CreateKey creates an API key. It returns the stored record and the key itself,
	// which is not stored. It fails with CodeMissingScope if the caller sent an API key
	// that does not have all scopes of the new key.
	CreateKey(ctx context.Context, p *Principal, spec KeySpec) (*APIKey, string, error)
	// UpdateKey changes an API key of the caller.
	UpdateKey(ctx context.Context, p *Principal, id KeyID, c KeyChange) (*APIKey, error)
	// Keys returns the caller's keys after the cursor, at most "limit" of them, and the
	// cursor of the next page. The returned cursor is "" on the last page.
	Keys(ctx context.Context, p *Principal, cursor string, limit int) ([]*APIKey, string, error)
	DeleteKey(ctx context.Context, p *Principal, id KeyID) error
}
