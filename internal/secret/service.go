// Package secret keeps users' secrets, sealed by the vault, and gives them out
// to runs.
//
// It promises that a value leaves it for a run, or to be looked for in what must
// not show it, and is stored sealed for its user, name and version only; that a
// value which was changed where it is stored is refused, while others serve on;
// and that no error holds a value.
package secret

import (
	"bytes"
	"context"
	"errors"
	"time"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// Bounds of the contract.
const (
	maxValueBytes       = 64 << 10
	maxDescriptionBytes = 1000
	maxSecrets          = 200
)

// attempts is how often a value is stored anew that another came before.
const attempts = 8

// Vault seals values.
type Vault interface {
	Seal(ctx context.Context, user pyth.UserID, label vault.Label, plaintext []byte) ([]byte, error)
	Opener(ctx context.Context, user pyth.UserID) (*vault.Opener, error)
}

// Config is what a Service works with.
type Config struct {
	Store pyth.SecretStore
	Vault Vault
	Clock func() time.Time
	// Failed hears why the time of use of secrets could not be stored.
	Failed func(error)
}

// Service is a pyth.SecretService and a pyth.SecretSource.
type Service struct {
	config Config
	uses   *uses
}

var (
	_ pyth.SecretService = (*Service)(nil)
	_ pyth.SecretSource  = (*Service)(nil)
)

// New makes a Service.
func New(config Config) *Service {
	return &Service{config: config, uses: newUses(config.Store, config.Failed)}
}

// Close stores what it has not yet.
func (s *Service) Close() { s.uses.close() }

// PutSecret makes the secret or gives it a new value.
func (s *Service) PutSecret(ctx context.Context, user pyth.UserID, name string, value []byte, description string) (*pyth.Secret, bool, error) {
	defer clear(value)
	if err := check(name, value, description); err != nil {
		return nil, false, err
	}
	for range attempts {
		secret, err := s.next(ctx, user, name)
		if err != nil {
			return nil, false, err
		}
		secret.Description = description
		if secret.Sealed, err = s.config.Vault.Seal(ctx, user, Label(name, secret.Version), value); err != nil {
			return nil, false, err
		}
		err = s.config.Store.PutSecret(ctx, user, secret, maxSecrets)
		if err == nil {
			return &secret.Secret, secret.Version == 1, nil
		}
		if pyth.ErrorCode(err) != pyth.CodeConflict {
			return nil, false, err
		}
		if err := s.full(ctx, user, name); err != nil {
			return nil, false, err
		}
	}
	return nil, false, pyth.Errorf(pyth.CodeConflict, "The secret is being changed by others at the same time. Try again.")
}

// next is the secret as it is to be stored, but for what the caller gives it.
func (s *Service) next(ctx context.Context, user pyth.UserID, name string) (*pyth.SealedSecret, error) {
	now := s.config.Clock()
	secret, err := s.config.Store.SealedSecret(ctx, user, name)
	switch {
	case pyth.ErrorCode(err) == pyth.CodeNotFound:
		secret = &pyth.SealedSecret{Secret: pyth.Secret{Name: name, CreatedAt: now}}
	case err != nil:
		return nil, err
	}
	secret.Version++
	secret.UpdatedAt = now
	secret.LastUsedAt = s.uses.last(user, name, secret.LastUsedAt)
	return secret, nil
}

// full is the reason why there can be no further secret.
func (s *Service) full(ctx context.Context, user pyth.UserID, name string) error {
	all, err := s.config.Store.SealedSecrets(ctx, user)
	if err != nil {
		return err
	}
	for _, secret := range all {
		if secret.Name == name {
			return nil
		}
	}
	if len(all) >= maxSecrets {
		return pyth.Errorf(pyth.CodeConflict, "You have %d secrets, as many as one user may. Delete one.", len(all))
	}
	return nil
}

// DeleteSecret deletes a secret.
func (s *Service) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	return s.config.Store.DeleteSecret(ctx, user, name)
}

// Secrets lists the user's secrets.
func (s *Service) Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error) {
	sealed, err := s.config.Store.SealedSecrets(ctx, user)
	if err != nil {
		return nil, err
	}
	all := make([]*pyth.Secret, len(sealed))
	for i, secret := range sealed {
		all[i] = &secret.Secret
		all[i].LastUsedAt = s.uses.last(user, secret.Name, secret.LastUsedAt)
	}
	return all, nil
}

// Label is what the value of a version of a secret is sealed for.
func Label(name string, version int) vault.Label {
	return vault.Label{Kind: "secret", Name: name, Version: version}
}

func check(name string, value []byte, description string) error {
	var faults pyth.FieldErrors
	code := pyth.CodeInvalid
	switch {
	case !pyth.ValidVariable(name):
		faults.Add("path.name", "must have letters, digits and underscores, not begin with a digit, and be at most 128 long")
	case pyth.ReservedVariable(name):
		code = pyth.CodeReservedName
		faults.Add("path.name", "is reserved: names such as PATH or PYTHON* belong to the runtime")
	}
	named := len(faults)
	switch {
	case len(value) == 0:
		faults.Add("body.value", "must not be empty")
	case len(value) > maxValueBytes:
		faults.Add("body.value", "must be at most 65536 bytes")
	case !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0:
		faults.Add("body.value", "must be text without NUL")
	}
	if len(description) > maxDescriptionBytes || !utf8.ValidString(description) {
		faults.Add("body.description", "must be at most 1000 bytes of text")
	}
	if len(faults) > named {
		code = pyth.CodeInvalid
	}
	return faults.As(code)
}

// damaged is the error for a value that is not as it was sealed.
func damaged(name string, err error) error {
	if !errors.Is(err, vault.ErrDamaged) {
		return err
	}
	return &pyth.Error{
		Code:    pyth.CodeSecretDamaged,
		Message: "The secret " + name + " was damaged where it is stored, and cannot be used. Give it its value again, or leave it out by naming others in secrets.",
		Err:     err,
	}
}
