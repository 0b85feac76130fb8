package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// putExecution is a statement that stores the record of a run. It does nothing if the
// user does not exist, or if the stored run has already ended.
const putExecution = `INSERT INTO executions
	(id, user_id, state, language, labels, session_id, encrypted, key_id, started_at, ended_at, status, reason, exit_code, signal,
	wall, cpu, memory_peak, queued, network_bytes, content, async)
	SELECT ?1, ?2, ?3, ?4, ?5, nullif(?6, ''), nullif(?7, ''), nullif(?8, ''), ?9, ?10, nullif(?11, ''), nullif(?12, ''), ?13, nullif(?14, ''),
	?15, ?16, ?17, ?18, ?19, ?20, ?21
	FROM users WHERE id = ?2
	ON CONFLICT (id) DO UPDATE SET
	state = ?3, language = ?4, session_id = nullif(?6, ''), started_at = ?9, ended_at = ?10, status = nullif(?11, ''), reason = nullif(?12, ''),
	exit_code = ?13, signal = nullif(?14, ''), wall = ?15, cpu = ?16, memory_peak = ?17, queued = ?18, network_bytes = ?19, content = ?20
	WHERE executions.state <> 'ended' AND executions.user_id = ?2`

const (
	putLabel   = "INSERT INTO execution_labels (user_id, label, execution_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
	putContent = "INSERT INTO execution_contents (execution_id, user_id, language, key_id, ended_at, bytes, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)" +
		" ON CONFLICT DO UPDATE SET language = ?3, ended_at = ?5, bytes = ?6, sealed = ?7"
	deleteContent    = "DELETE FROM execution_contents WHERE execution_id = ?"
	executionMissing = "run"
)

// PutExecutions stores the records of runs. It does not change the stored record of an
// ended run. It ignores records of users that do not exist.
func (s *Store) PutExecutions(ctx context.Context, records []*pyth.SealedExecution) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		put := tx.StmtContext(ctx, s.putExecution)
		var changed []*pyth.ExecutionRecord
		for _, r := range records {
			stored, err := putRecord(ctx, tx, put, r)
			if err != nil {
				return err
			}
			if stored {
				changed = append(changed, &r.ExecutionRecord)
			}
		}
		if err := createDeliveries(ctx, tx, changed); err != nil {
			return err
		}
		return addUsage(ctx, tx, pyth.SumUsage(changed))
	})
}

// putRecord stores one record. It returns true if the record is new or has changed.
func putRecord(ctx context.Context, tx *sql.Tx, put *sql.Stmt, r *pyth.SealedExecution) (stored bool, err error) {
	values, err := column.ExecutionValues(&r.ExecutionRecord)
	if err != nil {
		return false, err
	}
	stored, err = affected(put.ExecContext(ctx, values...))
	if err != nil || !stored {
		return false, err
	}
	for _, label := range r.Labels {
		if _, err := tx.ExecContext(ctx, putLabel, r.User, label, r.ID); err != nil {
			return false, err
		}
	}
	if r.Sealed == nil {
		_, err = tx.ExecContext(ctx, deleteContent, r.ID)
	} else {
		_, err = tx.ExecContext(ctx, putContent, r.ID, r.User, r.Language, r.Key, column.TimeValue(r.EndedAt), len(r.Sealed), r.Sealed)
	}
	return true, err
}

// SealedExecution returns a record with its encrypted content.
func (s *Store) SealedExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.SealedExecution, error) {
	r := new(pyth.SealedExecution)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.ExecutionNames+", c.sealed FROM executions e"+
		" LEFT JOIN execution_contents c ON c.execution_id = e.id WHERE e.id = ? AND e.user_id = ?", id, user).
		Scan(append(column.Execution(&r.ExecutionRecord), &r.Sealed)...)
	if err != nil {
		return nil, asNotFound(err, executionMissing)
	}
	return r, nil
}

// Executions returns the records of the user that match the filter, newest first.
func (s *Store) Executions(ctx context.Context, user pyth.UserID, f pyth.ExecutionFilter, before pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	query, args := executionsQuery(user, f, before, limit)
	return s.executions(ctx, query, args...)
}

