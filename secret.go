package pyth

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Secret is what is known of a secret but its value.
type Secret struct {
	Name        string
	Description string
	// Version counts the values that the secret has had, from 1.
	Version   int
	CreatedAt time.Time
	UpdatedAt time.Time
	// LastUsedAt is when a run was last given it; zero for never.
	LastUsedAt time.Time
}

// SecretValue is a secret as a run gets it: an environment variable.
type SecretValue struct {
	Name  string
	Value []byte
}

// ClearSecrets forgets values.
func ClearSecrets(values []SecretValue) {
	for _, v := range values {
		clear(v.Value)
	}
}

// SecretService keeps users' secrets. Values go in and come out for runs only.
// It is safe for concurrent use.
type SecretService interface {
	// PutSecret makes the secret, or gives it a new value. The value is the
	// callee's, who clears it. It fails with CodeReservedName for a name that
	// belongs to the runtime, and with CodeConflict when there are too many.
	PutSecret(ctx context.Context, user UserID, name string, value []byte, description string) (s *Secret, created bool, err error)
	// DeleteSecret fails with CodeNotFound.
	DeleteSecret(ctx context.Context, user UserID, name string) error
	// Secrets lists the user's by name.
	Secrets(ctx context.Context, user UserID) ([]*Secret, error)
}

// SecretSource gives values out to runs.
type SecretSource interface {
	// Reveal opens the named secrets, or all of the user's if all is true. An
	// unknown name is CodeInvalid at "body.secrets". The values are the caller's,
	// who clears them.
	Reveal(ctx context.Context, user UserID, run ExecutionID, names []string, all bool) ([]SecretValue, error)
}

// CheckSecretNames is an error if one of the names in a request is that of none
// of the user's secrets.
func CheckSecretNames(names []string, secrets []*Secret) error {
	for i, name := range names {
		if !slices.ContainsFunc(secrets, func(s *Secret) bool { return s.Name == name }) {
			return Invalid(fmt.Sprintf("body.secrets[%d]", i), "is not the name of a secret of yours")
		}
	}
	return nil
}
