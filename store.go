package pyth

import (
	"context"
	"fmt"
	"time"
)

// Store holds the persistent data. When a write returns nil, the change survives
// SIGKILL and power loss. Methods fail with CodeNotFound if the requested object does
// not exist. A Store is safe for concurrent use.
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
	ExecutionStore
	QueueStore
	IdempotencyStore
	UsageStore
	WebhookStore
	InviteStore
	ResetTokenStore
	EmailConfirmationStore
	SecondFactorStore
	IdentityStore
	AdministrationStore
	StatsStore
	// Ping checks that the store can serve requests.
	Ping(ctx context.Context) error
	// CheckWrite makes a durable write. It returns an error if the store cannot store
	// data durably at the moment.
	CheckWrite(ctx context.Context) error
	Close() error
}

// UserStore stores accounts.
type UserStore interface {
	// CreateUser stores the user, the first API key and the encrypted data key in one
	// transaction. It fails with CodeEmailTaken if another account has the e-mail
	// address.
	CreateUser(ctx context.Context, u *User, key *APIKey, dataKey *DataKey) error
	User(ctx context.Context, id UserID) (*User, error)
	// UserByEmail finds a user by e-mail address. Upper and lower case do not matter.
	UserByEmail(ctx context.Context, email string) (*User, error)
	// SetPasswordHash replaces the hash "old" with the hash "replacement". It fails with
	// CodeConflict if the stored hash differs from "old". A login calls SetPasswordHash
	// after it has hashed the password with new parameters. Because of this check, the
	// login cannot overwrite a concurrent change of the password.
	SetPasswordHash(ctx context.Context, id UserID, old, replacement string) error
	// ChangePassword is like SetPasswordHash, but also revokes all refresh tokens of
	// the user in the same transaction.
	ChangePassword(ctx context.Context, id UserID, old, replacement string) error
	// SetEmail replaces the e-mail address of the user. It fails with CodeEmailTaken if
	// another account has the address. If the new address differs from the current
	// address in more than case, SetEmail sets User.EmailUnconfirmedAt to the given
	// time. SetEmail deletes the reset tokens and the e-mail confirmations of the user.
	SetEmail(ctx context.Context, id UserID, email string, unconfirmedAt time.Time) error
	// DeleteUser deletes the user and all rows that belong to the user. It does not
	// delete the records of the audit log. EraseAudit removes the content of these
	// records. For a user with many runs, DeleteUser uses several transactions, so that
	// other writers do not wait too long. The last transaction deletes the user and the
	// credentials. DeleteUser fails with CodeLastAdmin if no enabled administrator would
	// remain.
	DeleteUser(ctx context.Context, id UserID) error
}

// APIKeyStore stores API keys.
type APIKeyStore interface {
	CreateAPIKey(ctx context.Context, key *APIKey) error
	// APIKeyByHash returns the key and its user.
	APIKeyByHash(ctx context.Context, hash [32]byte) (*APIKey, *User, error)
	// APIKeys returns the user's keys whose ID is greater than "after", oldest first.
	// It returns no more than "limit" keys.
	APIKeys(ctx context.Context, user UserID, after KeyID, limit int) ([]*APIKey, error)
	// UpdateAPIKey changes a key of the user and returns the changed key. It fails with
	// CodeNotFound if the user has no key with this ID.
	UpdateAPIKey(ctx context.Context, user UserID, id KeyID, c KeyChange) (*APIKey, error)
	// SetKeysUsed stores the time of last use of each key. It never replaces a time
	// with an earlier time. It ignores keys that do not exist.
	SetKeysUsed(ctx context.Context, used map[KeyID]time.Time) error
	// DeleteAPIKey deletes a key of the user. It fails with CodeNotFound if the user
	// has no key with this ID.
	DeleteAPIKey(ctx context.Context, user UserID, id KeyID) error
	// PrimaryAPIKey returns the user's oldest key that has a non-empty field Sealed.
	PrimaryAPIKey(ctx context.Context, user UserID) (*APIKey, error)
}

