package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const selectSecondFactor = "SELECT " + column.SecondFactorNames + " FROM second_factors f WHERE f.user_id = $1"

// PutSecondFactor stores a secret that is not active yet.
func (s *Store) PutSecondFactor(ctx context.Context, f *pyth.SecondFactor) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockInactive(ctx, tx, f.UserID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM second_factors WHERE user_id = $1", f.UserID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO second_factors (user_id, id, sealed, created_at, last_step, attempts) VALUES ($1, $2, $3, $4, $5, 0)",
			f.UserID, f.ID, f.Sealed, column.TimeValue(f.CreatedAt), f.LastStep)
		return err
	})
}

// lockSecondFactor locks the user like lockUser, and reports whether the user has an
// active second factor.
func lockSecondFactor(ctx context.Context, tx pgx.Tx, user pyth.UserID) (active bool, err error) {
	u, err := lockedUser(ctx, tx, user)
	return err == nil && !u.SecondFactorAt.IsZero(), err
}

// lockInactive locks the user like lockUser. It fails with CodeConflict if the user has
// an active second factor.
func lockInactive(ctx context.Context, tx pgx.Tx, user pyth.UserID) error {
	active, err := lockSecondFactor(ctx, tx, user)
	if err == nil && active {
		err = pyth.ActiveSecondFactorError()
	}
	return err
}

// SecondFactor returns the second factor of the user.
func (s *Store) SecondFactor(ctx context.Context, user pyth.UserID) (*pyth.SecondFactor, error) {
	f := new(pyth.SecondFactor)
	if err := s.row(ctx, selectSecondFactor, []any{user}, column.SecondFactor(f)...); err != nil {
		return nil, asNotFound(err, "second factor")
	}
	return f, nil
}

// ActivateSecondFactor activates the second factor and stores recovery codes.
func (s *Store) ActivateSecondFactor(ctx context.Context, user pyth.UserID, id string, at time.Time, step int64, codes [][32]byte, keep string) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockInactive(ctx, tx, user); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "UPDATE second_factors SET last_step = $1 WHERE user_id = $2 AND id = $3", step, user, id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return pyth.Errorf(pyth.CodeConflict, "The secret was replaced by another request at the same time.")
		}
		if _, err := tx.Exec(ctx, "UPDATE users SET second_factor_at = $1 WHERE id = $2", column.TimeValue(at), user); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM refresh_tokens WHERE user_id = $1 AND family_id <> $2", user, keep); err != nil {
			return err
		}
		return putRecoveryCodes(ctx, tx, user, codes)
	})
}

func putRecoveryCodes(ctx context.Context, tx pgx.Tx, user pyth.UserID, codes [][32]byte) error {
	if _, err := tx.Exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", user); err != nil {
		return err
	}
	for _, code := range codes {
		if _, err := tx.Exec(ctx, "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)", user, code[:]); err != nil {
			return err
		}
	}
	return nil
}

// BeginSecondFactorAttempt counts an attempt to send a code, and returns the second
// factor.
func (s *Store) BeginSecondFactorAttempt(ctx context.Context, user pyth.UserID, at time.Time, maximum int, pause time.Duration) (*pyth.SecondFactor, error) {
	f := new(pyth.SecondFactor)
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var attempts int
		var last time.Time
		err := tx.QueryRow(ctx, "SELECT "+column.SecondFactorNames+", f.attempts, f.attempt_at FROM second_factors f WHERE f.user_id = $1 FOR NO KEY UPDATE OF f", user).
			Scan(append(column.SecondFactor(f), &attempts, column.Time(&last))...)
		if err != nil {
			return asNotFound(err, "second factor")
		}
		if wait := pyth.AttemptWait(attempts, maximum, last, at, pause); wait > 0 {
			return pyth.TooManyAttemptsError(wait)
		}
		_, err = tx.Exec(ctx, "UPDATE second_factors SET attempts = attempts + 1, attempt_at = $1 WHERE user_id = $2", column.TimeValue(at), user)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// UseTOTPStep marks the time step and all earlier time steps as used. Each code is then
// valid only once.
func (s *Store) UseTOTPStep(ctx context.Context, user pyth.UserID, id string, step int64) error {
	changed, err := s.write(ctx, "UPDATE second_factors SET last_step = $1, attempts = 0, attempt_at = NULL WHERE user_id = $2 AND id = $3 AND last_step < $1",
		step, user, id)
	if err == nil && !changed {
		err = pyth.Errorf(pyth.CodeConflict, "The code was used already.")
	}
	return err
}

// UseRecoveryCode deletes the hash of a recovery code.
func (s *Store) UseRecoveryCode(ctx context.Context, user pyth.UserID, hash [32]byte) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2", user, hash[:])
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return asNotFound(pgx.ErrNoRows, "recovery code")
		}
		_, err = tx.Exec(ctx, "UPDATE second_factors SET attempts = 0, attempt_at = NULL WHERE user_id = $1", user)
		return err
	})
}

// ReplaceRecoveryCodes replaces the hashes of all recovery codes of the user.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, user pyth.UserID, codes [][32]byte) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		active, err := lockSecondFactor(ctx, tx, user)
		if err == nil && !active {
			err = asNotFound(pgx.ErrNoRows, "second factor")
		}
		if err != nil {
			return err
		}
		return putRecoveryCodes(ctx, tx, user, codes)
	})
}

// DeleteSecondFactor deletes the active second factor and the recovery codes.
func (s *Store) DeleteSecondFactor(ctx context.Context, user pyth.UserID) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE users SET second_factor_at = NULL WHERE id = $1 AND second_factor_at IS NOT NULL", user)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return asNotFound(pgx.ErrNoRows, "second factor")
		}
		if _, err := tx.Exec(ctx, "DELETE FROM second_factors WHERE user_id = $1", user); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", user)
		return err
	})
}
