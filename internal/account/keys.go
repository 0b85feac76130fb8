package account

import (
	"context"
	"encoding/base64"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	maxKeys    = 100
	maxKeyName = 100
)

// makeKey creates an API key and its record.
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

// CreateKey creates an API key. This is the only time that the key is shown.
func (s *Service) CreateKey(ctx context.Context, p *pyth.Principal, name string, expiresAt time.Time) (*pyth.APIKey, string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxKeyName || strings.IndexFunc(name, unicode.IsControl) >= 0 {
		return nil, "", pyth.Invalid("body.name", "must have 1 to %d characters, none of them control characters", maxKeyName)
	}
	if !expiresAt.IsZero() && !expiresAt.After(s.config.Clock()) {
		return nil, "", pyth.Invalid("body.expiresAt", "must be in the future")
	}
	have, err := s.config.Store.APIKeys(ctx, p.User.ID, "", maxKeys)
	if err != nil {
		return nil, "", err
	}
	if len(have) >= maxKeys {
		return nil, "", pyth.Errorf(pyth.CodeConflict, "You have %d API keys, which is the maximum. Delete one first.", maxKeys)
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

// DeleteKey deletes an API key of the caller. It stops working at once.
func (s *Service) DeleteKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID) error {
	return s.config.Store.DeleteAPIKey(ctx, p.User.ID, id)
}