// RefreshTokenStore stores refresh tokens.
type RefreshTokenStore interface {
	CreateRefreshToken(ctx context.Context, t *RefreshToken) error
	RefreshToken(ctx context.Context, hash [32]byte) (*RefreshToken, error)
	// RotateRefreshToken marks the token as used and stores the new token in one
	// transaction. It fails with CodeConflict if the token was used before. It fails
	// with CodeNotFound if the family of the token is revoked.
	RotateRefreshToken(ctx context.Context, spent [32]byte, client [32]byte, at time.Time, next *RefreshToken) error
	// AddSuccessor stores a second new token for a used token. A client needs the
	// second token if it did not receive the first new token. AddSuccessor fails with
	// CodeNotFound if the family is revoked.
	AddSuccessor(ctx context.Context, spent [32]byte, next *RefreshToken) error
	// FamilyActive reports whether the family has a token that expires after the given
	// time.
	FamilyActive(ctx context.Context, user UserID, family string, at time.Time) (bool, error)
	// Logins returns the user's families that have a valid token at the time "at",
	// sorted by ID. It returns families with an ID greater than "after", but no more
	// than "limit" families. It does not set CreatedAt.
	Logins(ctx context.Context, user UserID, at time.Time, after string, limit int) ([]*Login, error)
	// RevokeFamily deletes the tokens of the family. It does nothing if the family has
	// no tokens.
	RevokeFamily(ctx context.Context, user UserID, family string) error
	// RevokeAll deletes all refresh tokens of the user.
	RevokeAll(ctx context.Context, user UserID) error
	// DeleteExpiredRefreshTokens deletes all refresh tokens that expired before the
	// given time.
	DeleteExpiredRefreshTokens(ctx context.Context, before time.Time) error
}

// WrappedKey is a key that is encrypted with a root key.
type WrappedKey struct {
	// RootKey is the ID of the root key.
	RootKey string
	Bytes   []byte
}

// DataKey is a user's data key for envelope encryption: it encrypts the user's data,
// and a root key encrypts the data key.
type DataKey struct {
	UserID  UserID
	Version int
	Wrapped WrappedKey
}

// ServerKey is a key of the server itself, for example the key that signs JWTs.
type ServerKey struct {
	Name    string
	Wrapped WrappedKey
}

// KeyStore stores keys that are encrypted with a root key. Methods that store a key
// fail with CodeConflict if the key is encrypted with a retired root key. So if a key
// is created during a rotation of the root key, the rotation cannot miss this key.
type KeyStore interface {
	DataKey(ctx context.Context, user UserID) (*DataKey, error)
	// DataKeys returns the data keys of users whose ID is greater than "after", sorted
	// by user ID. It returns at most "limit" keys.
	DataKeys(ctx context.Context, after UserID, limit int) ([]*DataKey, error)
	// ServerKey returns the server key with the given name.
	ServerKey(ctx context.Context, name string) (*ServerKey, error)
	ServerKeys(ctx context.Context) ([]*ServerKey, error)
	// CreateServerKey stores a new key. It fails with CodeConflict if a key with the
	// same name exists.
	CreateServerKey(ctx context.Context, key *ServerKey) error
	// RetireRootKeys retires root keys. From then on, the store rejects keys that are
	// encrypted with these root keys. The caller may retire a root key more than once.
	RetireRootKeys(ctx context.Context, ids []string) error
	// DataKeysNotUnder returns data keys that are not encrypted with the given root
	// key, but no more than "limit" keys.
	DataKeysNotUnder(ctx context.Context, rootKey string, limit int) ([]*DataKey, error)
	// RewrapDataKeys stores the new encrypted form of the data keys in one transaction.
	// It skips keys whose version has changed.
	RewrapDataKeys(ctx context.Context, keys []*DataKey) error
	RewrapServerKey(ctx context.Context, key *ServerKey) error
}

// SealedSecret is a secret with its encrypted value. The encryption authenticates the
// user, the name and the version of the secret. So an attacker cannot exchange the
// values of two secrets.
type SealedSecret struct {
	Secret
	Sealed []byte
}

// SecretStore stores sealed secrets.
type SecretStore interface {
	SealedSecret(ctx context.Context, user UserID, name string) (*SealedSecret, error)
	// SealedSecrets returns the user's sealed secrets, sorted by name.
	SealedSecrets(ctx context.Context, user UserID) ([]*SealedSecret, error)
	// PutSecret stores version 1 of a new secret, or the next version of an existing
	// secret. An existing secret keeps its times of creation and last use. PutSecret
	// fails with CodeConflict if the version is not the next version. It also fails
	// with CodeConflict if the secret is new and the user already has "limit" secrets.
	PutSecret(ctx context.Context, user UserID, s *SealedSecret, limit int) error
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// CountSecrets returns the number of the user's secrets.
	CountSecrets(ctx context.Context, user UserID) (int64, error)
	// SetSecretsUsed stores the time of last use of each secret. It ignores secrets
	// that do not exist.
	SetSecretsUsed(ctx context.Context, used map[UserID]map[string]time.Time) error
}

