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
	// Email is the e-mail address. The domain is in lower case, and spaces at both ends
	// are removed. The part before the domain is as the user wrote it.
	Email string
	// PasswordHash is the Argon2id hash of the password, in PHC string format.
	PasswordHash string
	CreatedAt    time.Time
	// Role is RoleAdmin if the user may administer the server.
	Role Role
	// DisabledAt is the time when an administrator disabled the account. It is zero if
	// the account is enabled.
	DisabledAt time.Time
	// Quotas contains limits for this user. They replace the default limits of the
	// server.
	Quotas map[QuotaName]int64
	// SecondFactorAt is the time at which the user activated a second factor. It is
	// zero if the account has no active second factor.
	SecondFactorAt time.Time
	// EmailUnconfirmedAt is the time at which the server began to wait for the
	// confirmation of the e-mail address. It is zero if the address is confirmed, or if
	// the server did not ask for a confirmation.
	EmailUnconfirmedAt time.Time
	// TakenOverAt is the time at which a reset token set a new password while the e-mail
	// address was not confirmed. It is zero if this has not happened.
	TakenOverAt time.Time
}

// ActiveAdmin reports whether the user is an administrator whose account is enabled.
func (u *User) ActiveAdmin() bool { return u.Role == RoleAdmin && u.DisabledAt.IsZero() }

// EmailKey returns an e-mail address in lower case. The store finds accounts by this
// key, so upper and lower case do not matter for a login.
func EmailKey(email string) string { return strings.ToLower(email) }

// Credential is the kind of credential that a caller used.
type Credential string

// Values of Credential.
const (
	CredentialNone   Credential = "none"
	CredentialJWT    Credential = "jwt"
	CredentialAPIKey Credential = "api_key"
)

// Principal describes an authenticated caller.
type Principal struct {
	User       User
	Credential Credential
	// KeyID is the ID of the API key, and KeyPrefix is the visible beginning of the
	// key. Both are "" for a JWT.
	KeyID     KeyID
	KeyPrefix string
	// FamilyID identifies the login that issued the JWT. It is "" for an API key.
	FamilyID string
	// Scopes contains the scopes of the API key. A JWT has no scopes, because a JWT
	// allows all operations.
	Scopes []Scope
	// ExpiresAt is the time when the credential expires. It is zero if the credential
	// does not expire.
	ExpiresAt time.Time
	// Unconfirmed is true if the server requires a confirmed e-mail address, but the
	// address of the user is not confirmed. The caller may then only manage the
	// account.
	Unconfirmed bool
}

// KeyID identifies an API key.
type KeyID string

// APIKey is the stored record of an API key.
type APIKey struct {
	ID     KeyID
	UserID UserID
	Name   string
	// Prefix is the beginning of the key in plain text. Users recognize a key by its
	// prefix.
	Prefix string
	// Hash is the SHA-256 of the whole key. The store finds a key by its hash. A hash
	// without salt is enough, because the key holds 190 bits of randomness.
	Hash [32]byte
	// Sealed is the whole key, encrypted with the user's data key. Only the account's
	// first key has this field, because each login returns the first key again.
	Sealed    []byte
	CreatedAt time.Time
	// ExpiresAt is the time when the key expires. It is zero if the key does not
	// expire.
	ExpiresAt time.Time
	// Scopes contains the scopes of the key, in the order in which the function Scopes
	// returns them.
	Scopes []Scope
	// LastUsedAt is the time of the last request that used the key, accurate to one
	// minute. It is zero if the key was never used.
	LastUsedAt time.Time
}

// KeyFormat is the format of an API key.
type KeyFormat string

// Formats of API keys. KeyFormatE2B is for clients of E2B that accept only keys in that
// format.
const (
	KeyFormatDefault KeyFormat = "pyapi"
	KeyFormatE2B     KeyFormat = "e2b"
)

// KeyFormats returns all formats of API keys.
func KeyFormats() []KeyFormat { return []KeyFormat{KeyFormatDefault, KeyFormatE2B} }

// KeySpec describes a new API key.
type KeySpec struct {
	Name string
	// ExpiresAt is the time when the key expires. It is zero if the key does not
	// expire.
	ExpiresAt time.Time
	// Scopes contains the scopes of the key; nil means DefaultScopes. If the caller
	// sent an API key, the default contains only scopes that this API key also has.
	Scopes []Scope
	// Format is the format of the key; "" means KeyFormatDefault.
	Format KeyFormat
}

// KeyChange contains changes of an API key. A field with its zero value means no
// change.
type KeyChange struct {
	Name      string
	ExpiresAt time.Time
}

