package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	refreshStart = "pyrt_"
	// retryGrace is the time after the exchange of a refresh token during which the same
	// client may exchange this token again. The client needs a second exchange if it did
	// not receive the response to the first exchange.
	retryGrace = 10 * time.Second
)

// newRefreshToken generates a refresh token and its record. The caller stores the
// record.
func (s *Service) newRefreshToken(ctx context.Context, user pyth.UserID, family string) (string, *pyth.RefreshToken) {
	token := refreshStart + rand.Text() + rand.Text() // 260 bits
	now := s.now()
	return token, &pyth.RefreshToken{
		Hash: hashOf(token), FamilyID: family, UserID: user, IssuedAt: now, ExpiresAt: now.Add(s.policy.Load().RefreshTTL),
		Client: clientOf(ctx),
	}
}

// invalidRefreshToken returns the error for an invalid refresh token. The message for the
// caller is the same for all causes. Only the audit log records the cause.
func invalidRefreshToken(of pyth.CredentialError) error {
	e := pyth.Errorf(pyth.CodeInvalidCredentials, "The refresh token is unknown, expired or already used. Log in again.")
	e.Err = &of
	return e
}

// Refresh exchanges a refresh token for a new refresh token and a JWT. If a token is used
// twice, somebody may have stolen it. Refresh then revokes the whole family of the token
// (RFC 9700, 4.14.2). It does not revoke the family if the same client repeats the
// exchange within retryGrace.
func (s *Service) Refresh(ctx context.Context, refreshToken string, client pyth.Client) (*pyth.Grant, error) {
	hash := hashOf(refreshToken)
	seen, err := s.config.Store.RefreshToken(ctx, hash)
	if absent(err) {
		return nil, invalidRefreshToken(pyth.CredentialError{})
	}
	if err != nil {
		return nil, err
	}
	if !s.isValid(seen) {
		return nil, invalidRefreshToken(pyth.CredentialError{User: seen.UserID})
	}
	user, err := s.config.Store.User(ctx, seen.UserID)
	if absent(err) {
		return nil, invalidRefreshToken(pyth.CredentialError{User: seen.UserID})
	}
	if err != nil {
		return nil, err
	}
	if err := checkEnabled(user); err != nil {
		return nil, err
	}
	token, next := s.newRefreshToken(ctx, seen.UserID, seen.FamilyID)
	if err := s.rotate(ctx, seen, clientHash(client), next); err != nil {
		if absent(err) {
			return nil, invalidRefreshToken(pyth.CredentialError{User: seen.UserID})
		}
		return nil, err
	}
	key, err := s.primaryKey(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	return s.grantWith(user, key, seen.FamilyID, token)
}

// isValid reports whether the token is valid now. It rejects tokens whose time of issue
// is far in the future. The clock of the server was wrong when it issued such a token, so
// the token would be valid for too long.
func (s *Service) isValid(t *pyth.RefreshToken) bool {
	now := s.config.Clock()
	return now.Before(t.ExpiresAt) && t.IssuedAt.Sub(now) <= s.policy.Load().RefreshTTL
}

// rotate marks the token "seen" as used and stores the token "next". If "seen" was used
// before, rotate stores "next" only if the same client repeats the exchange within
// retryGrace. Otherwise rotate revokes the token family.
func (s *Service) rotate(ctx context.Context, seen *pyth.RefreshToken, client [32]byte, next *pyth.RefreshToken) error {
	if seen.SpentAt.IsZero() {
		err := s.config.Store.RotateRefreshToken(ctx, seen.Hash, client, s.now(), next)
		if pyth.ErrorCode(err) != pyth.CodeConflict {
			return err
		}
		// Another request exchanged the token first. That other request may be from the
		// same client.
		if seen, err = s.config.Store.RefreshToken(ctx, seen.Hash); err != nil {
			return err
		}
	}
	// Use the absolute value of the time difference. Otherwise the difference would be
	// negative after an operator sets the clock back, and the client could repeat the
	// exchange for longer.
	if seen.ClientHash == client && s.config.Clock().Sub(seen.SpentAt).Abs() <= retryGrace {
		return s.config.Store.AddSuccessor(ctx, seen.Hash, next)
	}
	if err := s.config.Store.RevokeFamily(ctx, seen.UserID, seen.FamilyID); err != nil {
		return err
	}
	return invalidRefreshToken(pyth.CredentialError{User: seen.UserID, Reused: true})
}

func clientHash(c pyth.Client) [32]byte { return sha256.Sum256([]byte(c.IP + "\x00" + c.UserAgent)) }

// Renew issues a new JWT to a caller who sent a valid JWT. Renew fails if the login was
// revoked. Otherwise a thief could renew a stolen JWT forever.
func (s *Service) Renew(ctx context.Context, p *pyth.Principal) (*pyth.Grant, error) {
	if err := s.checkLogin(ctx, p); err != nil {
		return nil, err
	}
	key, err := s.primaryKey(ctx, p.User.ID)
	if err != nil {
		return nil, err
	}
	return s.grantWith(&p.User, key, p.FamilyID, "")
}

// RequireLogin returns an error if the login that issued the caller's JWT has ended. The
// JWT of a revoked login stays valid until it expires. Therefore operations with a
// lasting effect call RequireLogin first. Callers with an API key have no login.
func (s *Service) RequireLogin(ctx context.Context, p *pyth.Principal) error {
	if p.Credential != pyth.CredentialJWT {
		return nil
	}
	return s.checkLogin(ctx, p)
}

// checkLogin returns an error unless the login of the caller is active.
func (s *Service) checkLogin(ctx context.Context, p *pyth.Principal) error {
	active, err := s.config.Store.FamilyActive(ctx, p.User.ID, p.FamilyID, s.config.Clock())
	if err == nil && !active {
		err = pyth.Errorf(pyth.CodeUnauthenticated, "The login of this token has ended. Log in again.")
	}
	return err
}

// Logout revokes the family of the refresh token. If the token is "", it
// revokes all families of the caller. If the token belongs to another user, it does
// nothing.
func (s *Service) Logout(ctx context.Context, p *pyth.Principal, refreshToken string) error {
	if refreshToken == "" {
		return s.config.Store.RevokeAll(ctx, p.User.ID)
	}
	seen, err := s.config.Store.RefreshToken(ctx, hashOf(refreshToken))
	if absent(err) || err == nil && seen.UserID != p.User.ID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.config.Store.RevokeFamily(ctx, p.User.ID, seen.FamilyID)
}
