package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

// failure converts temporary errors, such as a full disk, to CodeUnavailable. It
// returns other errors unchanged. A statement that failed with a temporary error has
// stored nothing, so the caller can try again.
func failure(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff { // The higher bits contain details.
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

// writeFailure works like the function "failure", but for statements that write. It
// also calls diskFailed if the disk caused the error.
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
