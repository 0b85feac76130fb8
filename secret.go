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

// SecretGrant is what a run is given of secrets. Values must not leave the
// server's process before it is recorded that they are used. All else of a job
// can go to its sandbox meanwhile, so that writing the record costs it little.
type SecretGrant struct {
	// Values are the holder's, who clears them.
	Values []SecretValue
	// Recorded returns when the record is durable, and fails if it cannot be
	// written. It may be called again; nil is for nothing to wait for.
	Recorded func() error
}

// Await waits until the values may go to a sandbox. They must not after an error.
func (g SecretGrant) Await() error {
	if g.Recorded == nil {
		return nil
	}
	return g.Recorded()
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
	// unknown name is CodeInvalid at "body.secrets".
	Reveal(ctx context.Context, user UserID, run ExecutionID, names []string, all bool) (SecretGrant, error)
	// Stored returns those of the names under which the user has a secret.
	Stored(ctx context.Context, user UserID, names []string) ([]string, error)
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