// executionsQuery returns the SQL query for a page of records. The query names an index.
// Otherwise the query planner may choose a slower index.
func executionsQuery(user pyth.UserID, f pyth.ExecutionFilter, before pyth.ExecutionID, limit int) (string, []any) {
	index, args := "executions e INDEXED BY executions_of_user", []any{user}
	where := " WHERE e.user_id = ?"
	add := func(by, condition string, arg any) {
		index = "executions e INDEXED BY " + by
		where += " AND " + condition
		args = append(args, arg)
	}
	// If several filters have an index, the last of these filters below determines the
	// index. Therefore the filters that match the fewest records come last.
	if f.Language != "" {
		add("executions_by_language", "e.language = ?", f.Language)
	}
	if f.Status != "" {
		add("executions_by_status", "e.status = ?", f.Status)
	}
	if f.Key != "" {
		add("executions_by_key", "e.key_id = ?", f.Key)
	}
	if f.Session != "" {
		add("executions_by_session", "e.session_id = ?", f.Session)
	}
	switch f.State {
	case "":
	case pyth.StateEnded:
		where += " AND e.state = 'ended'"
	default:
		add("executions_unended", "e.state <> 'ended' AND e.state = ?", f.State)
	}
	id := "e.id"
	if f.Label != "" {
		index = "execution_labels l CROSS JOIN executions e ON e.id = l.execution_id"
		where = " WHERE l.user_id = ?" + where[len(" WHERE e.user_id = ?"):] + " AND l.label = ?"
		args = append(args, f.Label)
		id = "l.execution_id"
	}
	if !f.Until.IsZero() {
		if bound := pyth.ExecutionIDBound(f.Until); before == "" || bound < before {
			before = bound
		}
	}
	if before != "" {
		where += " AND " + id + " < ?"
		args = append(args, before)
	}
	if !f.Since.IsZero() {
		where += " AND " + id + " >= ?"
		args = append(args, pyth.ExecutionIDBound(f.Since))
	}
	return "SELECT " + column.ExecutionNames + " FROM " + index + where + " ORDER BY " + id + " DESC LIMIT ?", append(args, limit)
}

func (s *Store) executions(ctx context.Context, query string, args ...any) (all []*pyth.ExecutionRecord, err error) {
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		r := new(pyth.ExecutionRecord)
		if err := rows.Scan(column.Execution(r)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, r)
	}
	return all, failure(rows.Err())
}

// DeleteExecution deletes a record and its content. It returns CodeConflict if the
// run has not ended.
func (s *Store) DeleteExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var state pyth.ExecutionState
		if err := tx.QueryRowContext(ctx, "SELECT state FROM executions WHERE id = ? AND user_id = ?", id, user).Scan(&state); err != nil {
			return asNotFound(err, executionMissing)
		}
		if state != pyth.StateEnded {
			return pyth.Errorf(pyth.CodeConflict, "The run has not ended. Cancel it first, and wait for its end.")
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM executions WHERE id = ?", id)
		return err
	})
}

// UnendedExecutions returns the records of runs that have not ended, oldest first. It
// returns the records of all users. It omits asynchronous runs.
func (s *Store) UnendedExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	return s.executions(ctx, "SELECT "+column.ExecutionNames+" FROM executions e INDEXED BY executions_unended_synchronous"+
		" WHERE e.state <> 'ended' AND e.async = 0 AND e.id > ? ORDER BY e.id LIMIT ?", after, limit)
}

const oldContents = "SELECT execution_id FROM execution_contents WHERE ended_at < ? ORDER BY ended_at LIMIT ?"

// ExpireExecutionContents removes the content of runs that ended before the given time.
// It returns the number of these runs.
func (s *Store) ExpireExecutionContents(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE executions SET content = ? WHERE id IN ("+oldContents+")", pyth.ContentExpired, column.TimeValue(before), limit)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "DELETE FROM execution_contents WHERE execution_id IN ("+oldContents+")", column.TimeValue(before), limit)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return int(n), err
}

// DeleteOldExecutions deletes records of ended runs that were created before the given
// time. It returns the number of deleted records.
func (s *Store) DeleteOldExecutions(ctx context.Context, before time.Time, limit int) (int, error) {
	result, err := s.writer.ExecContext(ctx, "DELETE FROM executions WHERE id IN (SELECT id FROM executions"+
		" WHERE id < ? AND state = 'ended' ORDER BY id LIMIT ?)", pyth.ExecutionIDBound(before), limit)
	if err != nil {
		return 0, s.writeFailure(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