// RefreshToken is the stored record of a refresh token. A client exchanges a token once
// for a new token of the same family. If somebody sends a used token again, the server
// revokes the whole family of the token (RFC 9700, section 4.14.2). There is one
// exception: for a short time after the exchange, the same client may repeat the
// exchange.
type RefreshToken struct {
	// Hash is the SHA-256 of the token.
	Hash     [32]byte
	FamilyID string
	UserID   UserID
	IssuedAt time.Time
	// ExpiresAt is the time when the token expires if it is not used.
	ExpiresAt time.Time
	// SpentAt is the time when the client exchanged the token for a new token. It is
	// zero for an unused token.
	SpentAt time.Time
	// ClientHash identifies the client that exchanged the token. Only this client may
	// repeat the exchange.
	ClientHash [32]byte
	// Client is the client to which the server sent the token.
	Client Client
}

// CredentialError says why a credential is invalid. It is the cause (the field Err) of
// an Error. The server writes this cause to the audit log, but never sends it to the
// caller.
type CredentialError struct {
	// User is the user to whom the password or token belongs. It is "" if there is no
	// such account or token.
	User UserID
	// Reused is true if somebody sent a refresh token that was already used.
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

// Client describes the program that sent a request. The server compares the IP address
// and the User-Agent header to recognize a retry. These two values do not prove identity,
// because callers can forge them.
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
	// APIKey is the account's first key. It is "" if the first key was deleted.
	APIKey string
	// RefreshToken is the new refresh token. It is "" if the method Renew issued the
	// Grant.
	RefreshToken string
	// SecondFactor is the kind of second-factor code in the login. It is "" if the
	// login had no such code.
	SecondFactor SecondFactorMethod
	// Registered is true if a sign-in at the OIDC provider created the account.
	Registered bool
	// EmailConfirmed is true if the sign-in confirmed the e-mail address of the
	// account.
	EmailConfirmed bool
}

// AccountService authenticates callers and manages accounts. It is safe for
// concurrent use. All errors are *Error. Wrong or missing credentials cause
// CodeUnauthenticated or CodeInvalidCredentials.
type AccountService interface {
	// Register creates an account. It checks the invite only if the settings of the
	// server require an invite for registration.
	Register(ctx context.Context, email, password, invite string) (*Grant, error)
	// Login returns a grant if the password is right. A login for an unknown address
	// takes equally long, so that callers cannot find out who has an account. If the
	// account has a second factor, Login also needs a code. Without a code it fails
	// with CodeSecondFactorRequired. With a wrong code it fails with
	// CodeInvalidSecondFactor. If the server requires a confirmed e-mail address, and
	// the address is not confirmed, Login fails with CodeEmailUnconfirmed.
	Login(ctx context.Context, email, password, code string) (*Grant, error)
	// Authenticate returns the owner of the credentials. If a request contains two
	// credentials, both must belong to the same user.
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
	// Refresh exchanges a refresh token for a new grant.
	Refresh(ctx context.Context, refreshToken string, client Client) (*Grant, error)
	// Renew issues a new JWT to a caller who sent a valid JWT. It fails if the login
	// that issued the old JWT was revoked.
	Renew(ctx context.Context, p *Principal) (*Grant, error)
	// Logout revokes the family of the refresh token. If the token is "", Logout revokes
	// all families of the user.
	Logout(ctx context.Context, p *Principal, refreshToken string) error
	// RequireLogin fails with CodeUnauthenticated if the caller sent the JWT of a login
	// that has ended.
	RequireLogin(ctx context.Context, p *Principal) error
	// ChangePassword replaces the password and revokes all refresh tokens of the user.
	ChangePassword(ctx context.Context, p *Principal, current, replacement string) error
	// CreateKey creates an API key. It returns the stored record and the key itself,
	// which the server does not store. If the caller sent an API key, the new key can
	// have only scopes of the caller's key. Otherwise CreateKey fails with
	// CodeMissingScope.
	CreateKey(ctx context.Context, p *Principal, spec KeySpec) (*APIKey, string, error)
	// UpdateKey changes an API key of the caller.
	UpdateKey(ctx context.Context, p *Principal, id KeyID, c KeyChange) (*APIKey, error)
	// Keys returns the caller's keys after the cursor, but no more than "limit" keys.
	// It also returns the cursor of the next page. The returned cursor is "" on the
	// last page.
	Keys(ctx context.Context, p *Principal, cursor string, limit int) ([]*APIKey, string, error)
	DeleteKey(ctx context.Context, p *Principal, id KeyID) error
}
