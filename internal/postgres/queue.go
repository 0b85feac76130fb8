package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	putRequest    = "INSERT INTO execution_requests (execution_id, user_id, size, sealed) VALUES ($1, $2, $3, $4)"
	deleteRequest = "DELETE FROM execution_requests WHERE execution_id = $1"
	// isWaiting is the SQL condition of the index executions_waiting. The condition is
	// true for a queued asynchronous run that no server has claimed.
	isWaiting = "e.state = 'queued' AND e.async = 1 AND e.server_id IS NULL"
)

// EnqueueExecutions stores queued runs with their requests.
func (s *Store) EnqueueExecutions(ctx context.Context, runs []*pyth.QueuedExecution, limits pyth.QueueLimits) (errs []error, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		queues, err := lockQueues(ctx, tx, runs)
		if err != nil {
			return err
		}
		errs = make([]error, len(runs))
		batch := new(pgx.Batch)
		for i, r := range runs {
			if errs[i] = queues[r.User].Add(r, limits); errs[i] != nil {
				continue
			}
			values, err := column.ExecutionValues(&r.ExecutionRecord)
			if err != nil {
				return err
			}
			batch.Queue(putExecution, values...)
			for _, label := range r.Labels {
				batch.Queue(putLabel, r.User, label, r.ID)
			}
			batch.Queue(putRequest, r.ID, r.User, len(r.Request), r.Request)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	return errs, err
}

// lockQueues locks the rows of the users of the runs and returns the size of each user's
// queue. If a user does not exist, the result does not contain this user.
func lockQueues(ctx context.Context, tx pgx.Tx, runs []*pyth.QueuedExecution) (map[pyth.UserID]*pyth.QueueSize, error) {
	users := make([]string, 0, len(runs))
	for _, r := range runs {
		users = append(users, string(r.User))
	}
	slices.Sort(users)
	queues := map[pyth.UserID]*pyth.QueueSize{}
	for _, user := range slices.Compact(users) {
		err := lockUser(ctx, tx, pyth.UserID(user))
		if pyth.ErrorCode(err) == pyth.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		q := new(pyth.QueueSize)
		err = tx.QueryRow(ctx, "SELECT count(*), coalesce(sum(size), 0)::bigint FROM execution_requests WHERE user_id = $1", user).Scan(&q.Runs, &q.Bytes)
		if err != nil {
			return nil, err
		}
		queues[pyth.UserID(user)] = q
	}
	return queues, nil
}

// WaitingUsers returns users with queued runs that no server has claimed (reserved). For
// each user, it reads only one entry of the index executions_waiting.
func (s *Store) WaitingUsers(ctx context.Context, after pyth.UserID, limit int) ([]pyth.UserID, error) {
	const next = "SELECT min(e.user_id) FROM executions e WHERE " + isWaiting + " AND e.user_id > "
	return collect(ctx, s, pgx.RowTo[pyth.UserID], "WITH RECURSIVE u (id) AS (SELECT ("+next+"$1)"+
		" UNION ALL SELECT ("+next+"u.id) FROM u WHERE u.id IS NOT NULL)"+
		" SELECT id FROM u WHERE id IS NOT NULL LIMIT $2", after, limit)
}

// claimRuns is a statement that claims (reserves) queued runs for one server. It skips
// runs that another server is claiming at the same time.
const claimRuns = `WITH claimed AS (
		UPDATE executions SET server_id = $1 WHERE id IN (
			SELECT e.id FROM executions e WHERE ` + isWaiting + ` AND e.user_id = $2 ORDER BY e.id LIMIT $3 FOR UPDATE SKIP LOCKED)
		RETURNING *)
	SELECT ` + column.ExecutionNames + `, q.sealed FROM claimed e JOIN execution_requests q ON q.execution_id = e.id ORDER BY e.id`

// ClaimExecutions claims (reserves) the oldest queued runs of each given user for the
// server.
func (s *Store) ClaimExecutions(ctx context.Context, server pyth.ServerID, shares []pyth.QueueShare) (claimed []*pyth.QueuedExecution, err error) {
	scan := func(row pgx.CollectableRow) (*pyth.QueuedExecution, error) {
		r := new(pyth.QueuedExecution)
		return r, scanExecution(row, &r.ExecutionRecord, &r.Request)
	}
	// Claim runs in the order of the users, so that no two servers can wait for each
	// other (deadlock).
	sorted := slices.SortedFunc(slices.Values(shares), func(a, b pyth.QueueShare) int { return cmp.Compare(a.User, b.User) })
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		claimed = nil
		batch := new(pgx.Batch)
		for _, share := range sorted {
			batch.Queue(claimRuns, server, share.User, share.Runs).Query(func(rows pgx.Rows) error {
				runs, err := pgx.CollectRows(rows, scan)
				claimed = append(claimed, runs...)
				return err
			})
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	return claimed, err
}

// StartExecution starts a queued run that the server has claimed.
func (s *Store) StartExecution(ctx context.Context, server pyth.ServerID, id pyth.ExecutionID, at time.Time) (started bool, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `WITH started AS (
				UPDATE executions SET state = 'running', started_at = $1::bigint
				WHERE id = $2 AND server_id = $3 AND (state = 'queued' OR state = 'running' AND started_at = $1::bigint) AND EXISTS (SELECT 1 FROM servers WHERE servers.id = $3)
				RETURNING id),
			deleted AS (DELETE FROM execution_requests WHERE execution_id IN (SELECT id FROM started))
			SELECT id FROM started`, column.TimeValue(at), id, server)
		if started = err == nil && tag.RowsAffected() > 0; !started {
			return err
		}
		return createDeliveriesOf(ctx, tx, id)
	})
	return started && err == nil, err
}

