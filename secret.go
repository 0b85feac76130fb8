package pyth

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Secret describes a secret without its value.
type Secret struct {
	Name        string
	Description string
	// Version is the number of the current value. The first value of the secret has the
	// version 1. Each new value increases the version by 1.
	Version   int
	CreatedAt time.Time
	UpdatedAt time.Time
	// LastUsedAt is the time of the last run with the secret. It is zero if no run has
	// used the secret.
	LastUsedAt time.Time
}

// SecretValue is a secret with its value. The program receives the secret as an
// environment variable.
type SecretValue struct {
	Name  string
	Value []byte
}

// ClearSecrets overwrites the values of the secrets with zeros.
func ClearSecrets(values []SecretValue) {
	for _, v := range values {
		clear(v.Value)
	}
}

// SecretGrant holds the secrets for a run. The values must not leave the server's
// process before the audit log has recorded that the run uses the secrets. Before that,
// the server may already send the job without the values to a sandbox.
type SecretGrant struct {
	// Values contains the secrets. The caller owns the values and clears them.
	Values []SecretValue
	// Recorded waits until the audit log has recorded that the run uses the secrets. It
	// returns an error if the audit log could not record this. Recorded may be called
	// several times. It is nil if there is nothing to record.
	Recorded func() error
}

// Await waits until the audit log has recorded that the run uses the secrets.
// Afterwards, Run.Release may send the values. After an error, nobody may send the
// values.
func (g SecretGrant) Await() error {
	if g.Recorded == nil {
		return nil
	}
	return g.Recorded()
}

// SecretService manages the secrets of users. It is safe for concurrent use. It
// never returns values, because only programs may receive them.
type SecretService interface {
	// PutSecret creates the secret or replaces its value. PutSecret owns the value and
	// clears it. It fails with CodeReservedName if the name is reserved. It fails with
	// CodeConflict if the user has the maximum number of secrets.
	PutSecret(ctx context.Context, user UserID, name string, value []byte, description string) (s *Secret, created bool, err error)
	// DeleteSecret deletes the secret. It fails with CodeNotFound if the secret does
	// not exist.
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// Secrets returns the user's secrets, sorted by name.
	Secrets(ctx context.Context, user UserID) ([]*Secret, error)
}

// SecretSource provides the values of secrets for runs.
type SecretSource interface {
	// Reveal decrypts the requested secrets of the user for a run. If a secret does not
	// exist, it fails with CodeInvalid at the location "body.secrets".
	Reveal(ctx context.Context, user UserID, run ExecutionID, request SecretRequest) (SecretGrant, error)
}

// SecretRequest selects secrets of a user.
type SecretRequest struct {
	// All selects all secrets of the user.
	All bool
	// Names selects secrets by name. Each of these secrets must exist.
	Names []string
	// IfStored selects additional secrets by name. Names that belong to no secret are
	// ignored.
	IfStored []string
}

// CheckSecretNames returns an error if a name does not belong to any of the secrets.
func CheckSecretNames(names []string, secrets []*Secret) error {
	for i, name := range names {
		if !slices.ContainsFunc(secrets, func(s *Secret) bool { return s.Name == name }) {
			return Invalid(fmt.Sprintf("body.secrets[%d]", i), "is not the name of one of your secrets")
		}
	}
	return nil
}
