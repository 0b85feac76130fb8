// Package sqlite implements pyth.Store in one SQLite file.
//
// Committed writes survive kill -9 and power loss, because every commit syncs the
// write-ahead log to the disk (WAL, synchronous=FULL). Only the owner can read the file.
// One connection writes. Several other connections read at the same time.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

// Store implements pyth.Store. It is safe for concurrent use.
type Store struct {
	writer *sql.DB
	reader *sql.DB
	// path is the absolute path of the database.
	path string
	// These statements are prepared, because they are executed for every request or for
	// every run.
	keyByHash, secrets, dataKey, appendAudit, putExecution *sql.Stmt
	// diskFailed is called if the disk causes the failure of a write. It may be nil.
	diskFailed func()
}

var _ pyth.Store = (*Store)(nil)

// Open opens the database at the path. If the database does not exist, Open creates it.
// If the schema is older, Open migrates it.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return s, nil
}

// OpenToRead opens an existing database only for reading, so writes fail. It works even
// while a server uses the database. It returns an error if the database does not exist,
// or if the schema belongs to another version of this program.
func OpenToRead(ctx context.Context, path string) (*Store, error) {
	s, err := openToRead(ctx, path, "_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s for reading: %w", path, err)
	}
	return s, nil
}

func openToRead(ctx context.Context, path, options string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would create a missing file. Therefore check first that the file exists.
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	if s.reader, err = connect(path, max(4, runtime.NumCPU()), options+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	s.writer = s.reader
	if err := s.prepareToRead(ctx); err != nil {
		return nil, explain(errors.Join(err, s.Close()))
	}
	return s, nil
}

// prepareToRead checks the version of the schema and prepares all statements.
func (s *Store) prepareToRead(ctx context.Context) error {
	known, err := Schema()
	if err != nil {
		return err
	}
	// Read the version without the library goose, because goose would create a missing
	// version table.
	var current int64
	if err := s.reader.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&current); err != nil {
		return err
	}
	if err := checkSchema(current, known); err != nil {
		return err
	}
	if current < known {
		return fmt.Errorf("the database has schema %d, but this version of pyth-on needs schema %d; start the server to migrate the database", current, known)
	}
	if err := s.prepareReads(ctx); err != nil {
		return err
	}
	return s.prepareWrites(ctx)
}

func open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// The file contains password hashes and encrypted keys. If SQLite created the file,
	// other users could read it. Therefore create the file here. SQLite gives the same
	// mode to its other files.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	if s.writer, err = connect(path, 1, "_pragma=journal_mode(WAL)&_txlock=immediate"); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, explain(errors.Join(err, s.Close()))
	}
	return s, nil
}

// prepare migrates the schema, opens the connections for reading and prepares
// statements.
func (s *Store) prepare(ctx context.Context) (err error) {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.reader, err = connect(s.path, max(4, runtime.NumCPU()), "_pragma=journal_mode(WAL)&_pragma=query_only(1)"); err != nil {
		return err
	}
	if err := s.prepareReads(ctx); err != nil {
		return err
	}
	return s.prepareWrites(ctx)
}

// prepareWrites prepares the statements that write.
func (s *Store) prepareWrites(ctx context.Context) (err error) {
	if s.appendAudit, err = s.writer.PrepareContext(ctx, appendAudit); err != nil {
		return err
	}
	s.putExecution, err = s.writer.PrepareContext(ctx, putExecution)
	return err
}

// prepareReads prepares the statements that read.
func (s *Store) prepareReads(ctx context.Context) (err error) {
	if s.keyByHash, err = s.reader.PrepareContext(ctx, selectKeyByHash); err != nil {
		return err
	}
	if s.secrets, err = s.reader.PrepareContext(ctx, selectSecrets+" ORDER BY name"); err != nil {
		return err
	}
	s.dataKey, err = s.reader.PrepareContext(ctx, selectDataKeys+" WHERE user_id = ?")
	return err
}

// connect returns a pool with the given maximum number of connections. These connections
// stay open. connect adds the given options to the settings of the connections.
func connect(path string, connections int, options string) (*sql.DB, error) {
	// Set busy_timeout first, because SQLite may wait for a lock when it applies the
	// other settings.
	db, err := sql.Open("sqlite", dataSource(path, "_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&"+options))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// OnDiskFailure sets a function that the store calls if the disk causes the failure of a
// write. The function must not block. Call OnDiskFailure before the first use of the
// store.
func (s *Store) OnDiskFailure(f func()) { s.diskFailed = f }

// Ping returns an error if the store cannot read the database.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.reader.QueryRowContext(ctx, "SELECT 1 FROM goose_db_version LIMIT 1").Scan(&one)
}

// Close closes all connections.
func (s *Store) Close() error {
	var errs []error
	for _, prepared := range []*sql.Stmt{s.keyByHash, s.secrets, s.dataKey, s.appendAudit, s.putExecution} {
		if prepared != nil {
			errs = append(errs, prepared.Close())
		}
	}
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// inTransaction calls f in a transaction. If f succeeds, it commits the transaction.
// Otherwise it rolls back the transaction.
func (s *Store) inTransaction(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.writeFailure(err)
	}
	if err := f(tx); err != nil {
		return s.writeFailure(errors.Join(err, tx.Rollback()))
	}
	return s.writeFailure(tx.Commit())
}

// write executes one statement. It returns true if the statement changed a row.
func (s *Store) write(ctx context.Context, query string, args ...any) (changed bool, err error) {
	changed, err = affected(s.writer.ExecContext(ctx, query, args...))
	return changed, s.writeFailure(err)
}

// asNotFound converts an error of a query for one row. If there is no row, asNotFound
// returns CodeNotFound. The message contains the name of the object. It converts all
// other errors like the function "failure".
func asNotFound(err error, object string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return pyth.Errorf(pyth.CodeNotFound, "The %s does not exist.", object)
	}
	return failure(err)
}

func affected(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// The function "duplicate" reports whether a statement failed because a unique value
// already exists.
func duplicate(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) || hasCode(err, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

func hasCode(err error, code int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == code
}