// AuditRecord is the stored form of an audit entry. It contains the entry (Record), the
// fields by which the store finds the entry, and hashes of the Merkle tree. A pruned
// record has only Sequence and Hashes. An erased record has only Sequence, Hashes and
// Timestamp.
type AuditRecord struct {
	Sequence int64
	// User is the user whose audit log contains the entry. It is "" if the caller was
	// unknown.
	User      UserID
	Action    Action
	Outcome   AuditOutcome
	Timestamp time.Time
	Record    []byte
	// Hashes contains the hashes of all complete subtrees that end with this record.
	// The smallest subtree is the first. If the binary form of Sequence ends in n ones,
	// Hashes has n+1 elements.
	Hashes [][32]byte
}

// AuditPosition is a position in a list of audit records. The list is sorted by time.
// Records with the same time are sorted by sequence number.
type AuditPosition struct {
	Timestamp time.Time
	Sequence  int64
}

// AuditStore stores the audit log. Stored records never change, with two exceptions:
// PruneAudit and EraseAudit remove the content of records and keep their hashes.
type AuditStore interface {
	// AppendAudit appends records and replaces the checkpoint in one transaction. It
	// fails with CodeConflict if the Sequence of the first record is not equal to the
	// size of the log.
	AppendAudit(ctx context.Context, records []*AuditRecord, checkpoint []byte) error
	// AuditHead returns the size of the log and the last checkpoint. The checkpoint is
	// nil if the log has none yet. The size is also the sequence number of the next
	// record.
	AuditHead(ctx context.Context) (size int64, checkpoint []byte, err error)
	// AuditPage returns the user's records before the position, newest first. The
	// records do not contain Hashes. AuditPage returns no more than "limit" records.
	// The zero position means the end of the log.
	AuditPage(ctx context.Context, user UserID, f AuditFilter, before AuditPosition, limit int) ([]*AuditRecord, error)
	// AuditRecords returns the records whose sequence number is "from" or greater. It
	// also returns pruned records. The records are sorted by sequence number.
	// AuditRecords returns no more than "limit" records.
	AuditRecords(ctx context.Context, from int64, limit int) ([]*AuditRecord, error)
	// AuditHashes returns the field Hashes of each record. It fails with CodeNotFound
	// if a record is missing.
	AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error)
	// PruneAudit removes the content of the records whose sequence number is at least
	// "from" and less than "to".
	PruneAudit(ctx context.Context, from, to int64) error
	// AuditSequences returns the sequence numbers of the user's records in ascending
	// order, but no more than "limit" numbers.
	AuditSequences(ctx context.Context, user UserID, limit int) ([]int64, error)
	// EraseAudit removes the content of the user's records with these sequence numbers.
	// The field Timestamp of the records stays.
	EraseAudit(ctx context.Context, user UserID, sequences []int64) error
}

// SharedAuditStore is an AuditStore to which several servers append records.
type SharedAuditStore interface {
	AuditStore
	// LockAudit calls the function f. While f runs, no other server can append to the
	// log. When LockAudit returns nil, it has stored the records from f in one
	// transaction. If an attempt fails and stores nothing, LockAudit may call f again.
	LockAudit(ctx context.Context, f func(context.Context, LockedAudit) error) error
}

// LockedAudit is the audit log while no other server can append to it. It is valid
// until the function that received the LockedAudit returns.
type LockedAudit interface {
	// Head returns the same values as AuditStore.AuditHead.
	Head() (size int64, checkpoint []byte)
	// AuditHashes is like AuditStore.AuditHashes.
	AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error)
	// Append is like AuditStore.AppendAudit. The caller may call Append only once.
	Append(records []*AuditRecord, checkpoint []byte) error
}

