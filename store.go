package pyth

import (
	"context"
	"time"
)

// Store holds the persistent data. When a method that writes returns nil, the change
// survives kill -9 and power loss. Missing objects are CodeNotFound. Methods are
// safe for concurrent use.
type Store interface {
	UserStore
	APIKeyStore
	RefreshTokenStore
	KeyStore
	SecretStore
	AuditStore
	EncryptedProgramStore
	PackageStore
	TokenBudgetStore
	// Ping checks that the store can serve requests.
	Ping(ctx context.Context) error
	Close() error
}

// UserStore stores accounts.
type UserStore interface {
	// CreateUser stores the user, the first API key and the wrapped data key
	// in one transaction, or fails with CodeEmailTaken.
	CreateUser(ctx context.Context, u *User, key *APIKey, dataKey *DataKey) error
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail ignores case.
	UserByEmail(ctx context.Context, email string) (*User, error)
	// SetPasswordHash replaces the hash if it still equals old, and otherwise fails
	// with CodeConflict. So a rehash cannot undo a concurrent change of the password.
	SetPasswordHash(ctx context.Context, id UserID, old, replacement string) error
	// ChangePassword replaces the hash if it still equals old, and otherwise fails
	// with CodeConflict. It revokes all refresh tokens in the same transaction.
	ChangePassword(ctx context.Context, id UserID, old, replacement string) error
}

// APIKeyStore stores API keys.
type APIKeyStore interface {
	CreateAPIKey(ctx context.Context, key *APIKey) error
	// APIKeyByHash returns the key and its user.
	APIKeyByHash(ctx context.Context, hash [32]byte) (*APIKey, *User, error)
	// APIKeys lists at most limit keys of the user with an ID greater than after,
	// oldest first.
	APIKeys(ctx context.Context, user UserID, after KeyID, limit int) ([]*APIKey, error)
	// DeleteAPIKey fails with CodeNotFound for another user's key.
	DeleteAPIKey(ctx context.Context, user UserID, id KeyID) error
	// PrimaryAPIKey returns the user's oldest key with a sealed copy.
	PrimaryAPIKey(ctx context.Context, user UserID) (*APIKey, error)
}

// RefreshTokenStore stores refresh tokens.
type RefreshTokenStore interface {
	CreateRefreshToken(ctx context.Context, t *RefreshToken) error
	RefreshToken(ctx context.Context, hash [32]byte) (*RefreshToken, error)
	// RotateRefreshToken marks the token as spent and stores its successor in one
	// transaction. It fails with CodeConflict if the token was spent, and with
	// CodeNotFound if its family is revoked.
	RotateRefreshToken(ctx context.Context, spent [32]byte, client [32]byte, at time.Time, next *RefreshToken) error
	// AddSuccessor stores another successor of a spent token, for a client that lost
	// the first one. It fails with CodeNotFound if the family is revoked.
	AddSuccessor(ctx context.Context, spent [32]byte, next *RefreshToken) error
	// FamilyLives reports whether the family has a token that expires after the time.
	FamilyLives(ctx context.Context, user UserID, family string, at time.Time) (bool, error)
	// RevokeFamily deletes the family. A missing family is no error.
	RevokeFamily(ctx context.Context, user UserID, family string) error
	// RevokeAll deletes all of the user's refresh tokens.
	RevokeAll(ctx context.Context, user UserID) error
	// DeleteExpiredRefreshTokens deletes tokens that expired before the time.
	DeleteExpiredRefreshTokens(ctx context.Context, before time.Time) error
}

// WrappedKey is a key encrypted with a root key.
type WrappedKey struct {
	// RootKey is the ID of the root key.
	RootKey string
	Bytes   []byte
}

// DataKey is a user's key for envelope encryption.
type DataKey struct {
	UserID  UserID
	Version int
	Wrapped WrappedKey
}

// ServerKey is a key of the server, such as the key that signs tokens.
type ServerKey struct {
	Name    string
	Wrapped WrappedKey
}

// KeyStore stores keys that are wrapped by a root key. It refuses new keys under a
// retired root key with CodeConflict, so that a concurrent rotation misses no key.
type KeyStore interface {
	DataKey(ctx context.Context, user UserID) (*DataKey, error)
	// DataKeys lists at most limit keys of the users after the given one, in the
	// order of user IDs.
	DataKeys(ctx context.Context, after UserID, limit int) ([]*DataKey, error)
	// ServerKey returns the key with the name.
	ServerKey(ctx context.Context, name string) (*ServerKey, error)
	ServerKeys(ctx context.Context) ([]*ServerKey, error)
	// CreateServerKey fails with CodeConflict if a key with the name exists.
	CreateServerKey(ctx context.Context, key *ServerKey) error
	// RetireRootKeys makes the store refuse new keys under these root keys. Retiring
	// a key twice is no error.
	RetireRootKeys(ctx context.Context, ids []string) error
	// DataKeysNotUnder lists at most limit data keys that are wrapped by other root
	// keys.
	DataKeysNotUnder(ctx context.Context, rootKey string, limit int) ([]*DataKey, error)
	// RewrapDataKeys replaces the wrapped forms in one transaction. It skips keys
	// whose version has changed.
	RewrapDataKeys(ctx context.Context, keys []*DataKey) error
	RewrapServerKey(ctx context.Context, key *ServerKey) error
}

