// Package secret stores the secrets of users in encrypted form, and decrypts them for
// runs.
//
// Only runs and redaction receive the values. The encryption authenticates the user, the
// name and the version of a value. If a value in the store was changed or moved, the
// server cannot decrypt it. The other secrets still work. Errors never contain values.
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

// Limits of secrets. The documentation of the API contains these limits.
const (
	maxDescriptionBytes = 1000
	maxSecrets          = 200
)

// maxPutAttempts is the maximum number of attempts to store a value. An attempt fails if
// another request changes the same secret at the same time.
const maxPutAttempts = 8

// Vault encrypts and decrypts values. vault.Vault implements it.
type Vault interface {
	Seal(ctx context.Context, user pyth.UserID, label vault.Label, plaintext []byte) ([]byte, error)
	Opener(ctx context.Context, user pyth.UserID) (*vault.Opener, error)
}

// Config holds the dependencies of a Service.
type Config struct {
	Store pyth.SecretStore
	Vault Vault
	Clock func() time.Time
	// The service calls the function Failed with the error if it could not store times of
	// last use.
	Failed func(error)
}

// Service implements pyth.SecretService and pyth.SecretSource. It is safe for
// concurrent use.
type Service struct {
	config Config
	uses   *uses
}

var (
	_ pyth.SecretService = (*Service)(nil)
	_ pyth.SecretSource  = (*Service)(nil)
)

// New returns a Service. When the server stops, it must call Close, which stores times of
// last use.
func New(config Config) *Service {
	return &Service{config: config, uses: newUses(config.Store, config.Failed)}
}

// Close stores the times of last use that are still in memory.
func (s *Service) Close() { s.uses.close() }

// PutSecret creates the secret or replaces its value and description. It overwrites the
// parameter "value". If another request has changed the secret in the meantime, PutSecret
// tries again.
func (s *Service) PutSecret(ctx context.Context, user pyth.UserID, name string, value []byte, description string) (*pyth.Secret, bool, error) {
	defer clear(value)
	if err := check(name, value, description); err != nil {
		return nil, false, err
	}
	for range maxPutAttempts {
		secret, err := s.nextVersion(ctx, user, name)
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
		if err := s.checkQuota(ctx, user, name); err != nil {
			return nil, false, err
		}
	}
	return nil, false, pyth.Errorf(pyth.CodeConflict, "Other requests are changing this secret at the same time. Try again.")
}

// nextVersion returns the metadata for the next version of a secret, or for the
// first version. The caller must set the description and the sealed value.
func (s *Service) nextVersion(ctx context.Context, user pyth.UserID, name string) (*pyth.SealedSecret, error) {
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

// checkQuota returns an error if the secret does not exist yet and the user already has
// the maximum number of secrets.
func (s *Service) checkQuota(ctx context.Context, user pyth.UserID, name string) error {
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
		return pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d secrets. Delete a secret first.", len(all))
	}
	return nil
}

// DeleteSecret deletes a secret.
func (s *Service) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	return s.config.Store.DeleteSecret(ctx, user, name)
}

// Secrets returns the user's secrets.
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

// Label returns the label with which the server encrypts a version of a secret.
func Label(name string, version int) vault.Label {
	return vault.Label{Kind: "secret", Name: name, Version: version}
}

func check(name string, value []byte, description string) error {
	var faults pyth.FieldErrors
	code := pyth.CodeInvalid
	switch {
	case !pyth.ValidVariable(name):
		faults.Add("path.name", "must have 1 to 128 letters, digits and underscores, and must not begin with a digit")
	case pyth.ReservedVariable(name):
		code = pyth.CodeReservedName
		faults.Add("path.name", "is reserved: the runtime uses names such as PATH and PYTHON*; choose a different name")
	}
	named := len(faults)
	switch {
	case len(value) == 0:
		faults.Add("body.value", "must not be empty")
	case len(value) > pyth.MaxSecretBytes:
		faults.Add("body.value", "must have at most 65,536 bytes")
	case !utf8.Valid(value) || bytes.IndexByte(value, 0) >= 0:
		faults.Add("body.value", "must be text without NUL")
	}
	if len(description) > maxDescriptionBytes || !utf8.ValidString(description) {
		faults.Add("body.description", "must be text with at most 1,000 bytes")
	}
	if len(faults) > named {
		code = pyth.CodeInvalid
	}
	return faults.As(code)
}

// damagedError converts vault.ErrDamaged into an error for the user. It returns
// other errors unchanged.
func damagedError(name string, err error) error {
	if !errors.Is(err, vault.ErrDamaged) {
		return err
	}
	return &pyth.Error{
		Code:    pyth.CodeSecretDamaged,
		Message: "The secret " + name + " is damaged in the server's database and cannot be used. Store its value again, or remove it from secrets in the request.",
		Err:     err,
	}
}

// Quotas returns the quota for the user's secrets.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	n, err := s.config.Store.CountSecrets(ctx, user)
	if err != nil {
		return nil, err
	}
	return []pyth.Quota{{Name: pyth.QuotaSecrets, Limit: maxSecrets, Used: n}}, nil
}
