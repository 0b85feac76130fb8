package pyth

import (
	"context"
	"time"
)

// Credentials are what a request carried to prove who its caller is; empty
// strings for what it did not carry.
type Credentials struct {
	APIKey string
	Bearer string
}

// Client recognises the caller's program across a retry. It proves nothing.
type Client struct {
	IP        string
	UserAgent string
}

// Grant is what a caller gets who has proved who they are.
type Grant struct {
	User User
	// Token is a JWT, ExpiresAt its end.
	Token     string
	ExpiresAt time.Time
	// APIKey is the account's first key; "" if it was revoked.
	APIKey string
	// RefreshToken is "" when the grant was renewed by a JWT alone.
	RefreshToken string
}

// AccountService knows who callers are. Errors are *Error; wrong or missing
// credentials are CodeUnauthenticated or CodeInvalidCredentials. Safe for
// concurrent use.
type AccountService interface {
	// Register makes an account. The invite is looked at only when
	// registration is by invitation.
	Register(ctx context.Context, email, password, invite string) (*Grant, error)
	// Login takes the same time whether or not the account exists.
	Login(ctx context.Context, email, password string) (*Grant, error)
	// Authenticate resolves a request's credentials. When there are two they
	// must name the same user.
	Authenticate(ctx context.Context, c Credentials) (*Principal, error)
	// Refresh exchanges a refresh token for a new grant.
	Refresh(ctx context.Context, refreshToken string, client Client) (*Grant, error)
	// Renew gives a caller with a still valid JWT a new one, as long as the
	// login that it came of has not been revoked.
	Renew(ctx context.Context, p *Principal) (*Grant, error)
	// Logout revokes the token's family, or, without a token, all of the
	// user's families.
	Logout(ctx context.Context, p *Principal, refreshToken string) error
	// ChangePassword also revokes all refresh tokens.
	ChangePassword(ctx context.Context, p *Principal, current, replacement string) error
	// CreateKey returns the key's record and the key itself, which is not
	// kept. A zero expiresAt means that it does not expire.
	CreateKey(ctx context.Context, p *Principal, name string, expiresAt time.Time) (*APIKey, string, error)
	// Keys lists a page of keys after the cursor, and the next cursor if there
	// are more.
	Keys(ctx context.Context, p *Principal, cursor string, limit int) ([]*APIKey, string, error)
	DeleteKey(ctx context.Context, p *Principal, id KeyID) error
}

// Program is a request to run code. Zero values mean the defaults.
type Program struct {
	Language Language
	// Runtime is one of the operator's own, or the one that is built in, which is
	// the default.
	Runtime     Runtime
	Code        string
	Stdin       string
	Args        []string
	Env         []EnvVar
	Files       []File
	OutputFiles []string
	Timeout     time.Duration
	Limits      Limits
	Isolation   Isolation
	Labels      []string
	// Network are the hosts that it may reach.
	Network []string
	// Results is whether rich values are wanted.
	Results bool
	// Session is the session to run in; "" for none.
	Session SessionID
	// Secrets are the names of those that it is given; AllSecrets is for all of
	// the user's.
	Secrets    []string
	AllSecrets bool
	// KeepSecrets leaves their values in the output.
	KeepSecrets bool
	// Encrypted is the program if it is encrypted; Code is empty then.
	Encrypted *EncryptedJob
}

// Execution is a run that has ended.
type Execution struct {
	ID        ExecutionID
	Language  Language
	CreatedAt time.Time
	Labels    []string
	// Session is the one that it ran in; "" for none.
	Session SessionID
	Outcome
}

// ExecutionService runs programs for users. Faulty programs are CodeInvalid or
// CodeTooLarge with field locations as in the API's body ("body.files[0].path");
// no room is CodeOverloaded. A program that fails is a result, not an error.
// Events may be nil.
type ExecutionService interface {
	Execute(ctx context.Context, user UserID, p *Program, events Events) (*Execution, error)
}

// ExecutionLimits are the defaults and maxima that an ExecutionService applies.
type ExecutionLimits struct {
	MaxCodeBytes, MaxStdinBytes, MaxFilesBytes int64
	MaxFiles, MaxArgs                          int
	DefaultTimeout, MaxTimeout                 time.Duration
	Default, Max                               Limits
}

// LanguageInfo is a language that this server runs.
type LanguageInfo struct {
	Name Language
	// Version is that of the runtime that is built in; "" if there is none.
	Version string
	// Runtimes are the operator's own that run it.
	Runtimes []RuntimeInfo
}

// RuntimeInfo is a runtime of the operator's own.
type RuntimeInfo struct {
	Name    Runtime
	Version string
}

// Check is the result of looking at one thing that the server depends on.
type Check struct {
	// Status is "ok", "degraded" or "unavailable".
	Status string
	Detail string
	// FreeBytes and TotalBytes are the room of what has some; TotalBytes is 0 for
	// all else.
	FreeBytes, TotalBytes int64
}
