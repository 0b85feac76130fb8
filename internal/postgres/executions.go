package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// scanExecution scans a record. It scans further columns into the given targets.
func scanExecution(row pgx.CollectableRow, r *pyth.ExecutionRecord, more ...any) error {
	return row.Scan(append(column.Execution(r), more...)...)
}

// putExecution is a statement that stores the record of a run. It does nothing if the
// user does not exist, or if the stored run has already ended.
const putExecution = `INSERT INTO executions
	(id, user_id, state, language, labels, session_id, encrypted, key_id, started_at, ended_at, status, reason, exit_code, signal,
	wall, cpu, memory_peak, queued, network_bytes, content, async)
	SELECT $1, id, $3, $4, $5, nullif($6, ''), nullif($7, ''), nullif($8, ''), $9::bigint, $10::bigint, nullif($11, ''), nullif($12, ''), $13::bigint,
	nullif($14, ''), $15::bigint, $16::bigint, $17::bigint, $18::bigint, $19::bigint, $20, $21::bigint
	FROM users WHERE id = $2
	ON CONFLICT (id) DO UPDATE SET
	state = excluded.state, language = excluded.language, session_id = excluded.session_id, started_at = excluded.started_at,
	ended_at = excluded.ended_at, status = excluded.status, reason = excluded.reason, exit_code = excluded.exit_code,
	signal = excluded.signal, wall = excluded.wall, cpu = excluded.cpu, memory_peak = excluded.memory_peak, queued = excluded.queued,
	network_bytes = excluded.network_bytes, content = excluded.content
	WHERE executions.state <> 'ended' AND executions.user_id = $2`

const (
	putLabel   = "INSERT INTO execution_labels (user_id, label, execution_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
	putContent = "INSERT INTO execution_contents (execution_id, user_id, language, key_id, ended_at, bytes, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)" +
		" ON CONFLICT (execution_id) DO UPDATE SET language = excluded.language, ended_at = excluded.ended_at, bytes = excluded.bytes, sealed = excluded.sealed"
	deleteContent = "DELETE FROM execution_contents WHERE execution_id = $1"
	recordOfRun   = "run"
)

// PutExecutions stores the records of runs. It does not change the stored record of an
// ended run. It ignores records of users that do not exist.
func (s *Store) PutExecutions(ctx context.Context, records []*pyth.SealedExecution) error {
	// All transactions change rows in the order of the IDs, so that no two transactions
	// can wait for each other (deadlock). A stable sort keeps the order of the versions
	// of one record.
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b *pyth.SealedExecution) int { return cmp.Compare(a.ID, b.ID) })
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var changed []*pyth.ExecutionRecord
		for _, r := range sorted {
			stored, err := putRecord(ctx, tx, r)
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
		// Change the counters of usage last. Other servers that change the same counters
		// must wait until this transaction ends.
		return addUsage(ctx, tx, pyth.SumUsage(changed))
	})
}

// putRecord stores one record. It returns true if the record is new or has changed.
func putRecord(ctx context.Context, tx pgx.Tx, r *pyth.SealedExecution) (stored bool, err error) {
	values, err := column.ExecutionValues(&r.ExecutionRecord)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, putExecution, values...)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	batch := new(pgx.Batch)
	for _, label := range r.Labels {
		batch.Queue(putLabel, r.User, label, r.ID)
	}
	if r.Sealed == nil {
		batch.Queue(deleteContent, r.ID)
	} else {
		batch.Queue(putContent, r.ID, r.User, r.Language, r.Key, column.TimeValue(r.EndedAt), len(r.Sealed), r.Sealed)
	}
	return true, tx.SendBatch(ctx, batch).Close()
}

// SealedExecution returns a record with its encrypted content.
func (s *Store) SealedExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.SealedExecution, error) {
	scan := func(row pgx.CollectableRow) (*pyth.SealedExecution, error) {
		r := new(pyth.SealedExecution)
		return r, scanExecution(row, &r.ExecutionRecord, &r.Sealed)
	}
	all, err := collect(ctx, s, scan, "SELECT "+column.ExecutionNames+", c.sealed FROM executions e"+
		" LEFT JOIN execution_contents c ON c.execution_id = e.id WHERE e.id = $1 AND e.user_id = $2", id, user)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, asNotFound(pgx.ErrNoRows, recordOfRun)
	}
	return all[0], nil
}

