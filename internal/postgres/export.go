package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
)

// Export writes one consistent state of all tables to the target. Servers can continue
// to write in the meantime. For each table, Export compares the number of rows and a
// hash in both databases. Export calls the function "progress" in the same way as Import.
func (s *Store) Export(ctx context.Context, target pyth.TableTarget, progress func(table string, done, total int64)) (all []Copied, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		// Disable this time-out, because a slow target must not end the transaction.
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return err
		}
		tables, err := readTables(ctx, tx)
		if err != nil {
			return err
		}
		if err := sameTables(ctx, target, tables); err != nil {
			return err
		}
		for _, t := range tables {
			copied, err := t.copyTo(ctx, tx, target, progress)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			all = append(all, copied)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: export: %w", failure(ctx, explain(err)))
	}
	return all, nil
}

// copyTo copies all rows to the target, and then compares the tables in both databases.
func (t *table) copyTo(ctx context.Context, tx pgx.Tx, target pyth.TableTarget, progress func(string, int64, int64)) (Copied, error) {
	var total int64
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+quoted(t.name)).Scan(&total); err != nil {
		return Copied{}, err
	}
	ours := newDigest()
	counted := func(yield func([]any, error) bool) {
		for row, err := range t.rows(ctx, tx) {
			if err == nil {
				if ours.rows%1000 == 0 {
					progress(t.name, ours.rows, total)
				}
				err = ours.add(row)
			}
			if !yield(row, err) {
				return
			}
		}
	}
	if err := target.Fill(ctx, t.name, t.columns, counted); err != nil {
		return Copied{}, err
	}
	progress(t.name, ours.rows, total)
	theirs := newDigest()
	for row, err := range target.Rows(ctx, t.name, t.columns, t.key) {
		if err != nil {
			return Copied{}, err
		}
		if err := theirs.add(row); err != nil {
			return Copied{}, err
		}
	}
	if ours.rows != total || theirs.rows != total || !bytes.Equal(ours.sum(), theirs.sum()) {
		return Copied{}, fmt.Errorf("the copy differs: the database has %d rows with hash %x, the copy has %d rows with hash %x",
			ours.rows, ours.sum(), theirs.rows, theirs.sum())
	}
	return Copied{t.name, total, [32]byte(ours.sum())}, nil
}

// rows returns all rows of the table, sorted by the key of the table.
func (t *table) rows(ctx context.Context, tx pgx.Tx) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := tx.Query(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", quoted(t.columns...), quoted(t.name), quoted(t.key...)))
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			row, err := rows.Values()
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// The function "quoted" returns the names as a list of quoted SQL identifiers.
func quoted(names ...string) string {
	all := ""
	for i, name := range names {
		if i > 0 {
			all += ", "
		}
		all += pgx.Identifier{name}.Sanitize()
	}
	return all
}
