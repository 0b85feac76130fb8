package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// AppendAudit adds records at the end of the log and replaces the checkpoint.
func (s *Store) AppendAudit(ctx context.Context, records []*pyth.AuditRecord, checkpoint []byte) error {
	return s.LockAudit(ctx, func(_ context.Context, log pyth.LockedAudit) error { return log.Append(records, checkpoint) })
}

// LockAudit calls f while no other server can append to the log. For this, the
// transaction holds an advisory lock. PostgreSQL grants the lock in the order of the
// requests. It releases the lock when the transaction or the connection ends.
//
// LockAudit needs two round trips to the database. The first round trip begins the
// transaction, waits for the lock and reads the head. The second round trip writes the
// records and commits.
func (s *Store) LockAudit(ctx context.Context, f func(context.Context, pyth.LockedAudit) error) error {
	return s.attempt(ctx, func(ctx context.Context) (err error) {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return errNotBegun{err}
		}
		// Release closes the connection if the transaction has not ended.
		defer conn.Release()
		log := &lockedAudit{conn: conn.Conn(), ctx: ctx}
		if err := log.begin(); err != nil {
			return errNotBegun{errors.Join(err, log.rollback())}
		}
		if err := f(ctx, log); err != nil {
			return errors.Join(err, log.rollback())
		}
		return log.commit()
	}, notBegun)
}

// lockedAudit implements pyth.LockedAudit in a transaction that has auditLock.
type lockedAudit struct {
	conn       *pgx.Conn
	ctx        context.Context
	size       int64
	checkpoint []byte
	// The field "changes" contains the statements that commit executes.
	changes pgx.Batch
}

var _ pyth.LockedAudit = (*lockedAudit)(nil)

func (l *lockedAudit) begin() error {
	batch := new(pgx.Batch)
	batch.Queue("BEGIN")
	batch.Queue("SELECT pg_advisory_xact_lock($1)", auditLock)
	// Read the head in a separate statement after the lock statement. Each statement
	// sees only commits that happened before the statement started.
	batch.Queue(selectAuditHead).QueryRow(func(row pgx.Row) error { return row.Scan(&l.size, &l.checkpoint) })
	return l.conn.SendBatch(l.ctx, batch).Close()
}

func (l *lockedAudit) commit() error {
	l.changes.Queue("COMMIT")
	return errors.Join(l.conn.SendBatch(l.ctx, &l.changes).Close(), l.rollback())
}

// rollback ends the transaction if it has not ended yet.
func (l *lockedAudit) rollback() error {
	if l.conn.IsClosed() || l.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := l.conn.Exec(l.ctx, "ROLLBACK")
	if isConnectionFailure(err) || l.ctx.Err() != nil {
		return nil // The pool closes the connection, which also rolls back.
	}
	return err
}

// Head returns the head of the log.
func (l *lockedAudit) Head() (size int64, checkpoint []byte) { return l.size, l.checkpoint }

// AuditHashes returns the hashes of the records that have the given sequence numbers.
func (l *lockedAudit) AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error) {
	rows, err := l.conn.Query(ctx, selectHashes, sequences)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scanHashes)
	if err != nil {
		return nil, err
	}
	return inOrder(sequences, found)
}

// insertRecords inserts any number of records with one statement.
const insertRecords = "INSERT INTO audit (sequence, hashes, user_id, action, outcome, at, record)" +
	" SELECT sequence, hashes, nullif(user_id, ''), action, outcome, at, record" +
	" FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bytea[])" +
	" AS t (sequence, hashes, user_id, action, outcome, at, record)"

// Append adds the records to the transaction. LockAudit commits the transaction.
func (l *lockedAudit) Append(records []*pyth.AuditRecord, checkpoint []byte) error {
	n := len(records)
	sequences, at := make([]int64, n), make([]int64, n)
	hashes, contents := make([][]byte, n), make([][]byte, n)
	users, actions, outcomes := make([]string, n), make([]string, n), make([]string, n)
	for i, r := range records {
		if r.Sequence != l.size+int64(i) {
			return pyth.Errorf(pyth.CodeConflict, "The audit log was extended by another process.")
		}
		sequences[i], at[i] = r.Sequence, r.Timestamp.UnixMicro()
		hashes[i], contents[i] = column.HashesValue(r.Hashes), r.Record
		users[i], actions[i], outcomes[i] = string(r.User), string(r.Action), string(r.Outcome)
	}
	l.changes.Queue(insertRecords, sequences, hashes, users, actions, outcomes, at, contents)
	l.changes.Queue("INSERT INTO audit_checkpoint (one, note) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET note = excluded.note", checkpoint)
	l.size += int64(n)
	return nil
}
