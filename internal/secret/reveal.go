package secret

import (
	"context"
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Reveal decrypts the requested secrets for a run. It stores the current time as the time
// of their last use. It returns CodeInvalid for an unknown name, and CodeSecretDamaged
// for a stored value that was changed. The caller must overwrite the values after use.
func (s *Service) Reveal(ctx context.Context, user pyth.UserID, _ pyth.ExecutionID, request pyth.SecretRequest) (pyth.SecretGrant, error) {
	var none pyth.SecretGrant
	if len(request.Names) == 0 && len(request.IfStored) == 0 && !request.All {
		return none, nil
	}
	sealed, err := s.config.Store.SealedSecrets(ctx, user)
	if err != nil {
		return none, err
	}
	if !request.All {
		if sealed, err = selectNamed(sealed, request); err != nil {
			return none, err
		}
	}
	if len(sealed) == 0 {
		return none, nil
	}
	opener, err := s.config.Vault.Opener(ctx, user)
	if err != nil {
		return none, err
	}
	values := make([]pyth.SecretValue, 0, len(sealed))
	for _, secret := range sealed {
		value, err := opener.Open(Label(secret.Name, secret.Version), secret.Sealed)
		if err != nil {
			pyth.ClearSecrets(values)
			return none, damagedError(secret.Name, err)
		}
		values = append(values, pyth.SecretValue{Name: secret.Name, Value: value})
	}
	s.uses.note(user, values, s.config.Clock())
	return pyth.SecretGrant{Values: values}, nil
}

// Values decrypts all secrets of the user except damaged secrets. The server uses these
// values only for redaction and not for a run. So Values does not change the times of
// last use. The caller must overwrite the values after use.
func (s *Service) Values(ctx context.Context, user pyth.UserID) ([]pyth.SecretValue, error) {
	sealed, err := s.config.Store.SealedSecrets(ctx, user)
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	opener, err := s.config.Vault.Opener(ctx, user)
	if err != nil {
		return nil, err
	}
	var values []pyth.SecretValue
	for _, secret := range sealed {
		if value, err := opener.Open(Label(secret.Name, secret.Version), secret.Sealed); err == nil {
			values = append(values, pyth.SecretValue{Name: secret.Name, Value: value})
		}
	}
	return values, nil
}

// selectNamed returns the requested secrets. Each secret is in the result only once. It
// returns an error if request.Names contains an unknown name, but ignores unknown names
// in request.IfStored.
func selectNamed(all []*pyth.SealedSecret, request pyth.SecretRequest) ([]*pyth.SealedSecret, error) {
	var some []*pyth.SealedSecret
	var faults pyth.FieldErrors
	for i, name := range slices.Concat(request.Names, request.IfStored) {
		at := slices.IndexFunc(all, func(s *pyth.SealedSecret) bool { return s.Name == name })
		switch {
		case at < 0 && i >= len(request.Names):
		case at < 0:
			faults.Add(fmt.Sprintf("body.secrets[%d]", i), "is not the name of one of your secrets")
		case !slices.Contains(some, all[at]):
			some = append(some, all[at])
		}
	}
	return some, faults.Err()
}
