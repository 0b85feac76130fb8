package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// These constants are SQLSTATE codes of PostgreSQL.
const (
	uniqueViolation      = "23505"
	characterNotInSet    = "22021"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	readOnlyTransaction  = "25006"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	insufficientRights   = "42501"
	noSuchDatabase       = "3D000"
	idleInTransaction    = "25P03"
)

// errTimeout is the cause of a context that was canceled after callTimeout.
var errTimeout = errors.New("postgres: no response in time")

// failure converts an error for callers of the store. If the caller's context has ended,
// failure returns the error of the context. It converts a temporary error to
// CodeUnavailable.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*pyth.Error](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if isTemporary(err) {
		return &pyth.Error{
			Code:    pyth.CodeUnavailable,
			Message: "The server's database is not available now. Try again later.",
			Err:     err,
		}
	}
	return err
}

// asNoRows converts the error that PostgreSQL returns for a string that a database cannot
// store, for example a string with U+0000. No row can contain such a string, so asNoRows
// returns pgx.ErrNoRows.
func asNoRows(err error) error {
	if sqlState(err) == characterNotInSet {
		return pgx.ErrNoRows
	}
	return err
}

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// The function "duplicate" reports whether a statement failed because a unique value
// already exists.
func duplicate(err error) bool { return sqlState(err) == uniqueViolation }

// isRolledBack reports whether PostgreSQL rolled back the transaction because of a
// concurrent transaction.
func isRolledBack(err error) bool {
	state := sqlState(err)
	return state == serializationFailure || state == deadlockDetected
}

// isConnectionFailure reports whether the connection could not be established or was
// closed.
func isConnectionFailure(err error) bool {
	if state := sqlState(err); state != "" {
		// Codes that begin with 08 are connection exceptions. Codes that begin with 57P
		// mean that PostgreSQL is stopping or starting.
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") || state == idleInTransaction
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// isTemporary reports whether the error is temporary. The same request can succeed later
// after a temporary error.
func isTemporary(err error) bool {
	switch state := sqlState(err); {
	case strings.HasPrefix(state, "53"): // The disk is full, or memory or connections are used up.
		return true
	case strings.HasPrefix(state, "58"): // There was an I/O error.
		return true
	case state == readOnlyTransaction, state == lockNotAvailable, state == queryCanceled:
		return true
	}
	return isConnectionFailure(err) || isRolledBack(err) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, puddle.ErrClosedPool)
}

// flatError is an error whose message has only one line. The messages of pgx have one
// line for each address that it tried.
type flatError struct{ error }

func (e flatError) Error() string { return strings.ReplaceAll(e.error.Error(), "\n\t", " ") }
func (e flatError) Unwrap() error { return e.error }

// explain adds advice to an error of Open.
func explain(err error) error {
	var advice string
	switch state := sqlState(err); {
	case state == insufficientRights:
		advice = "make the user in the URL the owner of the database"
	case state == noSuchDatabase:
		advice = "create the database, for example with `createdb`"
	case strings.HasPrefix(state, "28"):
		advice = "check the user and the password in the URL"
	case isConnectionFailure(err), errors.Is(err, context.DeadlineExceeded):
		advice = "check that PostgreSQL runs, and check the host and the port in the URL"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", flatError{err}, advice)
}
