package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

// failure converts temporary errors, such as a full disk, to CodeUnavailable. It returns
// other errors unchanged. A statement with a temporary error has stored nothing, so the
// caller can try again.
func failure(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff { // Ignore the higher bits, which contain details.
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM:
		return &pyth.Error{
			Code:    pyth.CodeUnavailable,
			Message: "The server's database is not available now. Try again later.",
			Err:     err,
		}
	}
	return err
}

// writeFailure converts errors of statements that write, like the function "failure". If
// the disk caused the error, it also calls diskFailed.
func (s *Store) writeFailure(err error) error {
	if s.diskFailed != nil && isDiskFailure(err) {
		s.diskFailed()
	}
	return failure(err)
}

// isDiskFailure reports whether a full, read-only or faulty disk caused the error.
func isDiskFailure(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// explain adds advice to an error that occurred when the store opened a database.
func explain(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w; %s", errDamaged, err, adviceForDamage)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w; free some space in the file system of the database, and try again", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w; make the database and its directory writable for this user, and try again", err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w; check the disk and the permissions of the directory, and try again", err)
	}
	return err
}

// errDamaged means that the file is not a database, or that a part of the database is
// damaged.
var errDamaged = errors.New("the database is damaged")

// adviceForDamage is the advice to operators for a damaged database.
const adviceForDamage = "keep a copy of the data directory, and restore a backup to a new data directory with `pyth-on restore`"
