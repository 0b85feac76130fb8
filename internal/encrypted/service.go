// Package encrypted stores programs that clients have encrypted. The server can
// check the format of these programs but cannot read them.
//
// The parameters of a stored program are limited, so that a sandbox can decrypt the
// program. If a program was encrypted for a name, it can be stored only under this name.
// The package does not store passwords, and its errors contain no passwords.
//
// The package also encrypts programs for clients that cannot encrypt. It limits the
// number of concurrent encryptions.
package encrypted

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// Config configures a Service. Packages, MaxPerUser and MaxConcurrent are optional.
type Config struct {
	Store pyth.EncryptedProgramStore
	Host  pyth.ReservationHost
	// Packages provides the user's packages. If Packages is nil, programs run without
	// packages.
	Packages pyth.PackageSource
	Clock    func() time.Time
	// MaxPerUser is the maximum number of programs per user. The default is 1,000.
	MaxPerUser int
	// MaxConcurrent is the maximum number of concurrent encryptions. Each encryption
	// needs 64 MiB of memory. The default is 2.
	MaxConcurrent int
	Logger        *slog.Logger
}

// noteTimeout is the time-out of a write by NoteExecuted.
const noteTimeout = 30 * time.Second

// Service implements pyth.EncryptedService. It is safe for concurrent use.
type Service struct {
	config Config
	encrypter
	notes sync.WaitGroup
}

var _ pyth.EncryptedService = (*Service)(nil)

// New returns a Service. Call Close before the store is closed.
func New(config Config) *Service {
	config.MaxPerUser = cmp.Or(config.MaxPerUser, 1000)
	return &Service{config: config, encrypter: newEncrypter(cmp.Or(config.MaxConcurrent, 2))}
}

// Close waits until all writes by NoteExecuted have ended.
func (s *Service) Close() { s.notes.Wait() }

// StoreCode checks and stores an encrypted program. It replaces an existing program
// of the user with the same name.
func (s *Service) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
	if err := checkCode(name, c); err != nil {
		return nil, false, err
	}
	return s.config.Store.StoreCode(ctx, user, name, c, s.config.Clock(), s.config.MaxPerUser)
}

// DeleteCode deletes a stored program.
func (s *Service) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	return s.config.Store.DeleteCode(ctx, user, name)
}

// Codes returns the user's stored programs.
func (s *Service) Codes(ctx context.Context, user pyth.UserID) ([]*pyth.StoredProgram, error) {
	return s.config.Store.Codes(ctx, user)
}

// Code returns a stored program with its ciphertext.
func (s *Service) Code(ctx context.Context, user pyth.UserID, name string) (*pyth.EncryptedProgram, error) {
	return s.config.Store.Code(ctx, user, name)
}

// NoteExecuted stores the current time as the program's last execution. It writes in
// the background and does not wait.
func (s *Service) NoteExecuted(user pyth.UserID, name string) {
	at := s.config.Clock()
	s.notes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
		defer cancel()
		if err := s.config.Store.NoteExecuted(ctx, user, name, at); err != nil {
			s.config.Logger.WarnContext(ctx, "could not store when an encrypted program was last run", "error", err)
		}
	})
}

// Reserve reserves a sandbox and returns the public key of the sandbox. With this key,
// the client can encrypt (seal) a password. Only this sandbox can decrypt the password.
func (s *Service) Reserve(ctx context.Context, user pyth.UserID) (*pyth.Reservation, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	var layers pyth.Layers
	if s.config.Packages != nil {
		if layers, err = s.config.Packages.Layers(ctx, user); err != nil {
			return nil, err
		}
	}
	r, err := s.config.Host.Reserve(ctx, user, layers, pyth.ReservationID(id.String()))
	if err != nil {
		return nil, err
	}
	// Convert the time. The host that reserved the sandbox uses the clock of this
	// machine, but the service can use a different clock.
	r.ExpiresAt = s.config.Clock().Add(time.Until(r.ExpiresAt))
	return r, nil
}

// Quotas returns the quota for the encrypted programs of the user.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	n, err := s.config.Store.CountCodes(ctx, user)
	if err != nil {
		return nil, err
	}
	return []pyth.Quota{{Name: pyth.QuotaEncryptedPrograms, Limit: int64(s.config.MaxPerUser), Used: n}}, nil
}
