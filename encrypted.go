package pyth

import (
	"context"
	"time"
)

// EncryptedProgram is a program that its author encrypted (docs/zero-knowledge.md).
// The server can check its form and cannot read its content.
type EncryptedProgram struct {
	Language Language
	// Name is the name that the encryption is bound to; "" for none. A bound program
	// can be stored only under that name.
	Name       string
	KDF        KDF
	Nonce      []byte
	Ciphertext []byte
}

// MaxMasterPassword is the maximum length of a master password, in bytes.
const MaxMasterPassword = 1024

// KDF are the parameters of Argon2id (RFC 9106).
type KDF struct {
	Salt        []byte
	Time        int
	MemoryKiB   int
	Parallelism int
}

// StoredProgram describes a stored encrypted program.
type StoredProgram struct {
	Name      string
	Language  Language
	SizeBytes int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// LastExecutedAt is zero for never.
	LastExecutedAt time.Time
}

// EncryptedJob is an encrypted program with its password. The sandbox decrypts it.
type EncryptedJob struct {
	// Name is the name of the stored program.
	Name string
	Code *EncryptedProgram
	// Password is the master password. It is overwritten when a sandbox has it.
	Password []byte
	// Sealed is the password encrypted to the key of a reserved sandbox (RFC 9180), in
	// which the program then runs; empty for none.
	Sealed  []byte
	Sandbox ReservationID
}

// ReservationID identifies a reservation.
type ReservationID string

// Reservation is a sandbox that waits for a sealed password of its user. It serves
// one run.
type Reservation struct {
	ID ReservationID
	// PublicKey belongs to a key pair that the sandbox generated.
	PublicKey []byte
	ExpiresAt time.Time
}

// EncryptedService manages encrypted programs. It is safe for concurrent use.
type EncryptedService interface {
	// Encrypt encrypts a program for clients that cannot do it themselves. The result
	// is bound to no name. The password is not kept.
	Encrypt(ctx context.Context, language Language, code, password []byte) (*EncryptedProgram, error)
	// StoreCode creates or replaces the program with the name. It fails with
	// CodeConflict if the user has reached the maximum.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes lists the user's programs in the order of their names.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted records the current time as the last execution of the program. It
	// returns before the time is stored.
	NoteExecuted(user UserID, name string)
	// Reserve fails with CodeOverloaded if there is no capacity, and with
	// CodeConflict if the user has reached the maximum.
	Reserve(ctx context.Context, user UserID) (*Reservation, error)
}

// ReservationHost keeps the sandboxes of reservations. It may be another process or
// machine. Its Dispatch runs a Job for a reservation of the job's tenant in that
// sandbox, which ends the reservation. It fails with CodeNotFound if the reservation
// does not exist.
type ReservationHost interface {
	Dispatcher
	// Reserve returns when a sandbox with these packages has generated its key. Errors
	// are those of EncryptedService.
	Reserve(ctx context.Context, user UserID, layers Layers, id ReservationID) (*Reservation, error)
}
