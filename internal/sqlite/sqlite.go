// Package sqlite is a pyth.Store in one file, by SQLite.
//
// It promises that what it acknowledged survives kill -9 and power loss: the
// log is synchronised to disk with every commit (WAL, synchronous=FULL). The
// file is readable by its owner only. One connection writes, several read
// beside it.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a pyth.Store.
type Store struct {
	writer *sql.DB
	reader *sql.DB
	// These are prepared, because every request or run needs them.
	keyByHash, secrets, dataKey, appendAudit *sql.Stmt
	// diskFailed is told of writes that the disk did not take; it may be nil.
	diskFailed func()
}

var _ pyth.Store = (*Store)(nil)

// Open opens the database, making it or bringing it up to date if need be.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	return s, nil
}

// OpenToRead opens a database for reading only, which a server may be using
// meanwhile. What writes fails. A database that is absent, or that a server of
// this version has not brought up to date, is an error.
func OpenToRead(ctx context.Context, path string) (*Store, error) {
	s, err := openToRead(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening %s to read: %w", path, err)
	}
	return s, nil
}

func openToRead(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would make it.
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	s := new(Store)
	if err := s.openReader(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.writer = s.reader
	provider, err := migrator(s.reader)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// Asking goose would write, where it finds no table of its own.
	var current int64
	err = s.reader.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&current)
	sources := provider.ListSources()
	if known := sources[len(sources)-1].Version; err == nil && current != known {
		err = fmt.Errorf("it is of another version of this program (schema %d, this one knows %d); a server brings it up to date when it starts", current, known)
	}
	if err == nil {
		s.appendAudit, err = s.writer.PrepareContext(ctx, appendAudit)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Made here, because SQLite would let others read it, and it holds password
	// hashes and sealed keys. The log and index files take its mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s := new(Store)
	if s.writer, err = connect(path, 1, "_txlock=immediate"); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare migrates the database and opens it for reading.
func (s *Store) prepare(ctx context.Context, path string) (err error) {
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	if err := s.openReader(ctx, path); err != nil {
		return err
	}
	s.appendAudit, err = s.writer.PrepareContext(ctx, appendAudit)
	return err
}

func (s *Store) openReader(ctx context.Context, path string) (err error) {
	if s.reader, err = connect(path, max(4, runtime.NumCPU()), "_pragma=query_only(1)"); err != nil {
		return err
	}
	if s.keyByHash, err = s.reader.PrepareContext(ctx, selectKeyByHash); err != nil {
		return err
	}
	if s.secrets, err = s.reader.PrepareContext(ctx, selectSecrets+" ORDER BY name"); err != nil {
		return err
	}
	s.dataKey, err = s.reader.PrepareContext(ctx, selectDataKeys+" WHERE user_id = ?")
	return err
}

// connect opens a pool of connections that stay open.
func connect(path string, connections int, option string) (*sql.DB, error) {
	// As a URI, so that no character of the path is taken for a setting. The
	// time-out comes first: the settings after it may have to wait.
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&" + option
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	provider, err := migrator(db)
	if err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > known {
		return fmt.Errorf("it was written by a newer version of this program (schema %d, this one knows %d)", current, known)
	}
	_, err = provider.Up(ctx)
	return err
}

func migrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
}

// OnDiskFailure has the function called, which must not block, whenever the disk
// does not take a write. It must be called before the store is used.
func (s *Store) OnDiskFailure(f func()) { s.diskFailed = f }

// Ping tells whether the store can serve.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.reader.QueryRowContext(ctx, "SELECT 1 FROM goose_db_version LIMIT 1").Scan(&one)
}

// Close ends the store.
func (s *Store) Close() error {
	var errs []error
	for _, prepared := range []*sql.Stmt{s.keyByHash, s.secrets, s.dataKey, s.appendAudit} {
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

// inTransaction commits what f did unless it fails.
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

// write executes one statement.
func (s *Store) write(ctx context.Context, query string, args ...any) (changed bool, err error) {
	changed, err = affected(s.writer.ExecContext(ctx, query, args...))
	return changed, s.writeFailure(err)
}

// found turns an absent row into CodeNotFound.
func found(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return pyth.Errorf(pyth.CodeNotFound, "There is no such %s.", what)
	}
	return failure(err)
}

// affected is whether a statement changed anything.
func affected(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// duplicate is whether the error is that of a value that must be unique.
func duplicate(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) || hasCode(err, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

func hasCode(err error, code int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == code
}

// instant is a time in a column: NULL for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timeOf reads a time from a column.
type timeOf struct{ t *time.Time }

func (d timeOf) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*d.t = time.Time{}
	case int64:
		*d.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

// hashOf reads a hash from a column; NULL is the zero hash.
type hashOf struct{ h *[32]byte }

func (d hashOf) Scan(v any) error {
	*d.h = [32]byte{}
	if v == nil {
		return nil
	}
	b, ok := v.([]byte)
	if !ok || copy(d.h[:], b) != len(d.h) || len(b) != len(d.h) {
		return errors.New("a hash is not of 32 bytes")
	}
	return nil
}
