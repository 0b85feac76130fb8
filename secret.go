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
	// Version is the number of values that the secret has had, from 1.
	Version   int
	CreatedAt time.Time
	UpdatedAt time.Time
	// LastUsedAt is the time of the last run with the secret; zero for never.
	LastUsedAt time.Time
}

// SecretValue is a secret in the form of an environment variable for a run.
type SecretValue struct {
	Name  string
	Value []byte
}

// ClearSecrets overwrites the values with zeros.
func ClearSecrets(values []SecretValue) {
	for _, v := range values {
		clear(v.Value)
	}
}

// SecretGrant holds the secrets for a run. The values must not leave the server's
// process before the audit log has recorded their use. The rest of a job can go to
// its sandbox meanwhile, so that the record adds little latency.
type SecretGrant struct {
	// Values belong to the holder, who clears them.
	Values []SecretValue
	// Recorded returns when the record is durable, or an error if it could not be
	// written. It may be called several times. It is nil if there is no record.
	Recorded func() error
}

// Await waits until the values may go to a sandbox. After an error they must not.
func (g SecretGrant) Await() error {
	if g.Recorded == nil {
		return nil
	}
	return g.Recorded()
}

// SecretService manages the secrets of users. Only runs can read the values. It is
// safe for concurrent use.
type SecretService interface {
	// PutSecret creates the secret or gives it a new value. The callee owns the value
	// and clears it. It fails with CodeReservedName for a name that the runtime uses,
	// and with CodeConflict if the user has too many secrets.
	PutSecret(ctx context.Context, user UserID, name string, value []byte, description string) (s *Secret, created bool, err error)
	// DeleteSecret fails with CodeNotFound.
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// Secrets lists the user's secrets in the order of their names.
	Secrets(ctx context.Context, user UserID) ([]*Secret, error)
}

// SecretSource provides secret values for runs.
type SecretSource interface {
	// Reveal decrypts the requested secrets of the user for a run. An unknown name is
	// CodeInvalid at "body.secrets".
	Reveal(ctx context.Context, user UserID, run ExecutionID, request SecretRequest) (SecretGrant, error)
}

// SecretRequest selects secrets of a user.
type SecretRequest struct {
	// All selects all secrets that the user has.
	All bool
	// Names must all belong to secrets.
	Names []string
	// IfStored are further names, which select nothing where the user has no secret.
	IfStored []string
}

// CheckSecretNames returns an error if a name in a request belongs to none of the
// secrets.
func CheckSecretNames(names []string, secrets []*Secret) error {
	for i, name := range names {
		if !slices.ContainsFunc(secrets, func(s *Secret) bool { return s.Name == name }) {
			return Invalid(fmt.Sprintf("body.secrets[%d]", i), "is not the name of a secret of yours")
		}
	}
	return nil
}
