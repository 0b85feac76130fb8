package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Snapshot reads one consistent state of all tables in a transaction. It is not safe for
// concurrent use.
type Snapshot struct{ tx *sql.Tx }

var _ pyth.TableSource = (*Snapshot)(nil)

// Snapshot returns a snapshot of the current state. The caller must close the snapshot.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	tx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return nil, failure(err)
	}
	return &Snapshot{tx}, nil
}

// Close ends the transaction.
func (s *Snapshot) Close() error { return s.tx.Rollback() }

// Tables returns the columns of each table. It omits the table with the version of the
// schema. It also omits the tables of the library River, because these tables have
// different columns in PostgreSQL.
func (s *Snapshot) Tables(ctx context.Context) (map[string][]string, error) {
	rows, err := s.tx.QueryContext(ctx, "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c"+
		" WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> 'goose_db_version' AND t.name NOT LIKE 'river\\_%' ESCAPE '\\' ORDER BY t.name, c.cid")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	tables := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, failure(err)
		}
		tables[table] = append(tables[table], column)
	}
	return tables, failure(rows.Err())
}

// Count returns the number of rows of a table.
func (s *Snapshot) Count(ctx context.Context, table string) (n int64, err error) {
	err = s.tx.QueryRowContext(ctx, "SELECT count(*) FROM "+quoted(table)).Scan(&n)
	return n, failure(err)
}

// Rows returns the given columns of all rows of a table.
func (s *Snapshot) Rows(ctx context.Context, table string, columns, order []string) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := s.tx.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", quoted(columns...), quoted(table), quoted(order...)))
		if err != nil {
			yield(nil, failure(err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				yield(nil, failure(err))
				return
			}
			if !yield(values, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, failure(err))
		}
	}
}

// The function "quoted" returns the names as a list of quoted SQL identifiers.
func quoted(names ...string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return strings.Join(all, ", ")
}
