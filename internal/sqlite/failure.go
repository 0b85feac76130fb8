package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	pyth "github.com/pyth-on/pyth-on"
)

// failure makes what may pass, such as a full disk, an error that tells callers
// to come again. Nothing of what failed was stored.
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
			Message: "The server cannot use its database at this moment. Try again later.",
			Err:     err,
		}
	}
	return err
}

// writeFailure is failure for what writes: a disk that does not take it is told.
func (s *Store) writeFailure(err error) error {
	if s.diskFailed != nil && ofDisk(err) {
		s.diskFailed()
	}
	return failure(err)
}

// ofDisk is whether the disk is at fault: full, read-only or broken.
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
