package pyth

import (
	"context"
	"time"
)

// EncryptedProgram is a program that its author encrypted (docs/zero-knowledge.md).
// The server knows its form and nothing of its content.
type EncryptedProgram struct {
	Language Language
	// Name binds the program to the name that it is stored under; "" binds it to
	// none.
	Name       string
	KDF        KDF
	Nonce      []byte
	Ciphertext []byte
}

// MaxMasterPassword is the most bytes of a password that opens one.
const MaxMasterPassword = 1024

// KDF are the parameters of Argon2id (RFC 9106).
type KDF struct {
	Salt        []byte
	Time        int
	MemoryKiB   int
	Parallelism int
}

// StoredProgram is what is known of an encrypted program that is kept.
type StoredProgram struct {
	Name      string
	Language  Language
	SizeBytes int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// LastExecutedAt is zero for never.
	LastExecutedAt time.Time
}

// EncryptedJob is an encrypted program and what opens it, which happens in the
// sandbox.
type EncryptedJob struct {
	// Name is what the program is stored under.
	Name string
	Code *EncryptedProgram
	// Password opens it; it is wiped when a sandbox has it.
	Password []byte
	// Sealed is the password encrypted to the key of the reserved sandbox (RFC
	// 9180), in which the program then runs; empty for none.
	Sealed  []byte
	Sandbox ReservationID
}

// ReservationID identifies a sandbox that is reserved.
type ReservationID string

// Reservation is a sandbox that waits for a sealed password of its user, and
// serves one run.
type Reservation struct {
	ID ReservationID
	// PublicKey is of a key pair that was made in the sandbox.
	PublicKey []byte
	ExpiresAt time.Time
}

// EncryptedService keeps encrypted programs. It is safe for concurrent use.
type EncryptedService interface {
	// Encrypt encrypts a program, bound to no name, for those who do not do it
	// themselves. It does not keep the password.
	Encrypt(ctx context.Context, language Language, code, password []byte) (*EncryptedProgram, error)
	// StoreCode makes or replaces the program of that name. It fails with
	// CodeConflict when the user has as many as one may.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes lists the user's by name.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted notes, some time, that the program was executed just now.
	NoteExecuted(user UserID, name string)
	// Reserve fails with CodeOverloaded when there is no room, and with
	// CodeConflict when the user has as many as one may.
	Reserve(ctx context.Context, user UserID) (*Reservation, error)
}

// ReservationHost keeps sandboxes for sealed passwords. It may be another
// process or machine. A Job whose program is locked for a reservation of its
// tenant runs there, when it is given to the Dispatcher that the host is as
// well, and ends it; for one that is not there Dispatch fails with CodeNotFound.
type ReservationHost interface {
	Dispatcher
	// Reserve returns when the sandbox, with these packages, has made its key.
	// Errors are those of ZKService.
	Reserve(ctx context.Context, user UserID, layers Layers, id ReservationID) (*Reservation, error)
}