// EncryptedProgramStore stores encrypted programs.
type EncryptedProgramStore interface {
	// StoreCode stores the program under the name. If the name already exists, the
	// times of creation and last run stay the same. StoreCode fails with CodeConflict
	// if the name is new and the user already has "limit" programs.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram, at time.Time, limit int) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes returns the user's programs, sorted by the bytes of their names.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	// CountCodes returns the number of the user's programs.
	CountCodes(ctx context.Context, user UserID) (int64, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted sets the time of the program's last run. It does nothing if the
	// program does not exist.
	NoteExecuted(ctx context.Context, user UserID, name string, at time.Time) error
}

// PackageStore stores the lockfiles of users.
type PackageStore interface {
	// PackageList returns the user's lockfile. If there is no lockfile yet, it returns
	// an empty list with revision 0.
	PackageList(ctx context.Context, user UserID, runtime Runtime) (*PackageList, error)
	// PackageLayers returns the layers for the user's runs. It must be fast, because
	// each run calls it.
	PackageLayers(ctx context.Context, user UserID) (Layers, error)
	// PutPackageList replaces the user's lockfile if the stored revision is
	// list.Revision-1. If the stored revision is different, PutPackageList fails with
	// CodeConflict.
	PutPackageList(ctx context.Context, user UserID, list *PackageList) error
	// UsedLayers returns the layers of all lockfiles of all users, without
	// duplicates.
	UsedLayers(ctx context.Context) ([]LayerID, error)
}

// TokenBudgetStore stores how many model tokens each user has used on a day. A day
// begins and ends at midnight in UTC. For each user, the store keeps only the latest
// day.
type TokenBudgetStore interface {
	// TakeTokens takes tokens from the user's budget of the day. It takes as many
	// tokens as possible, but no more than "maximum", and returns their number. The
	// size of the budget is "limit". If fewer than "minimum" tokens are left,
	// TakeTokens takes no tokens and fails with CodeTokenBudget.
	TakeTokens(ctx context.Context, user UserID, day time.Time, minimum, maximum, limit int64) (taken int64, err error)
	// ReturnTokens returns unused tokens to the user's budget of the day. A negative
	// number takes further tokens from the budget. If the day is not the user's latest
	// day, ReturnTokens does nothing.
	ReturnTokens(ctx context.Context, user UserID, day time.Time, tokens int64) error
	// TokensTaken returns the number of tokens that the user has used on the given day:
	// the taken tokens minus the returned tokens.
	TokensTaken(ctx context.Context, user UserID, day time.Time) (int64, error)
}

// ExecutionStore stores the records of runs. The record of an ended run never changes,
// but its content can be removed.
type ExecutionStore interface {
	// PutExecutions stores new records and replaces records that have not ended, in one
	// transaction. If the stored record has ended, PutExecutions ignores the new one.
	// It also ignores records of users that do not exist. If Sealed is nil,
	// PutExecutions removes the stored content. If the state of a record becomes
	// StateEnded, PutExecutions adds the run to the usage of the user in the same
	// transaction.
	PutExecutions(ctx context.Context, records []*SealedExecution) error
	SealedExecution(ctx context.Context, user UserID, id ExecutionID) (*SealedExecution, error)
	// Executions returns the user's records that match the filter, by descending ID. It
	// returns records with an ID less than "before", but no more than "limit" records.
	// If "before" is "", the first record is the one with the highest ID.
	Executions(ctx context.Context, user UserID, f ExecutionFilter, before ExecutionID, limit int) ([]*ExecutionRecord, error)
	// DeleteExecution deletes a record and its content. It fails with CodeConflict if
	// the run has not ended.
	DeleteExecution(ctx context.Context, user UserID, id ExecutionID) error
	// UnendedExecutions returns the records of runs that have not ended, by ascending ID.
	// The runs belong to all users. The records do not contain the content of the runs.
	// UnendedExecutions returns records with an ID greater than "after", but no more than
	// "limit" records. It does not return asynchronous runs.
	UnendedExecutions(ctx context.Context, after ExecutionID, limit int) ([]*ExecutionRecord, error)
	// ExpireExecutionContents removes the content of runs that ended before the given
	// time, and sets the field Content of their records to ContentExpired. It changes
	// at most "limit" runs and returns their number.
	ExpireExecutionContents(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteOldExecutions deletes records of ended runs that were created before the
	// given time. It deletes at most "limit" records and returns their number.
	DeleteOldExecutions(ctx context.Context, before time.Time, limit int) (int, error)
}

// CheckSchema returns an error if the schema of a database comes from a newer version
// of this program. The parameters are the version of the schema and the newest version
// that this program supports.
func CheckSchema(current, known int64) error {
	if current <= known {
		return nil
	}
	return fmt.Errorf("the database has schema %d from a newer version of pyth-on, but this version needs schema %d; install the newer version", current, known)
}

// RateLimitStore stores token buckets that several servers share.
type RateLimitStore interface {
	// TakeToken takes a token from the bucket with this name and key. The bucket gains
	// "size" tokens in each period "per", and holds no more than "size" tokens. A new
	// bucket is full. TakeToken returns the number of remaining tokens. It also reports
	// whether it has taken a token.
	TakeToken(ctx context.Context, name, key string, size int, per time.Duration) (left float64, ok bool, err error)
	// DeleteFullBuckets deletes buckets that are full.
	DeleteFullBuckets(ctx context.Context) error
}
