package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed migrations/*.sql
var migrations embed.FS

// These constants are the keys of advisory locks. Each PostgreSQL database has a
// separate set of advisory locks.
const (
	migrationLock int64 = 0x70797468_6f6e0001 + iota
	auditLock
	rotationLock
	adminLock
)

// migrate updates the schema to the version of this program. Only one process at a time
// migrates a database.
func migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	return withDatabase(config, func(db *sql.DB, provider *goose.Provider) (err error) {
		if err := checkEncoding(ctx, db); err != nil {
			return err
		}
		lock, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
		// PostgreSQL releases the lock when the connection is closed.
		if _, err := lock.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
			return err
		}
		current, known, err := provider.GetVersions(ctx)
		if err != nil {
			return err
		}
		if err := pyth.CheckSchema(current, known); err != nil {
			return err
		}
		_, err = provider.Up(ctx)
		return err
	})
}

// checkVersion returns an error if the version of the schema differs from the version of
// this program.
func checkVersion(ctx context.Context, config *pgx.ConnConfig) error {
	return withDatabase(config, func(db *sql.DB, provider *goose.Provider) error {
		sources := provider.ListSources()
		known := sources[len(sources)-1].Version
		// Read the version without the library goose, because goose would create a
		// missing version table.
		var current int64
		err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&current)
		if sqlState(err) == "42P01" { // There is no such table.
			return errors.New("the database contains no data of pyth-on; check the name of the database")
		}
		if err == nil {
			err = pyth.CheckSchema(current, known)
		}
		if err == nil && current < known {
			err = fmt.Errorf("the database has schema %d, but this version of pyth-on needs schema %d; start the server to migrate the database", current, known)
		}
		return err
	})
}

// withDatabase calls f with an sql.DB, because the library goose needs the interface of
// database/sql.
func withDatabase(config *pgx.ConnConfig, f func(*sql.DB, *goose.Provider) error) (err error) {
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	return f(db, provider)
}

func checkEncoding(ctx context.Context, db *sql.DB) error {
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("the database has the encoding %s; create it with UTF8, for example with `createdb --encoding=UTF8 --template=template0`", encoding)
	}
	return nil
}
