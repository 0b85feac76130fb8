package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// copyPoll is the time between two progress reports of CopyTo.
const copyPoll = 200 * time.Millisecond

// CopyTo writes a consistent copy of the database to a new file. In the meantime, the
// store and other processes can read and write. Only the owner can read the copy. CopyTo
// calls the function "progress" with the number of written bytes and the expected number
// of bytes. If CopyTo fails, it removes the file.
func (s *Store) CopyTo(ctx context.Context, path string, progress func(done, total int64)) error {
	if err := copyDatabase(ctx, s.path, path, progress); err != nil {
		return fmt.Errorf("sqlite: copy the database to %s: %w", path, failure(err))
	}
	return nil
}

func copyDatabase(ctx context.Context, from, to string, progress func(done, total int64)) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	db, err := connect(from, 1, "_pragma=query_only(0)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	total, err := sizeOf(ctx, db)
	if err != nil {
		return err
	}
	defer reportGrowth(f, total, progress)()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return err
	}
	return f.Sync()
}

// sizeOf returns the size in bytes of the used pages of the database.
func sizeOf(ctx context.Context, db *sql.DB) (bytes int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT (c.page_count - f.freelist_count) * s.page_size FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s").Scan(&bytes)
	return bytes, err
}

// reportGrowth calls the function "progress" with the size of the file at regular
// intervals. It stops when the returned function "stop" is called.
func reportGrowth(f *os.File, total int64, progress func(done, total int64)) (stop func()) {
	ended, reported := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reported)
		ticker := time.NewTicker(copyPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			if info, err := f.Stat(); err == nil {
				progress(min(info.Size(), total), total)
			}
		}
	}()
	return func() {
		close(ended)
		<-reported
	}
}

// OpenCopy opens a database for reading. No process may change the database in the
// meantime. OpenCopy creates no other files. It returns an error if the schema belongs
// to another version of this program.
func OpenCopy(ctx context.Context, path string) (*Store, error) {
	s, err := openToRead(ctx, path, "mode=ro&immutable=1")
	if err != nil {
		return nil, fmt.Errorf("sqlite: open the copy %s: %w", path, err)
	}
	return s, nil
}

// Size returns the size in bytes of the used pages of the database.
func (s *Store) Size(ctx context.Context) (int64, error) {
	bytes, err := sizeOf(ctx, s.reader)
	return bytes, failure(err)
}

// Schema returns the schema version of this program.
func Schema() (int64, error) {
	provider, err := migrator(new(sql.DB))
	if err != nil {
		return 0, err
	}
	return newest(provider), nil
}

// CheckIntegrity reads the whole database. It returns an error if a page is damaged, or
// if an index does not match its table. It also returns an error if a row refers to a
// missing row.
func (s *Store) CheckIntegrity(ctx context.Context) error {
	var found string
	if err := s.reader.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("sqlite: check the integrity of %s: %w", s.path, failure(err))
	}
	if found != "ok" {
		return fmt.Errorf("sqlite: %s: %w: %s", s.path, errDamaged, found)
	}
	var table string
	switch err := s.reader.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("sqlite: check the references in %s: %w", s.path, failure(err))
	}
	return fmt.Errorf("sqlite: %s: %w: a row of the table %s refers to a missing row", s.path, errDamaged, table)
}

// checkedBytes limits the size of a database that the store checks when it opens the
// database. The check of a larger database would delay the start of the server. Each
// backup checks databases of any size.
const checkedBytes = 64 << 20

// checkSmall returns an error if the database is small and has a damaged page.
func (s *Store) checkSmall(ctx context.Context) error {
	if bytes, err := sizeOf(ctx, s.writer); err != nil || bytes > checkedBytes {
		return err
	}
	var found string
	if err := s.writer.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		// SQLite returns several lines of text, but an error message must have only one
		// line.
		return fmt.Errorf("%w: %s; %s", errDamaged, strings.ReplaceAll(found, "\n", " "), adviceForDamage)
	}
	return nil
}

// dataSource returns the URI of the database with the given options.
func dataSource(path, options string) string {
	// Use a URI. Otherwise SQLite could read a part of the path as a setting.
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?" + options
}
