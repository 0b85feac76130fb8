package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const auditColumns = "sequence, coalesce(user_id, ''), coalesce(action, ''), coalesce(outcome, ''), at, record"

func auditFields(r *pyth.AuditRecord) []any {
	return []any{&r.Sequence, &r.User, &r.Action, &r.Outcome, column.Time(&r.Timestamp), &r.Record}
}

// appendAudit adds one record. A trigger accepts only the record with the next sequence
// number.
const appendAudit = "INSERT INTO audit_append (sequence, hashes, user_id, action, outcome, at, record, note) VALUES (?, ?, nullif(?, ''), ?, ?, ?, ?, ?)"

// AppendAudit adds records at the end of the log and replaces the checkpoint.
func (s *Store) AppendAudit(ctx context.Context, records []*pyth.AuditRecord, checkpoint []byte) error {
	if len(records) == 1 {
		// A single record needs no explicit transaction. An explicit transaction would
		// take more time.
		return s.writeFailure(appendRecord(ctx, s.appendAudit, records[0], checkpoint))
	}
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		insert := tx.StmtContext(ctx, s.appendAudit)
		for i, r := range records {
			var note []byte
			if i == len(records)-1 {
				note = checkpoint
			}
			if err := appendRecord(ctx, insert, r, note); err != nil {
				return err
			}
		}
		return nil
	})
}

// appendRecord adds one record. If the record is the last record of a call of
// AppendAudit, checkpoint is the new checkpoint. Otherwise checkpoint is nil.
func appendRecord(ctx context.Context, insert *sql.Stmt, r *pyth.AuditRecord, checkpoint []byte) error {
	_, err := insert.ExecContext(ctx, r.Sequence, column.HashesValue(r.Hashes), r.User, r.Action, r.Outcome, column.TimeValue(r.Timestamp), r.Record, checkpoint)
	if hasCode(err, sqlite3.SQLITE_CONSTRAINT_TRIGGER) {
		return pyth.Errorf(pyth.CodeConflict, "The audit log was extended by another process.")
	}
	return err
}

// AuditHead returns the number of records in the log, and the last checkpoint.
func (s *Store) AuditHead(ctx context.Context) (size int64, checkpoint []byte, err error) {
	// Read the number and the checkpoint in one statement. Between two statements,
	// another process could add a record.
	err = s.reader.QueryRowContext(ctx, "SELECT (SELECT coalesce(max(sequence) + 1, 0) FROM audit), (SELECT note FROM audit_checkpoint)").Scan(&size, &checkpoint)
	return size, checkpoint, failure(err)
}

// AuditPage returns records of the user that match the filter, latest first. The
// parameter "limit" is the maximum number of records. The parameter "before" is the
// position of the last record of the previous page.
func (s *Store) AuditPage(ctx context.Context, user pyth.UserID, f pyth.AuditFilter, before pyth.AuditPosition, limit int) ([]*pyth.AuditRecord, error) {
	if f.Action == "" || f.Outcome != "" {
		return s.auditPage(ctx, user, f, before, limit)
	}
	// The index audit_by_action sorts by outcome first and then by time. Therefore read
	// a page for each outcome and merge the pages.
	var all []*pyth.AuditRecord
	for _, f.Outcome = range pyth.AuditOutcomes() {
		part, err := s.auditPage(ctx, user, f, before, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, func(a, b *pyth.AuditRecord) int {
		if c := b.Timestamp.Compare(a.Timestamp); c != 0 {
			return c
		}
		return cmp.Compare(b.Sequence, a.Sequence)
	})
	return all[:min(limit, len(all))], nil
}

// auditPage returns a page with one query. If the filter has an action, it must also
// have an outcome.
func (s *Store) auditPage(ctx context.Context, user pyth.UserID, f pyth.AuditFilter, before pyth.AuditPosition, limit int) ([]*pyth.AuditRecord, error) {
	query, args := auditPageQuery(user, f, before, limit)
	return s.auditRecords(ctx, auditFields, query, args...)
}

func auditPageQuery(user pyth.UserID, f pyth.AuditFilter, before pyth.AuditPosition, limit int) (string, []any) {
	index, where, args := "audit_of_user", "user_id = ?", []any{user}
	if f.Outcome != "" {
		index, where, args = "audit_by_outcome", where+" AND outcome = ?", append(args, f.Outcome)
	}
	if f.Action != "" {
		index, where, args = "audit_by_action", where+" AND action = ?", append(args, f.Action)
	}
	if f.Label != "" {
		// Cast the column to TEXT, because the JSON functions of SQLite read a BLOB as
		// JSONB.
		where += " AND EXISTS (SELECT 1 FROM json_each(CAST(record AS TEXT), '$.details.labels') WHERE value = ?)"
		args = append(args, f.Label)
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		since = ceilMicro(f.Since)
	}
	if !f.Until.IsZero() {
		until = ceilMicro(f.Until)
	}
	// The query returns records whose pair (time, sequence) is less than (until,
	// sequence). Sequence numbers start at 0. Therefore the sequence number 0 excludes
	// all records whose time is equal to until.
	sequence := int64(0)
	if at := before.Timestamp.UnixMicro(); before != (pyth.AuditPosition{}) && at < until {
		until, sequence = at, before.Sequence
	}
	// Name the index in the query. Otherwise the query planner may choose a slower
	// index.
	return "SELECT " + auditColumns + " FROM audit INDEXED BY " + index + " WHERE " + where +
			" AND at >= ? AND (at, sequence) < (?, ?) ORDER BY at DESC, sequence DESC LIMIT ?",
		append(args, since, until, sequence, limit)
}

// ceilMicro rounds t up to microseconds. The database stores times in microseconds.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - 1).UnixMicro()
}

