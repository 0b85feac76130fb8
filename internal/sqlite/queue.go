package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	putRequest    = "INSERT INTO execution_requests (execution_id, user_id, size, sealed) VALUES (?, ?, ?, ?)"
	deleteRequest = "DELETE FROM execution_requests WHERE execution_id = ?"
	// isWaiting is the SQL condition of the index executions_waiting. The condition is
	// true for a queued asynchronous run that no server has claimed.
	isWaiting = "e.state = 'queued' AND e.async = 1 AND e.server_id IS NULL"
)

// EnqueueExecutions stores queued runs with their requests.
func (s *Store) EnqueueExecutions(ctx context.Context, runs []*pyth.QueuedExecution, limits pyth.QueueLimits) (errs []error, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		errs = make([]error, len(runs))
		put := tx.StmtContext(ctx, s.putExecution)
		queues := map[pyth.UserID]*pyth.QueueSize{}
		for i, r := range runs {
			queue, known := queues[r.User]
			if !known {
				if queue, err = sizeOfQueue(ctx, tx, r.User); err != nil {
					return err
				}
				queues[r.User] = queue
			}
			if errs[i] = queue.Add(r, limits); errs[i] != nil {
				continue
			}
			if _, err := putRecord(ctx, tx, put, &pyth.SealedExecution{ExecutionRecord: r.ExecutionRecord}); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, putRequest, r.ID, r.User, len(r.Request), r.Request); err != nil {
				return err
			}
		}
		return nil
	})
	return errs, err
}

// sizeOfQueue returns the size of the user's queue: the number of runs and the size of
// their requests. If the user does not exist, it returns nil.
func sizeOfQueue(ctx context.Context, tx *sql.Tx, user pyth.UserID) (*pyth.QueueSize, error) {
	q, exists := new(pyth.QueueSize), false
	err := tx.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(size), 0), EXISTS (SELECT 1 FROM users WHERE id = ?1)"+
		" FROM execution_requests WHERE user_id = ?1", user).Scan(&q.Runs, &q.Bytes, &exists)
	if err != nil || !exists {
		return nil, err
	}
	return q, nil
}

// WaitingUsers returns users with queued runs that no server has claimed (reserved). For
// each user, it reads only one entry of the index executions_waiting.
func (s *Store) WaitingUsers(ctx context.Context, after pyth.UserID, limit int) (users []pyth.UserID, err error) {
	const next = "SELECT min(e.user_id) FROM executions e INDEXED BY executions_waiting WHERE " + isWaiting + " AND e.user_id > "
	rows, err := s.reader.QueryContext(ctx, "WITH RECURSIVE u (id) AS (SELECT ("+next+"?)"+
		" UNION ALL SELECT ("+next+"u.id) FROM u WHERE u.id IS NOT NULL)"+
		" SELECT id FROM u WHERE id IS NOT NULL LIMIT ?", after, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user pyth.UserID
		if err := rows.Scan(&user); err != nil {
			return nil, failure(err)
		}
		users = append(users, user)
	}
	return users, failure(rows.Err())
}

// ClaimExecutions claims (reserves) the oldest queued runs of each given user for the
// server.
func (s *Store) ClaimExecutions(ctx context.Context, server pyth.ServerID, shares []pyth.QueueShare) (claimed []*pyth.QueuedExecution, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		claimed = nil
		for _, share := range shares {
			runs, err := waitingRuns(ctx, tx, share)
			if err != nil {
				return err
			}
			for _, r := range runs {
				if _, err := tx.ExecContext(ctx, "UPDATE executions SET server_id = ? WHERE id = ?", server, r.ID); err != nil {
					return err
				}
			}
			claimed = append(claimed, runs...)
		}
		return nil
	})
	return claimed, err
}

func waitingRuns(ctx context.Context, tx *sql.Tx, share pyth.QueueShare) (runs []*pyth.QueuedExecution, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+column.ExecutionNames+", q.sealed FROM executions e INDEXED BY executions_waiting"+
		" JOIN execution_requests q ON q.execution_id = e.id WHERE "+isWaiting+" AND e.user_id = ? ORDER BY e.id LIMIT ?", share.User, share.Runs)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := new(pyth.QueuedExecution)
		if err := rows.Scan(append(column.Execution(&r.ExecutionRecord), &r.Request)...); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// StartExecution starts a queued run that the server has claimed.
