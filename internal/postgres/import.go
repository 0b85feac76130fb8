package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
)

// ErrNotEmpty is the error of Import if the database contains data.
var ErrNotEmpty = errors.New("postgres: the database is not empty")

// Copied describes a table that Import has copied.
type Copied struct {
	Table string
	Rows  int64
	// Hash is the hash of all rows. It is the same in both databases.
	Hash [32]byte
}

// Import reads all tables of the source and writes them to this database. This database
// must be empty. For each table, Import compares the number of rows and a hash in both
// databases. It does all work in one transaction, so the database is still empty after
// an error.
//
// Import calls the function "progress" with the name of the current table, the number of
// copied rows and the number of all rows.
func (s *Store) Import(ctx context.Context, source pyth.TableSource, progress func(table string, done, total int64)) (all []Copied, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Disable the time-out for idle transactions. While Import reads the source, its
		// transaction may be idle for a longer time than the transactions of a server.
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return err
		}
		tables, err := readTables(ctx, tx)
		if err != nil {
			return err
		}
		if err := sameTables(ctx, source, tables); err != nil {
			return err
		}
		for _, t := range tables {
			if err := t.requireEmpty(ctx, tx); err != nil {
				return err
			}
		}
		for _, t := range tables {
			copied, err := t.copyFrom(ctx, tx, source, progress)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			all = append(all, copied)
		}
		_, err = tx.Exec(ctx, "ANALYZE")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: import: %w", explain(err))
	}
	return all, nil
}

// table describes a table of the database.
type table struct {
	name    string
	columns []string
	// kinds contains the data type of each column.
	kinds []string
	key   []string
	// needs contains the tables to which rows of this table refer.
	needs []string
}

// readTables returns the tables of the schema. It omits the table with the version of
// the schema, and the tables of the library River. In the result, each table comes after
// all tables that it needs.
func readTables(ctx context.Context, tx pgx.Tx) ([]*table, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname,
		(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
		(SELECT array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
		(SELECT array_agg(a.attname::text ORDER BY k.n) FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
			JOIN pg_attribute a ON a.attnum = k.attnum WHERE i.indrelid = c.oid AND a.attrelid = c.oid AND i.indisprimary),
		coalesce((SELECT array_agg(n.relname::text) FROM pg_constraint f JOIN pg_class n ON n.oid = f.confrelid WHERE f.conrelid = c.oid AND f.contype = 'f'), '{}')
		FROM pg_class c WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relnamespace = current_schema()::regnamespace
			AND c.relname <> 'goose_db_version' AND c.relname NOT LIKE 'river\_%' ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*table, error) {
		t := new(table)
		return t, row.Scan(&t.name, &t.columns, &t.kinds, &t.key, &t.needs)
	})
	if err != nil {
		return nil, err
	}
	var sorted []*table
	for len(found) > 0 {
		next := slices.IndexFunc(found, func(t *table) bool {
			return !slices.ContainsFunc(found, func(other *table) bool { return other != t && slices.Contains(t.needs, other.name) })
		})
		if next < 0 {
			return nil, errors.New("tables refer to each other in a circle")
		}
		sorted = append(sorted, found[next])
		found = slices.Delete(found, next, next+1)
	}
	return sorted, nil
}

// sameTables returns an error if the source has different tables or columns than this
// database.
func sameTables(ctx context.Context, source pyth.TableSource, tables []*table) error {
	theirs, err := source.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		columns, ok := theirs[t.name]
		if !ok {
			return fmt.Errorf("the source has no table %s", t.name)
		}
		if slices.Sort(columns); !slices.Equal(columns, slices.Sorted(slices.Values(t.columns))) {
			return fmt.Errorf("table %s: the source has the columns %v, this database %v", t.name, columns, t.columns)
		}
		delete(theirs, t.name)
	}
	if len(theirs) > 0 {
		return fmt.Errorf("this database has no tables %v", slices.Sorted(maps.Keys(theirs)))
	}
	return nil
}

// requireEmpty locks the table against writes and returns an error if it has rows.
func (t *table) requireEmpty(ctx context.Context, tx pgx.Tx) error {
	name := pgx.Identifier{t.name}.Sanitize()
	if _, err := tx.Exec(ctx, "LOCK TABLE "+name+" IN EXCLUSIVE MODE"); err != nil {
		return err
	}
	var used bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&used); err != nil {
		return err
	}
	if used {
		return fmt.Errorf("%w: table %s has rows", ErrNotEmpty, t.name)
	}
	return nil
}

// copyFrom copies all rows of the source, and then compares the tables in both
// databases.
func (t *table) copyFrom(ctx context.Context, tx pgx.Tx, source pyth.TableSource, progress func(string, int64, int64)) (Copied, error) {
	total, err := source.Count(ctx, t.name)
	if err != nil {
		return Copied{}, err
	}
	theirs := newDigest()
	next, stop := iter.Pull2(source.Rows(ctx, t.name, t.columns, t.key))
	defer stop()
	copied, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		row, err, more := next()
		if err != nil || !more {
			return nil, err
		}
		if theirs.rows%1000 == 0 {
			progress(t.name, theirs.rows, total)
		}
		if err := theirs.add(row); err != nil {
			return nil, err
		}
		return t.convert(row)
	}))
	if err != nil {
		return Copied{}, err
	}
	progress(t.name, copied, total)
	ours, err := t.digest(ctx, tx)
	if err != nil {
		return Copied{}, err
	}
	if theirs.rows != total || ours.rows != total || !bytes.Equal(theirs.sum(), ours.sum()) {
		return Copied{}, fmt.Errorf("the copy differs from the source: the source has %d rows with hash %x, the copy has %d rows with hash %x",
			theirs.rows, theirs.sum(), ours.rows, ours.sum())
	}
	return Copied{t.name, total, [32]byte(ours.sum())}, nil
}

// convert converts the values of a row to the types of the columns.
func (t *table) convert(row []any) ([]any, error) {
	out := make([]any, len(row))
	for i, value := range row {
		out[i] = value
		switch v := value.(type) {
		case string:
			if t.kinds[i] == "bytea" {
				out[i] = []byte(v)
			}
		case int64:
			if t.kinds[i] == "boolean" {
				out[i] = v != 0
			}
		case []byte, nil:
		default:
			return nil, fmt.Errorf("column %s: a value has the type %T", t.columns[i], value)
		}
	}
	return out, nil
}

// digest computes the digest of the rows in this database.
func (t *table) digest(ctx context.Context, tx pgx.Tx) (*digest, error) {
	d := newDigest()
	for row, err := range t.rows(ctx, tx) {
		if err != nil {
			return nil, err
		}
		if err := d.add(row); err != nil {
			return nil, err
		}
	}
	return d, nil
}
