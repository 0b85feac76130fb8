package pyth

import (
	"context"
	"time"
)

// Store keeps what must survive a restart. Acknowledged means durable: when a
// method that writes returns nil, the change survives kill -9 and power loss.
// Methods are safe for concurrent use. What is absent is CodeNotFound.
type Store interface {
	UserStore
	APIKeyStore
	RefreshTokenStore
	// DataKeyStore keeps the wrapped per-user keys of the envelope encryption.
	DataKeyStore
	EncryptedCodeStore
	// Ping tells whether the store can serve.
	Ping(ctx context.Context) error
	Close() error
}

// UserStore keeps accounts.
type UserStore interface {
	// CreateUser stores the user, the first API key and the wrapped data key
	// in one transaction, or fails with CodeEmailTaken.
	CreateUser(ctx context.Context, u *User, key *APIKey, dataKey *DataKey) error
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail compares without regard to case.
	UserByEmail(ctx context.Context, email string) (*User, error)
	// SetPasswordHash replaces the hash if it still is old, so that a rehash
	// cannot undo a password change made meanwhile; otherwise CodeConflict.
	SetPasswordHash(ctx context.Context, id UserID, old, replacement string) error
	// ChangePassword replaces the hash if it still is old (otherwise
	// CodeConflict) and revokes all refresh tokens, in one transaction.
	ChangePassword(ctx context.Context, id UserID, old, replacement string) error
}

// APIKeyStore keeps API keys.
type APIKeyStore interface {
	CreateAPIKey(ctx context.Context, key *APIKey) error
	// APIKeyByHash finds the key and its user.
	APIKeyByHash(ctx context.Context, hash [32]byte) (*APIKey, *User, error)
	// APIKeys lists the user's keys, oldest first, those with an ID greater
	// than after, at most limit.
	APIKeys(ctx context.Context, user UserID, after KeyID, limit int) ([]*APIKey, error)
	// DeleteAPIKey fails with CodeNotFound for another user's key.
	DeleteAPIKey(ctx context.Context, user UserID, id KeyID) error
	// PrimaryAPIKey is the user's oldest key with a sealed copy.
	PrimaryAPIKey(ctx context.Context, user UserID) (*APIKey, error)
}

// RefreshTokenStore keeps refresh tokens.
type RefreshTokenStore interface {
	CreateRefreshToken(ctx context.Context, t *RefreshToken) error
	RefreshToken(ctx context.Context, hash [32]byte) (*RefreshToken, error)
	// RotateRefreshToken marks the token as spent and stores its successor in
	// one transaction; CodeConflict if it was spent already, CodeNotFound if
	// its family is revoked.
	RotateRefreshToken(ctx context.Context, spent [32]byte, client [32]byte, at time.Time, next *RefreshToken) error
	// AddSuccessor stores another successor of a spent token, for a client that
	// lost the first; CodeNotFound if its family is revoked.
	AddSuccessor(ctx context.Context, spent [32]byte, next *RefreshToken) error
	// FamilyLives tells whether the family has a token that ends after the time.
	FamilyLives(ctx context.Context, user UserID, family string, at time.Time) (bool, error)
	// RevokeFamily deletes the token's family; revoking twice is no error.
	RevokeFamily(ctx context.Context, user UserID, family string) error
	// RevokeAll deletes all of the user's refresh tokens.
	RevokeAll(ctx context.Context, user UserID) error
	// DeleteExpiredRefreshTokens removes what ended before the time.
	DeleteExpiredRefreshTokens(ctx context.Context, before time.Time) error
}

// DataKey is a user's key for the envelope encryption, wrapped by the root key.
type DataKey struct {
	UserID  UserID
	Version int
	Wrapped []byte
}

// DataKeyStore keeps wrapped data keys.
type DataKeyStore interface {
	DataKey(ctx context.Context, user UserID) (*DataKey, error)
	// AnyDataKey is some user's key: CodeNotFound as long as there are no
	// accounts.
	AnyDataKey(ctx context.Context) (*DataKey, error)
}

// EncryptedCodeStore keeps encrypted programs, as they are.
type EncryptedCodeStore interface {
	// StoreCode makes the program of that name, or replaces it but for the times
	// of its making and last execution. It fails with CodeConflict when it would
	// be more than so many of the user.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedCode, at time.Time, most int) (s *StoredCode, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes lists the user's by name, in the order of its bytes.
	Codes(ctx context.Context, user UserID) ([]*StoredCode, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedCode, error)
	// NoteExecuted sets the time of the last execution; no program of that name
	// is no error.
	NoteExecuted(ctx context.Context, user UserID, name string, at time.Time) error
}
