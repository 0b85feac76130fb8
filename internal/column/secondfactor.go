package column

import pyth "github.com/pyth-on/pyth-on"

// SecondFactorNames are the columns that SecondFactor scans. A query must give the table
// second_factors the alias "f".
const SecondFactorNames = "f.user_id, f.id, f.sealed, f.created_at, f.last_step," +
	" (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id)"

// SecondFactor returns scan targets for SecondFactorNames.
func SecondFactor(f *pyth.SecondFactor) []any {
	return []any{&f.UserID, &f.ID, &f.Sealed, Time(&f.CreatedAt), &f.LastStep, &f.RecoveryCodes}
}
