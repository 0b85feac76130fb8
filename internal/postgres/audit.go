package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const auditColumns = "sequence, coalesce(user_id, ''), coalesce(action, ''), coalesce(outcome, ''), at, record"

func auditFields(r *pyth.AuditRecord) []any {
	return []any{&r.Sequence, &r.User, &r.Action, &r.Outcome, column.Time(&r.Timestamp), &r.Record}
}

func scanRecord(row pgx.CollectableRow) (*pyth.AuditRecord, error) {
	r := new(pyth.AuditRecord)
	return r, row.Scan(auditFields(r)...)
}

const selectAuditHead = "SELECT (SELECT coalesce(max(sequence) + 1, 0) FROM audit), (SELECT note FROM audit_checkpoint)"

// AuditHead returns the number of records in the log, and the last checkpoint.
func (s *Store) AuditHead(ctx context.Context) (size int64, checkpoint []byte, err error) {
	err = s.row(ctx, selectAuditHead, nil, &size, &checkpoint)
	return size, checkpoint, err
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
		return cmp.Or(b.Timestamp.Compare(a.Timestamp), cmp.Compare(b.Sequence, a.Sequence))
	})
	return all[:min(limit, len(all))], nil
}

// auditPage returns a page with one query. If the filter has an action, it must also
// have an outcome.
func (s *Store) auditPage(ctx context.Context, user pyth.UserID, f pyth.AuditFilter, before pyth.AuditPosition, limit int) ([]*pyth.AuditRecord, error) {
	query, args := auditPageQuery(user, f, before, limit)
	return collect(ctx, s, scanRecord, query, args...)
}

func auditPageQuery(user pyth.UserID, f pyth.AuditFilter, before pyth.AuditPosition, limit int) (string, []any) {
	var args []any
	where := ""
	add := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			places[i] = len(args)
		}
		if where != "" {
			where += " AND "
		}
		where += fmt.Sprintf(condition, places...)
	}
	add("user_id = $%d", user)
	if f.Action != "" {
		add("action = $%d", f.Action)
	}
	if f.Outcome != "" {
		add("outcome = $%d", f.Outcome)
	}
	if f.Label != "" {
		add("(convert_from(record, 'UTF8')::jsonb #> '{details,labels}') ? $%d", f.Label)
	}
	if !f.Since.IsZero() {
		add("at >= $%d", ceilMicro(f.Since))
	}
	if !f.Until.IsZero() {
		add("at < $%d", ceilMicro(f.Until))
	}
	if before != (pyth.AuditPosition{}) {
		add("(at, sequence) < ($%d, $%d)", before.Timestamp.UnixMicro(), before.Sequence)
	}
	args = append(args, limit)
	return fmt.Sprintf("SELECT %s FROM audit WHERE %s ORDER BY at DESC, sequence DESC LIMIT $%d", auditColumns, where, len(args)), args
}

// ceilMicro rounds t up to microseconds. The database stores times in microseconds.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - 1).UnixMicro()
}

// AuditRecords returns records of all users, sorted by sequence number. The parameter
// "from" is the lowest sequence number, and "limit" is the maximum number of records.
func (s *Store) AuditRecords(ctx context.Context, from int64, limit int) ([]*pyth.AuditRecord, error) {
	scan := func(row pgx.CollectableRow) (*pyth.AuditRecord, error) {
		r := new(pyth.AuditRecord)
		return r, row.Scan(append(auditFields(r), column.Hashes(&r.Hashes))...)
	}
	return collect(ctx, s, scan, "SELECT "+auditColumns+", hashes FROM audit WHERE sequence >= $1 ORDER BY sequence LIMIT $2", from, limit)
}

const selectHashes = "SELECT sequence, hashes FROM audit WHERE sequence = ANY($1)"

// AuditHashes returns the hashes of the records that have the given sequence numbers.
func (s *Store) AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error) {
	found, err := collect(ctx, s, scanHashes, selectHashes, sequences)
	if err != nil {
		return nil, err
	}
	return inOrder(sequences, found)
}

type hashesAt struct {
	sequence int64
	hashes   [][32]byte
}

func scanHashes(row pgx.CollectableRow) (h hashesAt, err error) {
	return h, row.Scan(&h.sequence, column.Hashes(&h.hashes))
}

// inOrder returns the hashes in the order of the sequence numbers. It returns
// CodeNotFound if hashes are missing.
func inOrder(sequences []int64, found []hashesAt) ([][][32]byte, error) {
	bySequence := make(map[int64][][32]byte, len(found))
	for _, h := range found {
		bySequence[h.sequence] = h.hashes
	}
	all := make([][][32]byte, len(sequences))
	for i, sequence := range sequences {
		hashes, ok := bySequence[sequence]
		if !ok {
			return nil, asNotFound(pgx.ErrNoRows, "audit record")
		}
		all[i] = hashes
	}
	return all, nil
}

// PruneAudit removes the content of the records whose sequence number is at least "from"
// and less than "to". It keeps the hashes of these records.
func (s *Store) PruneAudit(ctx context.Context, from, to int64) error {
	_, err := s.write(ctx, "UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, at = NULL, record = NULL"+
		" WHERE sequence >= $1 AND sequence < $2 AND at IS NOT NULL", from, to)
	return err
}

// AuditSequences returns the sequence numbers of the user's oldest records. The
// parameter "limit" is the maximum number of records.
func (s *Store) AuditSequences(ctx context.Context, user pyth.UserID, limit int) ([]int64, error) {
	return collect(ctx, s, pgx.RowTo[int64], "SELECT sequence FROM audit WHERE user_id = $1 ORDER BY sequence LIMIT $2", user, limit)
}

// EraseAudit removes the content of the user's records with the given sequence numbers.
// It keeps the hashes and the times of these records.
func (s *Store) EraseAudit(ctx context.Context, user pyth.UserID, sequences []int64) error {
	_, err := s.write(ctx, "UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, record = NULL"+
		" WHERE user_id = $1 AND sequence = ANY($2)", user, sequences)
	return err
}
