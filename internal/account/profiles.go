package account

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/printable"
)

// Profiles lets callers change and delete their accounts. It implements
// pyth.ProfileService, and is safe for concurrent use.
type Profiles struct {
	accounts *Service
	remover  *Remover
}

var _ pyth.ProfileService = (*Profiles)(nil)

// NewProfiles returns the service for the accounts. The service deletes accounts with the
// Remover.
func NewProfiles(accounts *Service, remover *Remover) *Profiles {
	return &Profiles{accounts, remover}
}

// ChangeEmail replaces the e-mail address of the caller.
func (x *Profiles) ChangeEmail(ctx context.Context, p *pyth.Principal, email, password string) (*pyth.User, error) {
	s := x.accounts
	if err := s.checkPassword(ctx, p, password); err != nil {
		return nil, err
	}
	given := email
	email, err := normalizeEmail(given)
	if err != nil {
		return nil, err
	}
	// The store compares only one form of the address, so look for the other forms of the
	// address here.
	other, err := s.userByEmail(ctx, given)
	switch {
	case err == nil && other.ID != p.User.ID:
		return nil, pyth.Errorf(pyth.CodeEmailTaken, "Another account has this e-mail address.")
	case err != nil && !absent(err):
		return nil, err
	}
	if err := s.config.Store.SetEmail(ctx, p.User.ID, email, s.unconfirmedSince()); err != nil {
		return nil, err
	}
	return s.config.Store.User(ctx, p.User.ID)
}

// DeleteAccount deletes the account of the caller.
func (x *Profiles) DeleteAccount(ctx context.Context, p *pyth.Principal, password string) error {
	if err := x.accounts.checkPassword(ctx, p, password); err != nil {
		return err
	}
	return x.remover.Remove(ctx, p.User.ID)
}

// Logins returns a page of the caller's logins.
func (x *Profiles) Logins(ctx context.Context, p *pyth.Principal, after string, limit int) ([]*pyth.Login, error) {
	all, err := x.accounts.config.Store.Logins(ctx, p.User.ID, x.accounts.now(), after, limit)
	for _, l := range all {
		l.CreatedAt = familyTime(l.ID)
	}
	return all, err
}

// familyTime returns the time of the login. The ID of a token family contains this time.
func familyTime(family string) time.Time {
	id, err := uuid.Parse(strings.TrimPrefix(family, familyStart))
	if err != nil || id.Version() != 7 {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime()).UTC().Truncate(time.Millisecond)
}

// DeleteLogin revokes a token family of the caller.
func (x *Profiles) DeleteLogin(ctx context.Context, p *pyth.Principal, id string) error {
	store := x.accounts.config.Store
	active, err := store.FamilyActive(ctx, p.User.ID, id, x.accounts.now())
	if err != nil {
		return err
	}
	if !active {
		return pyth.Errorf(pyth.CodeNotFound, "You have no login with this ID. The login may have ended.")
	}
	return store.RevokeFamily(ctx, p.User.ID, id)
}

// NoteExport does nothing, because the decorator in package audit records the export.
func (x *Profiles) NoteExport(context.Context, *pyth.Principal) error { return nil }

// ResetPassword replaces the password of the user to whom the reset token belongs.
func (x *Profiles) ResetPassword(ctx context.Context, token, password string) (pyth.UserID, error) {
	s := x.accounts
	hash := hashOf(token)
	t, err := s.config.Store.ResetToken(ctx, hash)
	if absent(err) || err == nil && !s.now().Before(t.ExpiresAt) {
		return "", invalidResetToken()
	}
	if err != nil {
		return "", err
	}
	user, err := s.config.Store.User(ctx, t.UserID)
	if absent(err) {
		return "", invalidResetToken()
	}
	if err != nil {
		return "", err
	}
	if password, err = newPassword("body.newPassword", password, user.Email); err != nil {
		return "", err
	}
	passwordHash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", err
	}
	err = s.config.Store.UseResetToken(ctx, hash, s.now(), passwordHash)
	if absent(err) {
		return "", invalidResetToken()
	}
	if err == nil && !user.EmailUnconfirmedAt.IsZero() {
		// Another person may have started the runs and sessions of this account. The runs
		// and sessions must end even if the client disconnects.
		err = x.remover.end(context.WithoutCancel(ctx), user.ID)
	}
	return user.ID, err
}

func invalidResetToken() error {
	return pyth.Errorf(pyth.CodeInvalidCredentials, "The reset token is unknown, used or expired. Request a new one.")
}

// maxClientText is the maximum length in bytes of each text that describes a client.
const maxClientText = 256

// clientOf returns the description of the client that sent the request. The client
// chooses these texts, so clientOf limits their length and replaces unprintable
// characters.
func clientOf(ctx context.Context) pyth.Client {
	o := pyth.OriginOf(ctx)
	return pyth.Client{IP: shorten(printable.Clean(o.IP)), UserAgent: shorten(printable.Clean(o.UserAgent))}
}

func shorten(s string) string {
	if len(s) <= maxClientText {
		return s
	}
	return strings.ToValidUTF8(s[:maxClientText], "")
}
