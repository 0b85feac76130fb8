package column

import pyth "github.com/pyth-on/pyth-on"

const (
	// APIKeyNames are the columns that APIKey scans. A query must give the table
	// api_keys the alias "k".
	APIKeyNames = "k.id, k.user_id, k.name, k.prefix, k.hash, k.sealed, k.created_at, k.expires_at, k.scopes, k.last_used_at"
	// APIKeyInsert is the beginning of an INSERT statement for the table api_keys. The
	// caller appends the values.
	APIKeyInsert = "INSERT INTO api_keys (id, user_id, name, prefix, hash, sealed, created_at, expires_at, scopes, last_used_at) VALUES "
)

// APIKey returns scan targets for APIKeyNames.
func APIKey(k *pyth.APIKey) []any {
	return []any{&k.ID, &k.UserID, &k.Name, &k.Prefix, Hash(&k.Hash), &k.Sealed, Time(&k.CreatedAt), Time(&k.ExpiresAt), Scopes(&k.Scopes), Time(&k.LastUsedAt)}
}

// APIKeyValues returns the values for APIKeyInsert.
func APIKeyValues(k *pyth.APIKey) []any {
	return []any{k.ID, k.UserID, k.Name, k.Prefix, k.Hash[:], k.Sealed, TimeValue(k.CreatedAt), TimeValue(k.ExpiresAt), ScopesValue(k.Scopes), TimeValue(k.LastUsedAt)}
}
