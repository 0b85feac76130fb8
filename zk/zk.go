// Package zk keeps programs that their authors encrypted, of which the server
// knows the form and nothing else.
//
// It promises that a program which it keeps can be tried to be opened: its
// parameters are within the bounds, and it is bound to no other name than the
// one it is stored under; that it neither keeps nor repeats a password; and that
// at most so many keys are derived here at once.
package zk

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/zk/lockbox"
)

// Config is what a Service works with. Zero values of what is optional mean the
// defaults.
type Config struct {
	Store pyth.EncryptedCodeStore
	Host  pyth.ReservationHost
	Clock func() time.Time
	// MaxPerUser bounds the programs of one user: 1,000.
	MaxPerUser int
	// MaxConcurrent bounds how many programs are encrypted at once, each of which
	// takes 64 MiB: 2.
	MaxConcurrent int
	Logger        *slog.Logger
}

// The parameters that programs are encrypted with here: the second of those that
// RFC 9106, section 4, recommends.
const (
	kdfTime        = 3
	kdfMemoryKiB   = 64 << 10
	kdfParallelism = 4
)

const (
	// maxEncryptWait is how long a caller waits for their turn to encrypt.
	maxEncryptWait = 10 * time.Second
	// noteTimeout bounds a note that nobody waits for.
	noteTimeout = 30 * time.Second
)

// Service is a pyth.ZKService.
type Service struct {
	config Config
	turns  *semaphore.Weighted
	notes  sync.WaitGroup
}

var _ pyth.ZKService = (*Service)(nil)

// New makes a Service.
func New(config Config) *Service {
	config.MaxPerUser = cmp.Or(config.MaxPerUser, 1000)
	return &Service{config: config, turns: semaphore.NewWeighted(int64(cmp.Or(config.MaxConcurrent, 2)))}
}

// Close returns when all is noted that was to be.
func (s *Service) Close() { s.notes.Wait() }

// Encrypt encrypts the program and wipes the password.
func (s *Service) Encrypt(ctx context.Context, language pyth.Language, code, password []byte) (*pyth.EncryptedCode, error) {
	defer clear(password)
	if err := checkProgram(language, code, password); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, maxEncryptWait)
	defer cancel()
	if err := s.turns.Acquire(waiting, 1); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "Too many programs are being encrypted at this moment. Try again soon, or encrypt yourself.",
			RetryAfter: time.Second,
		}
	}
	defer s.turns.Release(1)
	box := lockbox.Box{
		Language: string(language),
		KDF:      lockbox.KDF{Salt: make([]byte, lockbox.SaltBytes), Time: kdfTime, MemoryKiB: kdfMemoryKiB, Parallelism: kdfParallelism},
		Nonce:    make([]byte, lockbox.NonceBytes),
	}
	for _, b := range [][]byte{box.KDF.Salt, box.Nonce} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	ciphertext, err := box.Seal(code, password)
	if err != nil {
		return nil, err
	}
	return &pyth.EncryptedCode{
		Language:   language,
		KDF:        pyth.KDF{Salt: box.KDF.Salt, Time: kdfTime, MemoryKiB: kdfMemoryKiB, Parallelism: kdfParallelism},
		Nonce:      box.Nonce,
		Ciphertext: ciphertext,
	}, nil
}

// StoreCode makes or replaces the program.
func (s *Service) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedCode) (*pyth.StoredCode, bool, error) {
	if err := checkCode(name, c); err != nil {
		return nil, false, err
	}
	return s.config.Store.StoreCode(ctx, user, name, c, s.config.Clock(), s.config.MaxPerUser)
}

// DeleteCode deletes the program.
func (s *Service) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	return s.config.Store.DeleteCode(ctx, user, name)
}

// Codes lists the user's programs.
func (s *Service) Codes(ctx context.Context, user pyth.UserID) ([]*pyth.StoredCode, error) {
	return s.config.Store.Codes(ctx, user)
}

// Code is a program of the user.
func (s *Service) Code(ctx context.Context, user pyth.UserID, name string) (*pyth.EncryptedCode, error) {
	return s.config.Store.Code(ctx, user, name)
}

// NoteExecuted notes it without having the caller wait.
func (s *Service) NoteExecuted(user pyth.UserID, name string) {
	at := s.config.Clock()
	s.notes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), noteTimeout)
		defer cancel()
		if err := s.config.Store.NoteExecuted(ctx, user, name, at); err != nil {
			s.config.Logger.Warn("the execution of an encrypted program was not noted", "error", err)
		}
	})
}

// Reserve reserves a sandbox for a sealed password.
func (s *Service) Reserve(ctx context.Context, user pyth.UserID) (*pyth.Reservation, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	return s.config.Host.Reserve(ctx, user, pyth.ReservationID(id.String()))
}
