package column

import pyth "github.com/pyth-on/pyth-on"

// IdentityNames are the columns of the table identities. Identity and IdentityValues
// use the same order.
const IdentityNames = "id, user_id, issuer, subject, email, created_at, last_used_at"

// Identity returns scan targets for IdentityNames.
func Identity(i *pyth.Identity) []any {
	return []any{&i.ID, &i.UserID, &i.Issuer, &i.Subject, &i.Email, Time(&i.CreatedAt), Time(&i.LastUsedAt)}
}

// IdentityValues returns the values for IdentityNames.
func IdentityValues(i *pyth.Identity) []any {
	return []any{string(i.ID), string(i.UserID), i.Issuer, i.Subject, i.Email, TimeValue(i.CreatedAt), TimeValue(i.LastUsedAt)}
}

// SignInNames are the columns of the table sign_ins that SignIn scans.
const SignInNames = "hash, challenge, issuer, subject, email, email_verified = 1, created_at, expires_at"

// SignInInsert is the beginning of an INSERT statement for the table sign_ins. The
// caller appends the values.
const SignInInsert = "INSERT INTO sign_ins (hash, challenge, issuer, subject, email, email_verified, created_at, expires_at) VALUES "

// SignIn returns scan targets for SignInNames.
func SignIn(s *pyth.SignIn) []any {
	return []any{Hash(&s.Hash), Hash(&s.Challenge), &s.Issuer, &s.Subject, &s.Email, &s.EmailVerified, Time(&s.CreatedAt), Time(&s.ExpiresAt)}
}

// SignInValues returns the values for SignInInsert.
func SignInValues(s *pyth.SignIn) []any {
	return []any{s.Hash[:], s.Challenge[:], s.Issuer, s.Subject, s.Email, boolValue(s.EmailVerified), TimeValue(s.CreatedAt), TimeValue(s.ExpiresAt)}
}
