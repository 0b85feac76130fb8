package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

// failure turns temporary errors, such as a full disk, into errors that ask the
// caller to try again. The failed statement has stored nothing.
func failure(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff { // The rest tells more of the cause.
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM:
		return &pyth.Error{
			Code:    pyth.CodeUnavailable,
			Message: "The server cannot use its database now. Try again later.",
			Err:     err,
		}
	}
	return err
}

// writeFailure is failure for statements that write. It reports failures of the
// disk.
func (s *Store) writeFailure(err error) error {
	if s.diskFailed != nil && ofDisk(err) {
		s.diskFailed()
	}
	return failure(err)
}

// ofDisk reports whether the disk is the cause: full, read-only or broken.
func ofDisk(err error) bool {
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
