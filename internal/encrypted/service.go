// Package encrypted keeps programs that their authors encrypted, of which the server
// knows the form and nothing else.
//
// It promises that a program which it keeps can be tried to be opened: its
// parameters are within the bounds, and it is bound to no other name than the
// one it is stored under; that it neither keeps nor repeats a password; and that
// at most so many keys are derived here at once.
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

// Config is what a Service works with. Zero values of what is optional mean the
// defaults.
type Config struct {
	Store pyth.EncryptedProgramStore
	Host  pyth.ReservationHost
	// Packages are nil where there are none.
	Packages pyth.PackageSource
	Clock    func() time.Time
	// MaxPerUser bounds the programs of one user: 1,000.
	MaxPerUser int
	// MaxConcurrent bounds how many programs are encrypted at once, each of which
	// takes 64 MiB: 2.
	MaxConcurrent int
	Logger        *slog.Logger
}

// noteTimeout bounds a note that nobody waits for.
const noteTimeout = 30 * time.Second

// Service is a pyth.ZKService.
type Service struct {
	config Config
	encrypter
	notes sync.WaitGroup
}

var _ pyth.EncryptedService = (*Service)(nil)

// New makes a Service.
func New(config Config) *Service {
	config.MaxPerUser = cmp.Or(config.MaxPerUser, 1000)
	return &Service{config: config, encrypter: newEncrypter(cmp.Or(config.MaxConcurrent, 2))}
}

// Close returns when all is noted that was to be.
func (s *Service) Close() { s.notes.Wait() }

// StoreCode makes or replaces the program.
func (s *Service) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
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
func (s *Service) Codes(ctx context.Context, user pyth.UserID) ([]*pyth.StoredProgram, error) {
	return s.config.Store.Codes(ctx, user)
}

// Code is a program of the user.
func (s *Service) Code(ctx context.Context, user pyth.UserID, name string) (*pyth.EncryptedProgram, error) {
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
	var layers pyth.Layers
	if s.config.Packages != nil {
		if layers, err = s.config.Packages.Layers(ctx, user); err != nil {
			return nil, err
		}
	}
	return s.config.Host.Reserve(ctx, user, layers, pyth.ReservationID(id.String()))
}
