package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Filling is a new database that receives the rows of another store. All rows are
// inserted in one transaction. Filling is not safe for concurrent use. The caller must
// call Commit at the end. The caller must call Close in any case, even after an error.
type Filling struct {
	Snapshot

	db   *sql.DB
	path string
}

var _ pyth.TableTarget = (*Filling)(nil)

// Create creates a database at the path. The path must not exist. Only the owner can
// read the file.
func Create(ctx context.Context, path string) (*Filling, error) {
	f, err := create(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: create %s: %w", path, failure(err))
	}
	return f, nil
}

func create(ctx context.Context, path string) (_ *Filling, err error) {
	made, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	// During Fill, rows can refer to rows that do not exist yet. Therefore foreign keys
	// are off. CheckIntegrity checks these references later.
	db, err := connect(path, 1, "_pragma=journal_mode(DELETE)&_pragma=foreign_keys(0)")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	provider, err := migrator(db)
	if err != nil {
		return nil, err
	}
	if _, err := provider.Up(ctx); err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &Filling{Snapshot{tx}, db, path}, nil
}

// Fill inserts rows into a table. It converts the values to the types of the columns.
func (f *Filling) Fill(ctx context.Context, table string, columns []string, rows iter.Seq2[[]any, error]) error {
	types, err := f.types(ctx, table)
	if err != nil {
		return failure(err)
	}
	insert, err := f.tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)",
		quoted(table), quoted(columns...), strings.Repeat(", ?", len(columns)-1)))
	if err != nil {
		return failure(err)
	}
	defer func() { _ = insert.Close() }()
	for row, err := range rows {
		if err != nil {
			return err
		}
		for i, value := range row {
			row[i] = convert(value, types[columns[i]])
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return failure(err)
		}
	}
	return nil
}

// types returns the type of each column of a table.
func (f *Filling) types(ctx context.Context, table string) (map[string]string, error) {
	rows, err := f.tx.QueryContext(ctx, "SELECT name, type FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		types[name] = kind
	}
	return types, rows.Err()
}

func convert(value any, kind string) any {
	switch v := value.(type) {
	case []byte:
		if kind == "TEXT" {
			return string(v)
		}
	case string:
		if kind == "BLOB" {
			return []byte(v)
		}
	}
	return value // The driver stores a bool as a number.
}

// Commit makes the rows durable.
func (f *Filling) Commit() error {
	if err := f.tx.Commit(); err != nil {
		return fmt.Errorf("sqlite: commit %s: %w", f.path, failure(err))
	}
	return nil
}

// Close closes the database. If Commit was not called, the tables stay empty.
func (f *Filling) Close() error {
	err := f.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) {
		err = nil
	}
	return errors.Join(err, f.db.Close())
}
