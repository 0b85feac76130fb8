package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// Restore restores a backup archive to a new data directory.
type Restore struct {
	// Dir is the data directory. It must be missing or empty, or contain only the root
	// key.
	Dir string
	// Keeper has the root key of the database. Keeper is nil if the operator specified
	// no root key.
	Keeper vault.KeyKeeper
	// Postgres is an empty PostgreSQL database that receives the data. If Postgres is
	// nil, the restore creates an SQLite database in the data directory.
	Postgres *postgres.Store
	Progress backup.Progress
}

// RestorePrefix is the prefix of the names of temporary directories for restores. The
// data directory contains these temporary directories.
const RestorePrefix = ".pyth-on-restore-"

// Run restores the archive. If Run fails, it leaves no new files in the data directory.
func (r *Restore) Run(ctx context.Context, archive string) (m *backup.Manifest, err error) {
	m, err = backup.Inspect(archive)
	if err != nil {
		return nil, err
	}
	if known, err := sqlite.Schema(); err != nil {
		return nil, err
	} else if m.Schema > known {
		return nil, fmt.Errorf("%w: it has schema %d, but this version of pyth-on knows only schema %d; restore it with pyth-on %s or newer",
			backup.ErrNewer, m.Schema, known, m.Version)
	}
	if err := requireEmpty(r.Dir); err != nil {
		return nil, err
	}
	data, free, err := OpenDirectory(r.Dir, LockWait)
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, fmt.Errorf("a server uses the data directory %s; choose another directory with --data-dir", r.Dir)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	// Require space for two copies: if the database is from an older version, its
	// migration needs a second copy.
	if err := disk.Need(data.Path, 2*m.SizeBytes(), "the restore"); err != nil {
		return nil, err
	}
	dir, remove, err := temporaryDirectory(data.Path, RestorePrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return m, r.restore(ctx, archive, data, dir)
}

// requireEmpty returns an error if a directory contains more than a root key.
func requireEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !slices.Contains([]string{backup.RootKeyName, "lock", "lost+found"}, e.Name()) && !strings.HasPrefix(e.Name(), RestorePrefix) {
			return fmt.Errorf("the data directory %s is not empty: it contains %s; choose a new directory with --data-dir", dir, e.Name())
		}
	}
	return nil
}

func (r *Restore) restore(ctx context.Context, archive string, data *Directory, dir string) error {
	m, err := backup.Extract(ctx, archive, dir, r.Progress)
	if err != nil {
		return err
	}
	keeper, err := r.keeper(m, data, dir)
	if err != nil {
		return err
	}
	database := filepath.Join(dir, backup.DatabaseName)
	if err := bringUpToDate(ctx, database); err != nil {
		return err
	}
	if err := examine(ctx, database, keeper, m, r.Progress); err != nil {
		return err
	}
	if r.Postgres != nil {
		if err := r.fill(ctx, database); err != nil {
			return err
		}
	}
	// Move the database last. If the restore stops before this step, there is a root
	// key without a database. This is harmless, because the server refuses to start.
	if m.HasRootKey() {
		if err := disk.Rename(filepath.Join(dir, backup.RootKeyName), data.Join(backup.RootKeyName)); err != nil {
			return err
		}
	}
	if r.Postgres != nil {
		return nil
	}
	return disk.Rename(database, data.Join(backup.DatabaseName))
}

// keeper returns a keeper with the root key of the backup. It returns nil if no root
// key is known.
func (r *Restore) keeper(m *backup.Manifest, data *Directory, dir string) (vault.KeyKeeper, error) {
	if !m.HasRootKey() {
		return r.Keeper, nil
	}
	if r.Keeper == nil {
		return vault.OpenFileKeeper(filepath.Join(dir, backup.RootKeyName))
	}
	inArchive, err := os.ReadFile(filepath.Join(dir, backup.RootKeyName))
	if err != nil {
		return nil, err
	}
	defer clear(inArchive)
	existing, err := os.ReadFile(data.Join(backup.RootKeyName))
	if errors.Is(err, fs.ErrNotExist) {
		return r.Keeper, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(existing)
	if string(existing) != string(inArchive) {
		return nil, fmt.Errorf("%s differs from the root key in the backup; move it away, or choose a new directory with --data-dir", data.Join(backup.RootKeyName))
	}
	return r.Keeper, nil
}

// bringUpToDate migrates the restored database to the schema of this version of the
// program.
func bringUpToDate(ctx context.Context, path string) error {
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	return store.Close()
}

// fill copies the restored SQLite database to the PostgreSQL database.
func (r *Restore) fill(ctx context.Context, path string) (err error) {
	from, err := sqlite.OpenCopy(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	snapshot, err := from.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	_, err = r.Postgres.Import(ctx, snapshot, func(table string, done, total int64) { r.Progress("Copying "+table, done, total) })
	if errors.Is(err, postgres.ErrNotEmpty) {
		return fmt.Errorf("%w; choose an empty database", err)
	}
	return err
}
