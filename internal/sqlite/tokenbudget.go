package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	selectTokens = "SELECT coalesce(max(tokens), 0) FROM token_budgets WHERE user_id = ? AND day = ?"
	putTokens    = "INSERT INTO token_budgets (user_id, day, tokens) VALUES (?1, ?2, ?3)" +
		" ON CONFLICT (user_id) DO UPDATE SET day = ?2, tokens = ?3"
	returnTokens = "UPDATE token_budgets SET tokens = max(tokens - ?3, 0) WHERE user_id = ?1 AND day = ?2"
)

// TakeTokens takes tokens from the user's budget for the day, and returns the number of
// taken tokens. The parameter "limit" is the whole budget of the day. TakeTokens takes
// all remaining tokens, but at most the number in the parameter "maximum". If fewer
// tokens remain than the parameter "minimum", it takes no tokens and returns
// CodeTokenBudget.
func (s *Store) TakeTokens(ctx context.Context, user pyth.UserID, day time.Time, minimum, maximum, limit int64) (int64, error) {
	var taken int64
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		var used int64
		if err := tx.QueryRowContext(ctx, selectTokens, user, column.DayValue(day)).Scan(&used); err != nil {
			return err
		}
		if taken = min(maximum, limit-used); taken < minimum {
			return pyth.Errorf(pyth.CodeTokenBudget, "The token budget for today is exhausted.")
		}
		_, err := tx.ExecContext(ctx, putTokens, user, column.DayValue(day), used+taken)
		return err
	})
	if err != nil {
		return 0, err
	}
	return taken, nil
}

// ReturnTokens returns unused tokens to the user's budget for the day.
func (s *Store) ReturnTokens(ctx context.Context, user pyth.UserID, day time.Time, tokens int64) error {
	_, err := s.write(ctx, returnTokens, user, column.DayValue(day), tokens)
	return err
}
