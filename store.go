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
	AuditStore
	EncryptedProgramStore
	PackageStore
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

// AuditRecord is an entry of the audit log as it is kept: the record, what it
// is found by, and its part of the tree. Of one that was pruned only Sequence
// and Hashes are left.
type AuditRecord struct {
	Sequence int64
	// User is "" where the caller was not known.
	User      UserID
	Action    Action
	Outcome   AuditOutcome
	Timestamp time.Time
	Record    []byte
	// Hashes are those of the subtrees that the record completes, that of its
	// leaf first: one more than Sequence has ones at its binary end.
	Hashes [][32]byte
}

// AuditPosition is a place in a list of audit records, which goes by time and,
// as a clock may stand still or go back, by sequence.
type AuditPosition struct {
	Timestamp time.Time
	Sequence  int64
}

// AuditStore keeps the audit log. Records are added at its end only and never
// changed; retention drops what they say, not their hashes.
type AuditStore interface {
	// AppendAudit stores records that follow the last one without a gap, and the
	// checkpoint that covers them in place of the one before, in one transaction;
	// CodeConflict if the log has another size than the first record's sequence.
	AppendAudit(ctx context.Context, records []*AuditRecord, checkpoint []byte) error
	// AuditHead is the size of the log, which is the sequence of the next record,
	// and the checkpoint that was stored last; nil if none was.
	AuditHead(ctx context.Context) (size int64, checkpoint []byte, err error)
	// AuditPage lists records of the user, the latest first: those before the
	// position, if it is not zero, at most limit, without hashes.
	AuditPage(ctx context.Context, user UserID, f AuditFilter, before AuditPosition, limit int) ([]*AuditRecord, error)
	// AuditRecords lists records from the sequence on in their order, at most
	// limit, the pruned ones too.
	AuditRecords(ctx context.Context, from int64, limit int) ([]*AuditRecord, error)
	// AuditHashes gives the Hashes of each of the records; CodeNotFound if one is
	// absent.
	AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error)
	// PruneAudit prunes the records from one sequence up to, and without,
	// another.
	PruneAudit(ctx context.Context, from, to int64) error
}

// EncryptedProgramStore keeps encrypted programs, as they are.
type EncryptedProgramStore interface {
	// StoreCode makes the program of that name, or replaces it but for the times
	// of its making and last execution. It fails with CodeConflict when it would
	// be more than so many of the user.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram, at time.Time, most int) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes lists the user's by name, in the order of its bytes.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted sets the time of the last execution; no program of that name
	// is no error.
	NoteExecuted(ctx context.Context, user UserID, name string, at time.Time) error
}

// PackageStore keeps users' lists of packages.
type PackageStore interface {
	// PackageList is the user's list; an empty one of revision 0 if there is none.
	PackageList(ctx context.Context, user UserID, runtime Runtime) (*PackageList, error)
	// PackageLayers are those that the user's runs have; one indexed query.
	PackageLayers(ctx context.Context, user UserID) (Layers, error)
	// PutPackageList replaces the user's list as a whole, if its revision is the
	// one before; otherwise it fails with CodeConflict.
	PutPackageList(ctx context.Context, user UserID, list *PackageList) error
	// UsedLayers are the layers of all lists, without repetition.
	UsedLayers(ctx context.Context) ([]string, error)
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