// SealedSecret is a secret with its encrypted value. The encryption is bound to the
// user, the name and the version.
type SealedSecret struct {
	Secret
	Sealed []byte
}

// SecretStore stores sealed secrets.
type SecretStore interface {
	SealedSecret(ctx context.Context, user UserID, name string) (*SealedSecret, error)
	// SealedSecrets lists the user's secrets in the order of their names.
	SealedSecrets(ctx context.Context, user UserID) ([]*SealedSecret, error)
	// PutSecret stores version 1 of a new secret, if the user has fewer than limit,
	// or the next version of an existing one, whose times of creation and use stay.
	// Otherwise it fails with CodeConflict.
	PutSecret(ctx context.Context, user UserID, s *SealedSecret, limit int) error
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// SetSecretsUsed stores the times of last use. It ignores secrets that do not
	// exist.
	SetSecretsUsed(ctx context.Context, used map[UserID]map[string]time.Time) error
}

// AuditRecord is the stored form of an audit entry: the record, the indexed fields,
// and its hashes in the tree. A pruned record has only Sequence and Hashes.
type AuditRecord struct {
	Sequence int64
	// User is "" if the caller was unknown.
	User      UserID
	Action    Action
	Outcome   AuditOutcome
	Timestamp time.Time
	Record    []byte
	// Hashes are the hashes of the subtrees that the record completes, its leaf
	// first. Their number is one more than the trailing one bits of Sequence.
	Hashes [][32]byte
}

// AuditPosition is a position in a list of audit records. The list is in the order
// of time and, because a clock may stand still or go back, of sequence.
type AuditPosition struct {
	Timestamp time.Time
	Sequence  int64
}

// AuditStore stores the audit log. Records are appended and never changed.
// Retention removes their content and keeps their hashes.
type AuditStore interface {
	// AppendAudit appends records and replaces the checkpoint, in one transaction. It
	// fails with CodeConflict if the size of the log differs from the first record's
	// sequence.
	AppendAudit(ctx context.Context, records []*AuditRecord, checkpoint []byte) error
	// AuditHead returns the size of the log, which is the sequence of the next record,
	// and the last checkpoint; nil if there is none.
	AuditHead(ctx context.Context) (size int64, checkpoint []byte, err error)
	// AuditPage lists at most limit records of the user before the position, latest
	// first and without hashes. A zero position is the end of the log.
	AuditPage(ctx context.Context, user UserID, f AuditFilter, before AuditPosition, limit int) ([]*AuditRecord, error)
	// AuditRecords lists at most limit records from the sequence on, in their order,
	// including pruned ones.
	AuditRecords(ctx context.Context, from int64, limit int) ([]*AuditRecord, error)
	// AuditHashes returns the Hashes of each record. It fails with CodeNotFound if one
	// is missing.
	AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error)
	// PruneAudit prunes the records with sequences in [from, to).
	PruneAudit(ctx context.Context, from, to int64) error
}

// EncryptedProgramStore stores encrypted programs.
type EncryptedProgramStore interface {
	// StoreCode creates or replaces the program with the name. The times of creation
	// and last execution stay. It fails with CodeConflict if the user would have more
	// than most programs.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram, at time.Time, most int) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes lists the user's programs in the byte order of their names.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted sets the time of the last execution. A missing program is no
	// error.
	NoteExecuted(ctx context.Context, user UserID, name string, at time.Time) error
}

// PackageStore stores the lockfiles of users.
type PackageStore interface {
	// PackageList returns the user's lockfile; an empty one of revision 0 if there is
	// none.
	PackageList(ctx context.Context, user UserID, runtime Runtime) (*PackageList, error)
	// PackageLayers returns the layers for the user's runs, with one indexed query.
	PackageLayers(ctx context.Context, user UserID) (Layers, error)
	// PutPackageList replaces the user's lockfile if the stored revision is one less,
	// and otherwise fails with CodeConflict.
	PutPackageList(ctx context.Context, user UserID, list *PackageList) error
	// UsedLayers returns the distinct layers of all lockfiles.
	UsedLayers(ctx context.Context) ([]LayerID, error)
}

// TokenBudgetStore counts the model tokens of users for each day. Days are in UTC.
// Only the latest day of a user is stored.
type TokenBudgetStore interface {
	// TakeTokens takes the rest of the day's limit, but at most most. If the rest is
	// less than least it takes nothing and fails with CodeTokenBudget.
	TakeTokens(ctx context.Context, user UserID, day time.Time, least, most, limit int64) (taken int64, err error)
	// ReturnTokens returns unused tokens, or takes more if the number is negative. It
	// does not change past days.
	ReturnTokens(ctx context.Context, user UserID, day time.Time, tokens int64) error
}