// Executions returns the user's records that match the filter, newest first.
func (s *Store) Executions(ctx context.Context, user pyth.UserID, f pyth.ExecutionFilter, before pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	args := []any{user}
	where := []string{"e.user_id = $1"}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	from, id := "executions e", "e.id"
	if f.Label != "" {
		from, id = "execution_labels l JOIN executions e ON e.id = l.execution_id", "l.execution_id"
		where = append(where, "l.user_id = $1")
		add("l.label =", f.Label)
	}
	switch f.State {
	case "":
	case pyth.StateEnded:
		where = append(where, "e.state = 'ended'")
	default:
		where = append(where, "e.state <> 'ended'")
		add("e.state =", f.State)
	}
	for _, c := range []struct{ condition, value string }{
		{"e.status =", string(f.Status)}, {"e.language =", string(f.Language)}, {"e.session_id =", string(f.Session)}, {"e.key_id =", string(f.Key)},
	} {
		if c.value != "" {
			add(c.condition, c.value)
		}
	}
	if !f.Until.IsZero() {
		if bound := pyth.ExecutionIDBound(f.Until); before == "" || bound < before {
			before = bound
		}
	}
	if before != "" {
		add(id+" <", before)
	}
	if !f.Since.IsZero() {
		add(id+" >=", pyth.ExecutionIDBound(f.Since))
	}
	args = append(args, limit)
	return s.executions(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s DESC LIMIT $%d",
		column.ExecutionNames, from, strings.Join(where, " AND "), id, len(args)), args...)
}

func (s *Store) executions(ctx context.Context, query string, args ...any) ([]*pyth.ExecutionRecord, error) {
	scan := func(row pgx.CollectableRow) (*pyth.ExecutionRecord, error) {
		r := new(pyth.ExecutionRecord)
		return r, scanExecution(row, r)
	}
	return collect(ctx, s, scan, query, args...)
}

// DeleteExecution deletes a record and its content. It returns CodeConflict if the
// run has not ended.
func (s *Store) DeleteExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) error {
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var state pyth.ExecutionState
		if err := tx.QueryRow(ctx, "SELECT state FROM executions WHERE id = $1 AND user_id = $2 FOR UPDATE", id, user).Scan(&state); err != nil {
			return asNotFound(err, recordOfRun)
		}
		if state != pyth.StateEnded {
			return pyth.Errorf(pyth.CodeConflict, "The run has not ended. Cancel it first, and wait for its end.")
		}
		_, err := tx.Exec(ctx, "DELETE FROM executions WHERE id = $1", id)
		return err
	})
	return asNotFound(asNoRows(err), recordOfRun)
}

// UnendedExecutions returns the records of runs that have not ended, oldest first. It
// returns the records of all users. It omits asynchronous runs.
func (s *Store) UnendedExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	return s.executions(ctx, "SELECT "+column.ExecutionNames+" FROM executions e WHERE e.state <> 'ended' AND e.async = 0 AND e.id > $1 ORDER BY e.id LIMIT $2", after, limit)
}

// expireContents is a statement that removes the content (code and output) of the oldest
// ended runs. It skips a row if another server is removing the content of the same row.
const expireContents = `WITH old AS (
		DELETE FROM execution_contents WHERE execution_id IN (
			SELECT execution_id FROM execution_contents WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING execution_id)
	UPDATE executions SET content = $3 FROM old WHERE id = old.execution_id`

// ExpireExecutionContents removes the content of runs that ended before the given time.
// It returns the number of these runs.
func (s *Store) ExpireExecutionContents(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.count(ctx, expireContents, column.TimeValue(before), limit, pyth.ContentExpired)
}

// DeleteOldExecutions deletes records of ended runs that were created before the given
// time. It returns the number of deleted records.
func (s *Store) DeleteOldExecutions(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.count(ctx, "DELETE FROM executions WHERE id IN (SELECT id FROM executions WHERE id < $1 AND state = 'ended' ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)",
		pyth.ExecutionIDBound(before), limit)
}

// count executes one statement and returns the number of rows that it changed.
func (s *Store) count(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, query, args...)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}
