package column

import pyth "github.com/pyth-on/pyth-on"

const (
	// RefreshTokenNames are the columns of the table refresh_tokens that RefreshToken
	// scans.
	RefreshTokenNames = "hash, family_id, user_id, issued_at, expires_at, spent_at, client_hash, ip, user_agent"
	// RefreshTokenInsert is the beginning of an INSERT statement for the table
	// refresh_tokens. The caller appends the values.
	RefreshTokenInsert = "INSERT INTO refresh_tokens (" + RefreshTokenNames + ") VALUES "
)

// RefreshToken returns scan targets for RefreshTokenNames.
func RefreshToken(t *pyth.RefreshToken) []any {
	return []any{
		Hash(&t.Hash), &t.FamilyID, &t.UserID, Time(&t.IssuedAt), Time(&t.ExpiresAt), Time(&t.SpentAt),
		Hash(&t.ClientHash), &t.Client.IP, &t.Client.UserAgent,
	}
}

// RefreshTokenValues returns the values for RefreshTokenInsert. If the token has no hash
// of a client, the value of the hash is NULL.
func RefreshTokenValues(t *pyth.RefreshToken) []any {
	var client any
	if t.ClientHash != [32]byte{} {
		client = t.ClientHash[:]
	}
	return []any{
		t.Hash[:], t.FamilyID, t.UserID, TimeValue(t.IssuedAt), TimeValue(t.ExpiresAt), TimeValue(t.SpentAt),
		client, t.Client.IP, t.Client.UserAgent,
	}
}

// Login returns scan targets for the columns family_id, issued_at, expires_at,
// ip and user_agent of the table refresh_tokens.
func Login(l *pyth.Login) []any {
	return []any{&l.ID, Time(&l.LastUsedAt), Time(&l.ExpiresAt), &l.Client.IP, &l.Client.UserAgent}
}
