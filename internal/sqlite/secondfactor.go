package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const selectSecondFactor = "SELECT " + column.SecondFactorNames + " FROM second_factors f WHERE f.user_id = ?"

// PutSecondFactor stores a secret that is not active yet.
func (s *Store) PutSecondFactor(ctx context.Context, f *pyth.SecondFactor) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		active, err := hasSecondFactor(ctx, tx, f.UserID)
		if err != nil {
			return err
		}
		if active {
			return pyth.ActiveSecondFactorError()
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO second_factors (user_id, id, sealed, created_at, last_step, attempts) VALUES (?, ?, ?, ?, ?, 0)",
			f.UserID, f.ID, f.Sealed, column.TimeValue(f.CreatedAt), f.LastStep)
		return err
	})
}

// hasSecondFactor reports whether the user has an active second factor.
func hasSecondFactor(ctx context.Context, tx *sql.Tx, user pyth.UserID) (active bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT second_factor_at IS NOT NULL FROM users WHERE id = ?", user).Scan(&active)
	return active, asNotFound(err, "user")
}

// SecondFactor returns the second factor of the user.
func (s *Store) SecondFactor(ctx context.Context, user pyth.UserID) (*pyth.SecondFactor, error) {
	f := new(pyth.SecondFactor)
	if err := s.reader.QueryRowContext(ctx, selectSecondFactor, user).Scan(column.SecondFactor(f)...); err != nil {
		return nil, asNotFound(err, "second factor")
	}
	return f, nil
}

// ActivateSecondFactor activates the second factor and stores recovery codes.
func (s *Store) ActivateSecondFactor(ctx context.Context, user pyth.UserID, id string, at time.Time, step int64, codes [][32]byte, keep string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		active, err := hasSecondFactor(ctx, tx, user)
		if err != nil {
			return err
		}
		if active {
			return pyth.ActiveSecondFactorError()
		}
		changed, err := affected(tx.ExecContext(ctx, "UPDATE second_factors SET last_step = ? WHERE user_id = ? AND id = ?", step, user, id))
		if err != nil {
			return err
		}
		if !changed {
			return pyth.Errorf(pyth.CodeConflict, "The secret was replaced by another request at the same time.")
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET second_factor_at = ? WHERE id = ?", column.TimeValue(at), user); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM refresh_tokens WHERE user_id = ? AND family_id <> ?", user, keep); err != nil {
			return err
		}
		return putRecoveryCodes(ctx, tx, user, codes)
	})
}

func putRecoveryCodes(ctx context.Context, tx *sql.Tx, user pyth.UserID, codes [][32]byte) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM recovery_codes WHERE user_id = ?", user); err != nil {
		return err
	}
	for _, code := range codes {
		if _, err := tx.ExecContext(ctx, "INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", user, code[:]); err != nil {
			return err
		}
	}
	return nil
}

// BeginSecondFactorAttempt counts an attempt to send a code, and returns the second
// factor.
func (s *Store) BeginSecondFactorAttempt(ctx context.Context, user pyth.UserID, at time.Time, maximum int, pause time.Duration) (*pyth.SecondFactor, error) {
	f := new(pyth.SecondFactor)
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		var attempts int
		var last time.Time
		err := tx.QueryRowContext(ctx, "SELECT "+column.SecondFactorNames+", f.attempts, f.attempt_at FROM second_factors f WHERE f.user_id = ?", user).
			Scan(append(column.SecondFactor(f), &attempts, column.Time(&last))...)
		if err != nil {
			return asNotFound(err, "second factor")
		}
		if wait := pyth.AttemptWait(attempts, maximum, last, at, pause); wait > 0 {
			return pyth.TooManyAttemptsError(wait)
		}
		_, err = tx.ExecContext(ctx, "UPDATE second_factors SET attempts = attempts + 1, attempt_at = ? WHERE user_id = ?", column.TimeValue(at), user)
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
	changed, err := s.write(ctx, "UPDATE second_factors SET last_step = ?, attempts = 0, attempt_at = NULL WHERE user_id = ? AND id = ? AND last_step < ?",
		step, user, id, step)
	if err == nil && !changed {
		err = pyth.Errorf(pyth.CodeConflict, "The code was used already.")
	}
	return err
}

// UseRecoveryCode deletes the hash of a recovery code.
func (s *Store) UseRecoveryCode(ctx context.Context, user pyth.UserID, hash [32]byte) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		changed, err := affected(tx.ExecContext(ctx, "DELETE FROM recovery_codes WHERE user_id = ? AND hash = ?", user, hash[:]))
		if err != nil {
			return err
		}
		if !changed {
			return asNotFound(sql.ErrNoRows, "recovery code")
		}
		_, err = tx.ExecContext(ctx, "UPDATE second_factors SET attempts = 0, attempt_at = NULL WHERE user_id = ?", user)
		return err
	})
}

// ReplaceRecoveryCodes replaces the hashes of all recovery codes of the user.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, user pyth.UserID, codes [][32]byte) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		active, err := hasSecondFactor(ctx, tx, user)
		if err == nil && !active {
			err = asNotFound(sql.ErrNoRows, "second factor")
		}
		if err != nil {
			return err
		}
		return putRecoveryCodes(ctx, tx, user, codes)
	})
}

// DeleteSecondFactor deletes the active second factor and the recovery codes.
func (s *Store) DeleteSecondFactor(ctx context.Context, user pyth.UserID) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		changed, err := affected(tx.ExecContext(ctx, "UPDATE users SET second_factor_at = NULL WHERE id = ? AND second_factor_at IS NOT NULL", user))
		if err != nil {
			return err
		}
		if !changed {
			return asNotFound(sql.ErrNoRows, "second factor")
		}
		_, first := tx.ExecContext(ctx, "DELETE FROM second_factors WHERE user_id = ?", user)
		_, second := tx.ExecContext(ctx, "DELETE FROM recovery_codes WHERE user_id = ?", user)
		return errors.Join(first, second)
	})
}