// CancelExecution ends a queued asynchronous run. For any other run that has not ended,
// it stores a request to cancel the run.
func (s *Store) CancelExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, at time.Time) (ended bool, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Lock the row. Otherwise the state could change before the next statement.
		var state pyth.ExecutionState
		var async bool
		err := tx.QueryRow(ctx, "SELECT state, async = 1 FROM executions WHERE id = $1 AND user_id = $2 FOR UPDATE", id, user).Scan(&state, &async)
		ended = false
		switch {
		case errors.Is(err, pgx.ErrNoRows), err == nil && state == pyth.StateEnded:
			return nil
		case err != nil:
			return err
		case async && state == pyth.StateQueued:
			ended = true
			if _, err := tx.Exec(ctx, "UPDATE executions SET state = 'ended', status = $1, ended_at = $2::bigint, queued = $3::bigint WHERE id = $4",
				pyth.StatusCanceled, column.TimeValue(at), int64(at.Sub(id.CreatedAt())), id); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, deleteRequest, id); err != nil {
				return err
			}
			return createDeliveriesOf(ctx, tx, id)
		default:
			_, err := tx.Exec(ctx, "UPDATE executions SET cancel_requested = 1 WHERE id = $1", id)
			return err
		}
	})
	if errors.Is(asNoRows(err), pgx.ErrNoRows) {
		return false, nil
	}
	return ended && err == nil, err
}

// CanceledExecutions returns runs that have a stored request to cancel and have not ended
// yet.
func (s *Store) CanceledExecutions(ctx context.Context) ([]pyth.ExecutionID, error) {
	return collect(ctx, s, pgx.RowTo[pyth.ExecutionID], "SELECT id FROM executions WHERE state <> 'ended' AND cancel_requested = 1 ORDER BY id")
}

// The constant "now" is the time of the database in microseconds since 1970.
const now = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

// KeepServer stores that the server is alive now.
func (s *Store) KeepServer(ctx context.Context, server pyth.ServerID) error {
	_, err := s.write(ctx, "INSERT INTO servers (id, seen_at) VALUES ($1, "+now+") ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at", server)
	return err
}

// endClaims ends the claims of servers that are not in the table "servers". A claim
// reserves a queued run for one server. After the end of the claim, any server can
// claim the run.
const endClaims = "UPDATE executions SET server_id = NULL WHERE state <> 'ended' AND server_id IS NOT NULL AND state = 'queued' AND server_id NOT IN (SELECT id FROM servers)"

// RemoveServer removes the server and ends its claims. Other servers can then start the
// queued runs that this server had claimed.
func (s *Store) RemoveServer(ctx context.Context, server pyth.ServerID) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM servers WHERE id = $1", server); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, endClaims)
		return err
	})
}

// limitSeen corrects signs of life whose time is in the future. Such times exist after
// the clock of the database was set back. Without the correction, a lost server would
// count as alive until the clock reaches the time of its last sign of life again. A
// server that is alive has the time "silence" to renew its sign of life.
const limitSeen = "UPDATE servers SET seen_at = " + now + " WHERE seen_at > " + now

// LostExecutions removes servers that have not called KeepServer for the time "silence".
// It returns running asynchronous runs of the removed servers. The parameter "limit" is
// the maximum number of returned runs.
func (s *Store) LostExecutions(ctx context.Context, server pyth.ServerID, silence time.Duration, limit int) (lost []*pyth.ExecutionRecord, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, limitSeen); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM servers WHERE id <> $1 AND seen_at <= "+now+" - $2::bigint", server, silence.Microseconds()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, endClaims)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.executions(ctx, "SELECT "+column.ExecutionNames+" FROM executions e"+
		" WHERE e.state <> 'ended' AND e.server_id IS NOT NULL AND e.async = 1 AND e.state = 'running'"+
		" AND e.server_id NOT IN (SELECT id FROM servers) ORDER BY e.id LIMIT $1", limit)
}
