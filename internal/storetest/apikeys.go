package storetest

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func testUpdateKey(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	create(t, s, "bob")
	k := &pyth.APIKey{ID: "key-1", UserID: "ada", Name: "n", Prefix: "p", Hash: hash("1"), CreatedAt: start, Scopes: []pyth.Scope{pyth.ScopeZK}}
	want(t, s.CreateAPIKey(ctx, k), "")
	for _, id := range []pyth.KeyID{"key-1", "absent"} {
		_, err := s.UpdateAPIKey(ctx, "bob", id, pyth.KeyChange{Name: "evil"})
		want(t, err, pyth.CodeNotFound)
	}
	end := start.Add(time.Hour)
	for _, c := range []struct {
		change  pyth.KeyChange
		name    string
		expires time.Time
	}{
		{pyth.KeyChange{}, "n", time.Time{}},
		{pyth.KeyChange{Name: "new"}, "new", time.Time{}},
		{pyth.KeyChange{ExpiresAt: end}, "new", end},
		{pyth.KeyChange{Name: "newer", ExpiresAt: end.Add(1000)}, "newer", end.Add(1000)},
	} {
		k.Name, k.ExpiresAt = c.name, c.expires
		got, err := s.UpdateAPIKey(ctx, "ada", "key-1", c.change)
		want(t, err, "")
		same(t, k, got)
		stored, _, err := s.APIKeyByHash(ctx, k.Hash)
		want(t, err, "")
		same(t, k, stored)
	}
	first, _, err := s.APIKeyByHash(ctx, a.key.Hash)
	want(t, err, "")
	same(t, a.key, first)
}

func testKeysUsed(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a, b := create(t, s, "ada"), create(t, s, "bob")
	later := start.Add(time.Minute)
	want(t, s.SetKeysUsed(ctx, nil), "")
	want(t, s.SetKeysUsed(ctx, map[pyth.KeyID]time.Time{a.key.ID: later, b.key.ID: start, "absent": later}), "")
	want(t, s.SetKeysUsed(ctx, map[pyth.KeyID]time.Time{a.key.ID: start, b.key.ID: later}), "")
	for _, x := range []account{a, b} {
		k, _, err := s.APIKeyByHash(ctx, x.key.Hash)
		want(t, err, "")
		same(t, later, k.LastUsedAt)
	}
}
