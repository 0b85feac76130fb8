package account

import (
	"context"
	"crypto/rand"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	resetStart = "pyreset_"
	// resetLifetime is the lifetime of a reset token.
	resetLifetime = 24 * time.Hour
)

// CreateResetToken creates a token. With this token, the user can set a new password
// once. The new token replaces earlier tokens of the user. The store contains only the
// hash of the token.
func (s *Service) CreateResetToken(ctx context.Context, user pyth.UserID) (*pyth.Reset, error) {
	return s.createResetToken(ctx, user, false)
}

// createResetToken is like CreateResetToken. The parameter "mailed" becomes
// ResetToken.Mailed.
func (s *Service) createResetToken(ctx context.Context, user pyth.UserID, mailed bool) (*pyth.Reset, error) {
	token := resetStart + rand.Text() + rand.Text() // 260 bits
	now := s.now()
	record := &pyth.ResetToken{Hash: hashOf(token), UserID: user, CreatedAt: now, ExpiresAt: now.Add(resetLifetime), Mailed: mailed}
	if err := s.config.Store.CreateResetToken(ctx, record); err != nil {
		return nil, err
	}
	return &pyth.Reset{Token: token, ExpiresAt: record.ExpiresAt}, nil
}
