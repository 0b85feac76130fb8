package generate

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// hiding returns a redactor for all secrets of the user. It includes secrets that the
// program does not receive, because files and the prompt can also contain their values.
// The caller must call the function "forget", which overwrites the values of the secrets.
func (s *Service) hiding(ctx context.Context, user pyth.UserID) (_ *redact.Redactor, forget func(), _ error) {
	if s.config.Secrets == nil {
		return redact.New(nil), func() {}, nil
	}
	values, err := s.config.Secrets.Values(ctx, user)
	if err != nil {
		return nil, nil, err
	}
	r := redact.New(values)
	return r, func() {
		r.Clear()
		pyth.ClearSecrets(values)
	}, nil
}
