package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// copyMark is a part of the file name of a copy. The store makes such copies before
	// migrations. The file name consists of the name of the database, copyMark and the
	// version of the schema.
	copyMark = ".before-schema-"
	// keptCopies is the number of copies of earlier schemas that a migration keeps.
	keptCopies = 2
)

// migrate updates the schema to the version of this program. Before it changes a database
// that contains data, migrate copies the database to a file in the same directory.
func (s *Store) migrate(ctx context.Context) error {
	provider, err := migrator(s.writer)
	if err != nil {
		return err
	}
	if err := s.checkSmall(ctx); err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if err := checkSchema(current, known); err != nil || current == known {
		return err
	}
	if current > 0 {
		if err := s.copyBeforeMigration(ctx, known); err != nil {
			return fmt.Errorf("copy the database before its migration from schema %d to schema %d: %w; the database is unchanged", current, known, err)
		}
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	return s.removeOldCopies()
}

// checkSchema returns an error with advice if a newer version of this program has
// created the schema.
func checkSchema(current, known int64) error {
	if err := pyth.CheckSchema(current, known); err != nil {
		return fmt.Errorf("%w, or go back to the copy that the newer version made before its migration (see Upgrade on the page Server of the documentation)", err)
	}
	return nil
}

// copyBeforeMigration copies the database to a file in the same directory. The name of
// the file contains the version of the schema that the migration creates.
func (s *Store) copyBeforeMigration(ctx context.Context, to int64) error {
	path := s.path + copyMark + strconv.FormatInt(to, 10)
	// Write to a temporary file first. If the process is killed during the copying, only
	// this file remains, and the final path has no incomplete copy.
	temporary := path + ".tmp"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyDatabase(ctx, s.path, temporary, func(int64, int64) {}); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDirectory(filepath.Dir(path))
}

// removeOldCopies removes copies that were made before migrations. It keeps only the
// newest copies.
func (s *Store) removeOldCopies() error {
	copies := map[int64]string{}
	names, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	for _, e := range names {
		version, ok := strings.CutPrefix(e.Name(), filepath.Base(s.path)+copyMark)
		if n, err := strconv.ParseInt(version, 10, 64); ok && err == nil {
			copies[n] = filepath.Join(filepath.Dir(s.path), e.Name())
		}
	}
	var versions []int64
	for n := range copies {
		versions = append(versions, n)
	}
	slices.Sort(versions)
	for _, n := range versions[:max(0, len(versions)-keptCopies)] {
		err = errors.Join(err, os.Remove(copies[n]))
	}
	return err
}

func migrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
}

// The function "newest" returns the version of the newest schema.
func newest(provider *goose.Provider) int64 {
	sources := provider.ListSources()
	return sources[len(sources)-1].Version
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
