// Package postgres implements pyth.Store in a PostgreSQL database. Several servers can
// use the database at the same time.
//
// Every write is one statement or one transaction with the isolation level READ
// COMMITTED. If the condition of a write depends on several rows, the write first locks
// the row of its user. A connection error never loses an acknowledged write: a method
// returns nil only after PostgreSQL has confirmed the commit.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// callTimeout is the time-out of one call of a method, including the time to connect
	// and to wait for locks.
	callTimeout = 10 * time.Second
	// connectTimeout is the time-out for connecting to one host of the URL.
	connectTimeout = 5 * time.Second
	// idleTransaction is the maximum time without a statement in a transaction of a
	// server. After this time, PostgreSQL ends the transaction. Therefore a server that
	// has lost its network does not block other servers.
	idleTransaction = 10 * time.Second
	// attempts is the maximum number of attempts of an operation. The store repeats an
	// operation only if the failed attempt had no effect, for example after a deadlock
	// or on a closed connection.
	attempts = 4
)

// Store implements pyth.Store, pyth.SharedAuditStore and pyth.RateLimitStore. It is
// safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	// offset is the time in nanoseconds that Now adds to the clock of this machine.
	offset atomic.Int64
	// writeFailed is called after an operation has failed with a temporary error. It may
	// be nil.
	writeFailed func()
}

var (
	_ pyth.Store            = (*Store)(nil)
	_ pyth.SharedAuditStore = (*Store)(nil)
	_ pyth.RateLimitStore   = (*Store)(nil)
)

// Open opens the database with this URL. If the schema is older, Open migrates it.
// Several processes may call Open at the same time. Errors contain no password.
func Open(ctx context.Context, url string) (*Store, error) {
	s, err := open(ctx, url, false)
	if err != nil {
		return nil, fmt.Errorf("postgres: open the database: %w", err)
	}
	return s, nil
}

// OpenToRead opens an existing database only for reading, so writes fail. It returns an
// error if the schema belongs to another version of this program.
func OpenToRead(ctx context.Context, url string) (*Store, error) {
	s, err := open(ctx, url, true)
	if err != nil {
		return nil, fmt.Errorf("postgres: open the database for reading: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, url string, readOnly bool) (*Store, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	if readOnly {
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
		err = checkVersion(ctx, config.ConnConfig)
	} else {
		err = migrate(ctx, config.ConnConfig)
	}
	if err != nil {
		return nil, explain(err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, explain(err)
	}
	s := &Store{pool: pool}
	if _, err := s.SyncClock(ctx); err != nil {
		pool.Close()
		return nil, explain(err)
	}
	return s, nil
}

// parse converts the URL to a configuration of connections.
func parse(url string) (*pgxpool.Config, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// Do not print the error of pgx, because it can contain a part of the password.
		return nil, errors.New("the URL has a part that is not valid, for example an unknown sslmode or a file with certificates that does not exist")
	}
	if !strings.Contains(url, "pool_max_conns=") {
		config.MaxConns = int32(max(10, 2*runtime.NumCPU()))
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > connectTimeout {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	setDefault := func(name string, value string) {
		if _, given := config.ConnConfig.RuntimeParams[name]; !given {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	setDefault("application_name", "pyth-on")
	setDefault("idle_in_transaction_session_timeout", fmt.Sprint(idleTransaction.Milliseconds()))
	config.ConnConfig.DialFunc = dialer
	config.AfterConnect = requireDurableCommits
	return config, nil
}

// requireDurableCommits turns on synchronous commits if the configuration of the
// database has turned them off. It keeps stricter settings.
func requireDurableCommits(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// Ping returns an error if the store cannot read the database.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.row(ctx, "SELECT 1 FROM goose_db_version LIMIT 1", nil, &one)
}

// Close closes all connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// row executes a query for one row and scans the row. If the connection fails, it tries
// again. If there is no row, it returns pgx.ErrNoRows.
func (s *Store) row(ctx context.Context, query string, args []any, fields ...any) error {
	return s.reading(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, query, args...).Scan(fields...)
	})
}

// collect executes a query and converts each row with the function "scan".
func collect[T any](ctx context.Context, s *Store, scan func(pgx.CollectableRow) (T, error), query string, args ...any) (all []T, err error) {
	err = s.reading(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scan)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	if len(all) == 0 {
		return nil, err
	}
	return all, err
}

// The method "reading" calls f. The function f must only read. If a connection fails,
// "reading" calls f again.
func (s *Store) reading(ctx context.Context, f func(context.Context) error) error {
	return asNoRows(s.attempt(ctx, f, isConnectionFailure))
}

// write executes one statement. It returns true if the statement changed a row.
func (s *Store) write(ctx context.Context, query string, args ...any) (changed bool, err error) {
	err = s.attempt(ctx, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, query, args...)
		changed = err == nil && tag.RowsAffected() > 0
		return err
	}, pgconn.SafeToRetry)
	return changed, err
}

// errNotBegun wraps an error that occurred before the first statement of a
// transaction.
type errNotBegun struct{ error }

func (e errNotBegun) Unwrap() error { return e.error }

// inTransaction calls f in a transaction. If f succeeds, it commits the transaction.
// Otherwise it rolls back the transaction. After a deadlock it calls f again.
func (s *Store) inTransaction(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return s.attempt(ctx, func(ctx context.Context) error {
		tx, err := s.pool.Begin(ctx)
		if err != nil {
			return errNotBegun{err}
		}
		if err := f(ctx, tx); err != nil {
			return errors.Join(err, rollback(ctx, tx))
		}
		return tx.Commit(ctx)
	}, notBegun)
}

func notBegun(err error) bool {
	_, ok := errors.AsType[errNotBegun](err)
	return ok
}

// rollback rolls back the transaction, even if ctx has ended. If the rollback fails, pgx
// closes the connection. PostgreSQL then rolls back the transaction.
func rollback(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) && !isConnectionFailure(err) {
		return err
	}
	return nil
}

// The method "attempt" calls f with a time-out. It calls f again if the function
// "harmless" returns true for the error. It also calls f again if PostgreSQL rolled back
// the transaction of f because of a concurrent transaction.
func (s *Store) attempt(ctx context.Context, f func(context.Context) error, harmless func(error) bool) (err error) {
	inner, cancel := context.WithTimeoutCause(ctx, callTimeout, errTimeout)
	defer cancel()
	for n := 1; ; n++ {
		if err = f(inner); err == nil || inner.Err() != nil || n == attempts {
			break
		}
		broken := isConnectionFailure(err)
		if broken {
			// Discard all idle connections, because a restart of PostgreSQL has closed
			// all of them.
			s.pool.Reset()
		}
		if repeat := isRolledBack(err) || broken && harmless(err); !repeat {
			break
		}
	}
	if s.writeFailed != nil && ctx.Err() == nil && isTemporary(err) {
		s.writeFailed()
	}
	return failure(ctx, err)
}

// asNotFound converts an error of a query for one row. If there is no row, asNotFound
// returns CodeNotFound. The message contains the name of the object.
func asNotFound(err error, object string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return pyth.Errorf(pyth.CodeNotFound, "The %s does not exist.", object)
	}
	return err
}
