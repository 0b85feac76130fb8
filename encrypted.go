package pyth

import (
	"context"
	"time"
)

// EncryptedProgram is a program in encrypted form (docs/zero-knowledge.md). The
// server can check the format but cannot read the content.
type EncryptedProgram struct {
	Language Language
	// Name is the name of the program. It is "" for a program without a name. The
	// encryption authenticates the name, so the program can be stored and decrypted only
	// under this name.
	Name       string
	KDF        KDF
	Nonce      []byte
	Ciphertext []byte
}

// MaxMasterPassword is the maximum length of a master password in bytes.
const MaxMasterPassword = 1024

// KDF holds the parameters of Argon2id (RFC 9106), which derives the key from the
// password.
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
	// LastExecutedAt is the time of the last run. It is zero if the program was never
	// run.
	LastExecutedAt time.Time
}

// EncryptedJob is an encrypted program with its password. The sandbox decrypts the
// program.
type EncryptedJob struct {
	// Name is the name of the stored program.
	Name string
	Code *EncryptedProgram
	// Password is the master password. The server overwrites it with zeros after a
	// sandbox has received it.
	Password []byte
	// Sealed is the password, encrypted with the public key of a reservation (RFC
	// 9180). Either Password or Sealed is set. Sandbox is the ID of the reservation.
	// The program runs in the reserved sandbox.
	Sealed  []byte
	Sandbox ReservationID
}

// ReservationID identifies a reservation.
type ReservationID string

// Reservation is a sandbox that waits for a sealed password. A reservation belongs to
// one user and serves one run.
type Reservation struct {
	ID ReservationID
	// PublicKey is the key with which clients encrypt the password. The sandbox
	// generated the key pair. The private key never leaves the sandbox.
	PublicKey []byte
	ExpiresAt time.Time
}

// EncryptedService manages encrypted programs. It is safe for concurrent use.
type EncryptedService interface {
	// Encrypt encrypts a program for clients that cannot encrypt programs themselves.
	// The result has no name. The server does not store the password.
	Encrypt(ctx context.Context, language Language, code, password []byte) (*EncryptedProgram, error)
	// StoreCode stores the program under the name. It replaces an existing program of
	// the user with this name. It fails with CodeConflict if the program is new and the
	// user already has the maximum number of programs.
	StoreCode(ctx context.Context, user UserID, name string, c *EncryptedProgram) (s *StoredProgram, created bool, err error)
	DeleteCode(ctx context.Context, user UserID, name string) error
	// Codes returns the user's encrypted programs, sorted by name.
	Codes(ctx context.Context, user UserID) ([]*StoredProgram, error)
	Code(ctx context.Context, user UserID, name string) (*EncryptedProgram, error)
	// NoteExecuted sets the time of the program's last run to the current time. It
	// returns immediately and stores the time in the background.
	NoteExecuted(user UserID, name string)
	// Reserve reserves a sandbox for one encrypted program. Without free capacity, it
	// fails with CodeOverloaded. It fails with CodeQuotaExceeded if the user has the
	// maximum number of reservations.
	Reserve(ctx context.Context, user UserID) (*Reservation, error)
}

// ReservationHost holds the sandboxes of reservations. It may run in another process
// or on another machine. If a Job names a reservation, Dispatcher.Start runs the Job in
// the reserved sandbox and ends the reservation. Dispatcher.Start fails with CodeNotFound
// if the job's user has no reservation with this ID.
type ReservationHost interface {
	Dispatcher
	// Reserve takes a sandbox, mounts the layers and waits until the sandbox has
	// generated its key pair. Reserve fails with the same errors as
	// EncryptedService.Reserve.
	Reserve(ctx context.Context, user UserID, layers Layers, id ReservationID) (*Reservation, error)
}
