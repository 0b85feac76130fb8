package generate

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/redact"
)

// hiding knows the values of all of the user's secrets: also one that the program
// is not given may be in a file or in the prompt.
func (s *Service) hiding(ctx context.Context, user pyth.UserID) (*redact.Redactor, error) {
	if s.config.Secrets == nil {
		return redact.New(nil), nil
	}
	values, err := s.config.Secrets.Values(ctx, user)
	if err != nil {
		return nil, err
	}
	defer pyth.ClearSecrets(values)
	return redact.New(values), nil
}
