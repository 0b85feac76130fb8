package account

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/printable"
)

const (
	maxKeys    = 100
	maxKeyName = 100
)

// makeKey generates an API key and its record. The caller stores the record.
func (s *Service) makeKey(user pyth.UserID, spec pyth.KeySpec) (*pyth.APIKey, string, error) {
	key, shown, err := newKeyOf(spec.Format)
	if err != nil {
		return nil, "", err
	}
	id, err := newID("key_")
	if err != nil {
		return nil, "", err
	}
	return &pyth.APIKey{
		ID: pyth.KeyID(id), UserID: user, Name: spec.Name, Prefix: key[:shown], Hash: hashOf(key),
		CreatedAt: s.now(), ExpiresAt: spec.ExpiresAt, Scopes: spec.Scopes,
	}, key, nil
}

// CreateKey creates an API key and returns it with its record. Only the hash of the
// key is stored, so the key cannot be returned again.
func (s *Service) CreateKey(ctx context.Context, p *pyth.Principal, spec pyth.KeySpec) (*pyth.APIKey, string, error) {
	var err error
	if spec.Name, err = keyName(spec.Name); err != nil {
		return nil, "", err
	}
	if spec.ExpiresAt, err = s.keyExpiry(spec.ExpiresAt); err != nil {
		return nil, "", err
	}
	if err = checkExpiry(p, spec.ExpiresAt); err != nil {
		return nil, "", err
	}
	if err = s.RequireLogin(ctx, p); err != nil {
		return nil, "", err
	}
	if spec.Scopes, err = newScopes(p, spec.Scopes); err != nil {
		return nil, "", err
	}
	if spec.Format != "" && !slices.Contains(pyth.KeyFormats(), spec.Format) {
		return nil, "", pyth.Invalid("body.format", "must be one of %v", pyth.KeyFormats())
	}
	have, err := s.config.Store.APIKeys(ctx, p.User.ID, "", maxKeys)
	if err != nil {
		return nil, "", err
	}
	if len(have) >= maxKeys {
		return nil, "", pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d API keys. Delete a key first.", maxKeys)
	}
	record, key, err := s.makeKey(p.User.ID, spec)
	if err != nil {
		return nil, "", err
	}
	return record, key, s.config.Store.CreateAPIKey(ctx, record)
}

// UpdateKey changes the name or the expiry of an API key of the caller.
func (s *Service) UpdateKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID, c pyth.KeyChange) (*pyth.APIKey, error) {
	var err error
	if c.Name != "" {
		if c.Name, err = keyName(c.Name); err != nil {
			return nil, err
		}
	}
	if c.ExpiresAt, err = s.keyExpiry(c.ExpiresAt); err != nil {
		return nil, err
	}
	if !c.ExpiresAt.IsZero() {
		if err = checkExpiry(p, c.ExpiresAt); err != nil {
			return nil, err
		}
	}
	if err = s.RequireLogin(ctx, p); err != nil {
		return nil, err
	}
	k, err := s.config.Store.UpdateAPIKey(ctx, p.User.ID, id, c)
	if err != nil {
		return nil, err
	}
	s.uses.addTo(k)
	return k, nil
}

func keyName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxKeyName || !printable.Text(name) {
		return "", pyth.Invalid("body.name", "must have 1 to %d characters and no control characters", maxKeyName)
	}
	return name, nil
}

// keyExpiry checks the expiry of a key. The zero time means that the key does not
// expire.
func (s *Service) keyExpiry(at time.Time) (time.Time, error) {
	if at.IsZero() {
		return at, nil
	}
	if !at.After(s.config.Clock()) {
		return at, pyth.Invalid("body.expiresAt", "must be in the future")
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// checkExpiry returns an error if a new or changed key would expire later than the API
// key of the caller. Otherwise a thief could use a stolen key to get a key with a later
// expiry. The zero time means that the new or changed key does not expire.
func checkExpiry(p *pyth.Principal, at time.Time) error {
	if p.Credential != pyth.CredentialAPIKey || p.ExpiresAt.IsZero() || !at.IsZero() && !at.After(p.ExpiresAt) {
		return nil
	}
	return pyth.Errorf(pyth.CodeForbidden, "The API key of this request expires on %s. A request with this key cannot set a later expiry for a key. Log in, or use another key.",
		p.ExpiresAt.UTC().Format(time.RFC3339))
}

// newScopes returns the scopes of a new key, in the order of pyth.Scopes and without
// duplicates. It fails if the caller's key lacks one of the requested scopes.
func newScopes(p *pyth.Principal, requested []pyth.Scope) ([]pyth.Scope, error) {
	if requested == nil {
		return slices.DeleteFunc(pyth.DefaultScopes(), func(s pyth.Scope) bool { return !p.Has(s) }), nil
	}
	known := pyth.Scopes()
	for i, s := range requested {
		if !slices.Contains(known, s) {
			return nil, pyth.Invalid(fmt.Sprintf("body.scopes[%d]", i), "must be one of %v", known)
		}
		if err := p.Require(s); err != nil {
			return nil, err
		}
	}
	if len(requested) == 0 {
		return nil, pyth.Invalid("body.scopes", "must contain at least one scope; omit the field for the default scopes")
	}
	return slices.DeleteFunc(known, func(s pyth.Scope) bool { return !slices.Contains(requested, s) }), nil
}

// Keys returns a page of the caller's API keys.
func (s *Service) Keys(ctx context.Context, p *pyth.Principal, cursor string, limit int) ([]*pyth.APIKey, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", pyth.Invalid("query.cursor", "must be the nextCursor of the previous page")
	}
	keys, err := s.config.Store.APIKeys(ctx, p.User.ID, pyth.KeyID(after), limit+1)
	if err != nil {
		return nil, "", err
	}
	s.uses.addTo(keys...)
	if len(keys) <= limit {
		return keys, "", nil
	}
	keys = keys[:limit]
	return keys, base64.RawURLEncoding.EncodeToString([]byte(keys[limit-1].ID)), nil
}

// DeleteKey deletes an API key of the caller. Later requests with this key fail.
func (s *Service) DeleteKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID) error {
	return s.config.Store.DeleteAPIKey(ctx, p.User.ID, id)
}
