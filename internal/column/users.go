package column

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// UserNames are the columns that User scans. A query must give the table users the alias
// "u".
const UserNames = "u.id, u.email, u.password_hash, u.created_at, u.role, u.disabled_at, u.quotas, u.second_factor_at, u.email_unconfirmed_at, u.taken_over_at"

// User returns scan targets for UserNames.
func User(u *pyth.User) []any {
	return []any{
		&u.ID, &u.Email, &u.PasswordHash, Time(&u.CreatedAt), &u.Role, Time(&u.DisabledAt), Quotas(&u.Quotas), Time(&u.SecondFactorAt),
		Time(&u.EmailUnconfirmedAt), Time(&u.TakenOverAt),
	}
}

// QuotasValue returns the column value for the quotas of a user. The value is a JSON
// object.
func QuotasValue(q map[pyth.QuotaName]int64) (string, error) {
	if len(q) == 0 {
		return "{}", nil
	}
	b, err := json.Marshal(q)
	return string(b), err
}

// Quotas returns a scan target for a column that was written with QuotasValue. It reads
// an empty object as nil.
func Quotas(q *map[pyth.QuotaName]int64) sql.Scanner { return quotasOf{q} }

type quotasOf struct{ q *map[pyth.QuotaName]int64 }

func (d quotasOf) Scan(v any) error {
	*d.q = nil
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("column contains quotas of type %T", v)
	}
	if text == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(text), d.q)
}

// RoleValue returns the column value for a role. The value for an empty role is
// RoleUser.
func RoleValue(r pyth.Role) string { return string(cmp.Or(r, pyth.RoleUser)) }

// InviteNames are the columns of the table invites that Invite scans.
const InviteNames = "id, hash, coalesce(email, ''), created_at, expires_at, coalesce(created_by, ''), setup = 1"

// Invite returns scan targets for InviteNames.
func Invite(i *pyth.Invite) []any {
	return []any{&i.ID, Hash(&i.Hash), &i.Email, Time(&i.CreatedAt), Time(&i.ExpiresAt), &i.CreatedBy, &i.Setup}
}

// InviteValues returns the values of all columns of an invite. It converts the e-mail
// address to lower case, so that queries can compare addresses. An empty address or
// creator stays an empty text. The SQL statement of the caller stores it as NULL.
func InviteValues(i *pyth.Invite) []any {
	return []any{string(i.ID), i.Hash[:], pyth.EmailKey(i.Email), TimeValue(i.CreatedAt), TimeValue(i.ExpiresAt), string(i.CreatedBy), boolValue(i.Setup)}
}