// AuditRecords returns records of all users, sorted by sequence number. The parameter
// "from" is the lowest sequence number, and "limit" is the maximum number of records.
func (s *Store) AuditRecords(ctx context.Context, from int64, limit int) ([]*pyth.AuditRecord, error) {
	fields := func(r *pyth.AuditRecord) []any { return append(auditFields(r), column.Hashes(&r.Hashes)) }
	return s.auditRecords(ctx, fields, "SELECT "+auditColumns+", hashes FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?", from, limit)
}

func (s *Store) auditRecords(ctx context.Context, fields func(*pyth.AuditRecord) []any, query string, args ...any) ([]*pyth.AuditRecord, error) {
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var records []*pyth.AuditRecord
	for rows.Next() {
		r := new(pyth.AuditRecord)
		if err := rows.Scan(fields(r)...); err != nil {
			return nil, failure(err)
		}
		records = append(records, r)
	}
	return records, failure(rows.Err())
}

// AuditHashes returns the hashes of the records that have the given sequence numbers.
func (s *Store) AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error) {
	find, err := s.reader.PrepareContext(ctx, "SELECT hashes FROM audit WHERE sequence = ?")
	if err != nil {
		return nil, failure(err)
	}
	defer func() { _ = find.Close() }()
	all := make([][][32]byte, len(sequences))
	for i, sequence := range sequences {
		if err := find.QueryRowContext(ctx, sequence).Scan(column.Hashes(&all[i])); err != nil {
			return nil, asNotFound(err, "audit record")
		}
	}
	return all, nil
}

// PruneAudit removes the content of the records whose sequence number is at least "from"
// and less than "to". It keeps the hashes of these records.
func (s *Store) PruneAudit(ctx context.Context, from, to int64) error {
	_, err := s.write(ctx, "UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, at = NULL, record = NULL"+
		" WHERE sequence >= ? AND sequence < ? AND at IS NOT NULL", from, to)
	return err
}

// AuditSequences returns the sequence numbers of the user's oldest records. The
// parameter "limit" is the maximum number of records.
func (s *Store) AuditSequences(ctx context.Context, user pyth.UserID, limit int) ([]int64, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT sequence FROM audit WHERE user_id = ? ORDER BY sequence LIMIT ?", user, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, failure(err)
		}
		all = append(all, n)
	}
	return all, failure(rows.Err())
}

// EraseAudit removes the content of the user's records with the given sequence numbers.
// It keeps the hashes and the times of these records.
func (s *Store) EraseAudit(ctx context.Context, user pyth.UserID, sequences []int64) error {
	list, err := json.Marshal(sequences)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, "UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, record = NULL"+
		" WHERE user_id = ? AND sequence IN (SELECT value FROM json_each(?))", user, string(list))
	return err
}
