package pyth

import "time"

// KeyID identifies an API key.
type KeyID string

// APIKey is what the server keeps of an API key.
type APIKey struct {
	ID     KeyID
	UserID UserID
	Name   string
	// Prefix is the visible start of the key, enough to tell keys apart.
	Prefix string
	// Hash is the SHA-256 of the whole key, by which it is looked up. A plain
	// hash is enough: the key holds 190 bits of randomness.
	Hash [32]byte
	// Sealed is the key itself, envelope-encrypted. Only the account's first
	// key has it, because login returns that one again.
	Sealed    []byte
	CreatedAt time.Time
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt time.Time
}

// RefreshToken is what the server keeps of a refresh token: single use,
// rotated, and revoked as a family when a spent one is seen again
// (RFC 9700, section 4.14.2).
type RefreshToken struct {
	// Hash is the SHA-256 of the token.
	Hash     [32]byte
	FamilyID string
	UserID   UserID
	IssuedAt time.Time
	// ExpiresAt is when the token ends unused.
	ExpiresAt time.Time
	// SpentAt is when the token was exchanged; zero while it is fresh.
	SpentAt time.Time
	// ClientHash recognises the client that spent it, for the retry grace.
	ClientHash [32]byte
}

// CredentialError is the cause of an Error about a credential that is not good. It
// is for the audit log; callers are not told.
type CredentialError struct {
	// User is whose password or token was tried; "" if it is nobody's.
	User UserID
	// Reused is whether it is a refresh token that was spent before.
	Reused bool
}

func (e *CredentialError) Error() string {
	if e.Reused {
		return "a spent refresh token was used again"
	}
	return "the credential is not good"
}
