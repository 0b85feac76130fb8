package pyth

import (
	"strings"
	"time"
)

// UserID identifies a user. A user is also the tenant: the one on whose
// behalf a sandbox runs, and who never shares it.
type UserID string

// User is an account.
type User struct {
	ID UserID
	// Email as the user wrote it, trimmed and with its domain in lower case.
	Email string
	// PasswordHash is in PHC string format.
	PasswordHash string
	CreatedAt    time.Time
}

// EmailKey is what e-mails are compared by: case does not matter.
func EmailKey(email string) string { return strings.ToLower(email) }

// Credential says how a caller proved who they are.
type Credential string

// The kinds of credentials.
const (
	CredentialNone   Credential = "none"
	CredentialJWT    Credential = "jwt"
	CredentialAPIKey Credential = "api_key"
)

// Principal is an authenticated caller.
type Principal struct {
	User       User
	Credential Credential
	// KeyPrefix is the visible start of the API key, when one was used.
	KeyPrefix string
	// FamilyID names the login that a JWT came of; "" for a key.
	FamilyID string
	// ExpiresAt is when the credential ends; zero when it does not.
	ExpiresAt time.Time
}
