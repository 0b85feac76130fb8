package account

import (
	"context"
	"encoding/base64"
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
func (s *Service) makeKey(user pyth.UserID, name string, expires time.Time) (*pyth.APIKey, string, error) {
	key, err := newKey()
	if err != nil {
		return nil, "", err
	}
	id, err := newID("key_")
	if err != nil {
		return nil, "", err
	}
	return &pyth.APIKey{
		ID: pyth.KeyID(id), UserID: user, Name: name, Prefix: key[:keyShown], Hash: hashOf(key),
		CreatedAt: s.now(), ExpiresAt: expires,
	}, key, nil
}

// CreateKey creates an API key and returns it with its record. Only the hash of the
// key is stored, so the key cannot be returned again.
func (s *Service) CreateKey(ctx context.Context, p *pyth.Principal, name string, expiresAt time.Time) (*pyth.APIKey, string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxKeyName || !printable.Text(name) {
		return nil, "", pyth.Invalid("body.name", "must have 1 to %d characters and no control characters", maxKeyName)
	}
	if !expiresAt.IsZero() && !expiresAt.After(s.config.Clock()) {
		return nil, "", pyth.Invalid("body.expiresAt", "must be in the future")
	}
	have, err := s.config.Store.APIKeys(ctx, p.User.ID, "", maxKeys)
	if err != nil {
		return nil, "", err
	}
	if len(have) >= maxKeys {
		return nil, "", pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d API keys. Delete a key first.", maxKeys)
	}
	if !expiresAt.IsZero() {
		expiresAt = expiresAt.UTC().Truncate(time.Microsecond)
	}
	record, key, err := s.makeKey(p.User.ID, name, expiresAt)
	if err != nil {
		return nil, "", err
	}
	return record, key, s.config.Store.CreateAPIKey(ctx, record)
}

// Keys returns a page of the caller's API keys.
func (s *Service) Keys(ctx context.Context, p *pyth.Principal, cursor string, limit int) ([]*pyth.APIKey, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", pyth.Invalid("query.cursor", "must be the nextCursor of the previous page")
	}
	keys, err := s.config.Store.APIKeys(ctx, p.User.ID, pyth.KeyID(after), limit+1)
	if err != nil || len(keys) <= limit {
		return keys, "", err
	}
	keys = keys[:limit]
	return keys, base64.RawURLEncoding.EncodeToString([]byte(keys[limit-1].ID)), nil
}

// DeleteKey deletes an API key of the caller. Requests with this key fail from then
// on.
func (s *Service) DeleteKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID) error {
	return s.config.Store.DeleteAPIKey(ctx, p.User.ID, id)
}
