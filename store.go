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
	KeyStore
	SecretStore
	TokenBudgetStore
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

// WrappedKey is a key that is encrypted under a root key.
type WrappedKey struct {
	// RootKey identifies that.
	RootKey string
	Bytes   []byte
}

// DataKey is a user's key for the envelope encryption.
type DataKey struct {
	UserID  UserID
	Version int
	Wrapped WrappedKey
}

// ServerKey is a key of the server itself, such as that which signs tokens.
type ServerKey struct {
	Name    string
	Wrapped WrappedKey
}

// KeyStore keeps keys that are wrapped by a root key. A new key that is wrapped
// by one that is retired is refused with CodeConflict: so none is left behind by
// a rotation that goes on at the same time.
type KeyStore interface {
	DataKey(ctx context.Context, user UserID) (*DataKey, error)
	// DataKeys lists those of users after the one given, in the order of their
	// ids, at most limit.
	DataKeys(ctx context.Context, after UserID, limit int) ([]*DataKey, error)
	// ServerKey finds a key by its name.
	ServerKey(ctx context.Context, name string) (*ServerKey, error)
	ServerKeys(ctx context.Context) ([]*ServerKey, error)
	// CreateServerKey keeps the first key of a name: CodeConflict for others.
	CreateServerKey(ctx context.Context, key *ServerKey) error
	// RetireRootKeys has no further key wrapped by them; twice is no error.
	RetireRootKeys(ctx context.Context, ids []string) error
	// DataKeysNotUnder lists some of the data keys that are wrapped by another
	// than this root key.
	DataKeysNotUnder(ctx context.Context, rootKey string, limit int) ([]*DataKey, error)
	// RewrapDataKeys replaces what wraps the keys, in one transaction. A key is
	// left alone if it is not of that version any more.
	RewrapDataKeys(ctx context.Context, keys []*DataKey) error
	RewrapServerKey(ctx context.Context, key *ServerKey) error
}

// SealedSecret is a secret with its value as it is kept: encrypted for this user,
// name and version.
type SealedSecret struct {
	Secret
	Sealed []byte
}

// SecretStore keeps sealed secrets.
type SecretStore interface {
	SealedSecret(ctx context.Context, user UserID, name string) (*SealedSecret, error)
	// SealedSecrets lists the user's by name.
	SealedSecrets(ctx context.Context, user UserID) ([]*SealedSecret, error)
	// PutSecret stores version 1 of a secret that is not there, unless the user
	// has as many as the limit, or the version after the one that is; its creation and
	// use stay. Otherwise it fails with CodeConflict.
	PutSecret(ctx context.Context, user UserID, s *SealedSecret, limit int) error
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// SetSecretsUsed notes when secrets were used; those that are not there (any
	// more) are left out.
	SetSecretsUsed(ctx context.Context, used map[UserID]map[string]time.Time) error
}

// TokenBudgetStore keeps how many tokens of models users have taken on a day. A
// day is that of UTC which the time is in; only the latest of a user is kept.
type TokenBudgetStore interface {
	// TakeTokens takes what is left of the day up to the limit, but no more than
	// most. If that is less than least it takes none and fails with
	// CodeTokenBudget.
	TakeTokens(ctx context.Context, user UserID, day time.Time, least, most, limit int64) (taken int64, err error)
	// ReturnTokens gives back what was taken and not used, or with a negative
	// number takes what was used beyond. A day that is over is left alone.
	ReturnTokens(ctx context.Context, user UserID, day time.Time, tokens int64) error
}