func (s *Store) StartExecution(ctx context.Context, server pyth.ServerID, id pyth.ExecutionID, at time.Time) (started bool, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) (err error) {
		started, err = affected(tx.ExecContext(ctx, "UPDATE executions SET state = 'running', started_at = ?"+
			" WHERE id = ? AND server_id = ? AND (state = 'queued' OR state = 'running' AND started_at = ?)"+
			" AND EXISTS (SELECT 1 FROM servers s WHERE s.id = executions.server_id)", column.TimeValue(at), id, server, column.TimeValue(at)))
		if err != nil || !started {
			return err
		}
		if _, err = tx.ExecContext(ctx, deleteRequest, id); err != nil {
			return err
		}
		return createDeliveriesOf(ctx, tx, id)
	})
	return started && err == nil, err
}

// CancelExecution ends a queued asynchronous run. For any other run that has not ended,
// it stores a request to cancel the run.
func (s *Store) CancelExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, at time.Time) (ended bool, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) (err error) {
		ended, err = affected(tx.ExecContext(ctx, "UPDATE executions SET state = 'ended', status = ?, ended_at = ?, queued = ?"+
			" WHERE id = ? AND user_id = ? AND state = 'queued' AND async = 1",
			pyth.StatusCanceled, column.TimeValue(at), int64(at.Sub(id.CreatedAt())), id, user))
		if err == nil && ended {
			if _, err = tx.ExecContext(ctx, deleteRequest, id); err == nil {
				err = createDeliveriesOf(ctx, tx, id)
			}
		} else if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE executions SET cancel_requested = 1 WHERE id = ? AND user_id = ? AND state <> 'ended'", id, user)
		}
		return err
	})
	return ended && err == nil, err
}

// CanceledExecutions returns runs that have a stored request to cancel and have not ended
// yet.
func (s *Store) CanceledExecutions(ctx context.Context) (ids []pyth.ExecutionID, err error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT id FROM executions INDEXED BY executions_to_cancel WHERE state <> 'ended' AND cancel_requested = 1 ORDER BY id")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id pyth.ExecutionID
		if err := rows.Scan(&id); err != nil {
			return nil, failure(err)
		}
		ids = append(ids, id)
	}
	return ids, failure(rows.Err())
}

// The constant "now" is the time of the database in microseconds since 1970.
const now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"

// KeepServer stores that the server is alive now.
func (s *Store) KeepServer(ctx context.Context, server pyth.ServerID) error {
	_, err := s.write(ctx, "INSERT INTO servers (id, seen_at) VALUES (?, "+now+") ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at", server)
	return err
}

// endClaims ends the claims of servers that are not in the table "servers". A claim
// reserves a queued run for one server. After the end of the claim, any server can
// claim the run.
const endClaims = "UPDATE executions SET server_id = NULL WHERE state <> 'ended' AND server_id IS NOT NULL AND state = 'queued' AND server_id NOT IN (SELECT id FROM servers)"

// RemoveServer removes the server and ends its claims. Other servers can then start the
// queued runs that this server had claimed.
func (s *Store) RemoveServer(ctx context.Context, server pyth.ServerID) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM servers WHERE id = ?", server); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, endClaims)
		return err
	})
}

// limitSeen corrects signs of life whose time is in the future. Such times exist after
// the clock was set back. Without the correction, a lost server would count as alive
// until the clock reaches the time of its last sign of life again. A server that is alive
// has the time "silence" to renew its sign of life.
const limitSeen = "UPDATE servers SET seen_at = " + now + " WHERE seen_at > " + now

// LostExecutions removes servers that have not called KeepServer for the time "silence".
// It returns running asynchronous runs of the removed servers. The parameter "limit" is
// the maximum number of returned runs.
func (s *Store) LostExecutions(ctx context.Context, server pyth.ServerID, silence time.Duration, limit int) (lost []*pyth.ExecutionRecord, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, limitSeen); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM servers WHERE id <> ? AND seen_at <= "+now+" - ?", server, silence.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, endClaims); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+column.ExecutionNames+" FROM executions e INDEXED BY executions_of_server"+
			" WHERE e.state <> 'ended' AND e.server_id IS NOT NULL AND e.async = 1 AND e.state = 'running'"+
			" AND e.server_id NOT IN (SELECT id FROM servers) ORDER BY e.id LIMIT ?", limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		lost = nil
		for rows.Next() {
			r := new(pyth.ExecutionRecord)
			if err := rows.Scan(column.Execution(r)...); err != nil {
				return err
			}
			lost = append(lost, r)
		}
		return rows.Err()
	})
	return slices.Clip(lost), err
}
