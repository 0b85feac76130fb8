package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	inviteStart = "pyinv_"
	// defaultInvite is the default lifetime of an invite, and maxInvite is the maximum
	// lifetime.
	defaultInvite = 7 * 24 * time.Hour
	maxInvite     = 365 * 24 * time.Hour
	minInvite     = time.Minute
	// setupLifetime is the lifetime of a setup code. Each start of a server without an
	// administrator creates a new code.
	setupLifetime = 24 * time.Hour
)

// mayRegister returns an error if the caller is not allowed to register. If the code
// belongs to a stored invite, mayRegister returns the invite, and the registration must
// delete it. Otherwise the returned invite is nil. With open registration, nobody needs
// an invite, but the e-mail address of a caller with an invite counts as confirmed.
func (s *Service) mayRegister(ctx context.Context, email, code string) (*pyth.Invite, error) {
	stored, err := s.storedInvite(ctx, code)
	if err != nil {
		return nil, err
	}
	if stored != nil && stored.Setup {
		return stored, nil
	}
	switch s.policy.Load().Registration {
	case RegistrationOpen:
		if stored != nil && stored.Email != "" && stored.Email != pyth.EmailKey(email) {
			return nil, nil // An invite for another address does not confirm this address.
		}
		return stored, nil
	case RegistrationInvite:
		if stored != nil {
			return stored, nil
		}
		if s.configuredInvite(code) {
			return nil, nil
		}
		return nil, pyth.Errorf(pyth.CodeRegistrationClosed, "Registration requires a valid invite. Ask an administrator for an invite and send it in the field invite.")
	}
	return nil, pyth.Errorf(pyth.CodeRegistrationClosed, "Registration is closed. Ask an administrator for an account.")
}

// storedInvite returns the invite with the given code from the store. It returns nil if
// the store has no such invite, or if the invite has expired.
func (s *Service) storedInvite(ctx context.Context, code string) (*pyth.Invite, error) {
	if len(code) <= len(inviteStart) || code[:len(inviteStart)] != inviteStart {
		return nil, nil
	}
	i, err := s.config.Store.InviteByHash(ctx, hashOf(code))
	if absent(err) || err == nil && !s.config.Clock().Before(i.ExpiresAt) {
		return nil, nil
	}
	return i, err
}

// configuredInvite reports whether the code is in the operator's list of invites.
func (s *Service) configuredInvite(code string) bool {
	given := sha256.Sum256([]byte(code))
	valid := 0
	for _, i := range s.policy.Load().Invites {
		// Compare the code with all invites, and compare hashes in constant time.
		// Otherwise an attacker could learn parts of an invite from the duration of the
		// comparison.
		h := sha256.Sum256([]byte(i))
		valid |= subtle.ConstantTimeCompare(given[:], h[:])
	}
	return valid == 1
}

// CreateInvite creates an invite for one registration and returns its code. If the
// parameter "email" is not "", only this address can use the invite.
func (s *Service) CreateInvite(ctx context.Context, actor pyth.UserID, email string, lifetime time.Duration) (*pyth.Invite, string, error) {
	if lifetime == 0 {
		lifetime = defaultInvite
	}
	if lifetime < minInvite || lifetime > maxInvite {
		return nil, "", pyth.Invalid("body.expiresInMs", "must be between %s and %s", pyth.Digits(minInvite.Milliseconds()), pyth.Digits(maxInvite.Milliseconds()))
	}
	if email != "" {
		var err error
		if email, err = normalizeEmail(email); err != nil {
			return nil, "", err
		}
	}
	return s.newInvite(ctx, &pyth.Invite{Email: pyth.EmailKey(email), CreatedBy: actor}, lifetime)
}

// CreateSetupCode creates a code with which one caller can register as the first
// administrator. It returns "" if an enabled administrator exists. The new code
// replaces the earlier one.
func (s *Service) CreateSetupCode(ctx context.Context) (string, error) {
	counts, err := s.config.Store.CountUsers(ctx)
	if err != nil || counts.ActiveAdmins > 0 {
		return "", err
	}
	_, code, err := s.newInvite(ctx, &pyth.Invite{Setup: true}, setupLifetime)
	return code, err
}

func (s *Service) newInvite(ctx context.Context, i *pyth.Invite, lifetime time.Duration) (*pyth.Invite, string, error) {
	id, err := newID("inv_")
	if err != nil {
		return nil, "", err
	}
	code := inviteStart + rand.Text() // 130 bits
	i.ID, i.Hash, i.CreatedAt = pyth.InviteID(id), hashOf(code), s.now()
	i.ExpiresAt = i.CreatedAt.Add(lifetime)
	return i, code, s.config.Store.CreateInvite(ctx, i)
}
