package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// newServerMark is the name of a file in the data directory. At its first start, a
// server creates this file. The server removes the file after it has stored its keys.
// If the first start is killed, the file still exists. In this case, the next start knows
// that the server is still new.
const newServerMark = "new-server"

// storeFlags are the flags of commands that can create the database.
type storeFlags struct {
	databaseFlags
	rootKeyFlags

	NewDatabase bool `help:"Start with a new database even if the data directory has the root key or other data of an earlier database. The accounts of the earlier database are lost."`
}

// accountStore contains the open database and the vault that encrypts the secrets in
// the database.
type accountStore struct {
	pyth.Store
	vault *vault.Vault
	// mark is the path of the file with the name newServerMark.
	mark string
	// description describes the PostgreSQL database for the log. It is "" for an SQLite
	// database.
	description string
}

// onWriteFailure sets a function. The store calls this function if a write fails
// because of the disk or the PostgreSQL server.
func (s *accountStore) onWriteFailure(f func()) {
	switch store := s.Store.(type) {
	case *sqlite.Store:
		store.OnDiskFailure(f)
	case *postgres.Store:
		store.OnWriteFailure(f)
	}
}

// openStore opens the database and the root key of a server. For a new server, it
// creates both. If an earlier database is missing, openStore returns an error. A new
// database would hide that the accounts are lost.
func (f *storeFlags) openStore(ctx context.Context, dataDir string) (*accountStore, error) {
	url, err := f.url()
	if err != nil {
		return nil, err
	}
	if url != "" {
		return f.openPostgres(ctx, dataDir, url)
	}
	return f.openSQLite(ctx, dataDir)
}

// openPostgres opens a PostgreSQL database. The database can already contain accounts
// that another server created.
func (f *storeFlags) openPostgres(ctx context.Context, dataDir, url string) (_ *accountStore, err error) {
	store, err := postgres.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	s := &accountStore{Store: store, mark: filepath.Join(dataDir, newServerMark), description: postgres.Describe(url)}
	empty, err := vault.Empty(ctx, store)
	if err != nil {
		return nil, err
	}
	if empty {
		if err := f.refuseUnmigrated(dataDir); err != nil {
			return nil, err
		}
		if err := f.markNew(dataDir, s.mark, "the database "+s.description, "is empty", "choose the right database with --database"); err != nil {
			return nil, err
		}
	}
	keeper, err := f.openOrCreateKeeper(ctx, dataDir, store)
	if err != nil {
		return nil, err
	}
	s.vault = vault.New(keeper, store)
	return s, nil
}

// refuseUnmigrated returns an error if the data directory has an SQLite database. A
// server with an empty PostgreSQL database would not find the accounts in the SQLite
// database.
func (f *storeFlags) refuseUnmigrated(dataDir string) error {
	path := filepath.Join(dataDir, databaseName)
	absent, err := isAbsent(path)
	if err != nil || absent || f.NewDatabase {
		return err
	}
	return fmt.Errorf("the PostgreSQL database is empty, but the data directory %s has an SQLite database with accounts; "+
		"move them with `pyth-on migrate --from sqlite:%s`, or start without them by passing --new-database once", dataDir, path)
}

func (f *storeFlags) openSQLite(ctx context.Context, dataDir string) (_ *accountStore, err error) {
	path := filepath.Join(dataDir, databaseName)
	mark := filepath.Join(dataDir, newServerMark)
	absent, err := isAbsent(path)
	if err != nil {
		return nil, err
	}
	// Call markNew before SQLite opens the database. SQLite creates a missing file and
	// removes the write-ahead log of an earlier database. After that, markNew could not
	// find the earlier database.
	if absent {
		if err := f.markNew(dataDir, mark, "the data directory "+dataDir, "has no database", restore); err != nil {
			return nil, err
		}
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	if !absent {
		empty, err := vault.Empty(ctx, store)
		if err != nil {
			return nil, err
		}
		if empty {
			if err := f.markNew(dataDir, mark, "the data directory "+dataDir, "has an empty database", restore); err != nil {
				return nil, err
			}
		}
	}
	keeper, err := f.openOrCreateKeeper(ctx, dataDir, store)
	if err != nil {
		return nil, err
	}
	return &accountStore{Store: store, vault: vault.New(keeper, store), mark: mark}, nil
}

// removeMark removes the file newServerMark. Call removeMark after the keys of the
// server are stored. From then on, the server cannot start with an empty database.
func (s *accountStore) removeMark() error {
	if err := os.Remove(s.mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// restore is the hint in error messages about a missing SQLite database.
const restore = "restore " + databaseName + " from a backup"

// markNew creates the file newServerMark. If there is evidence of an earlier database,
// markNew returns an error instead. The other parameters are parts of the error
// message: an object, the state of the object (for example "is empty"), and a hint.
func (f *storeFlags) markNew(dataDir, mark, object, state, advice string) error {
	if _, err := os.Stat(mark); err == nil {
		return nil // The first start was interrupted.
	}
	if evidence := f.evidence(dataDir); evidence != "" && !f.NewDatabase {
		return fmt.Errorf("%s %s, but %s: the accounts of an earlier database would be lost; "+
			"%s, or start without these accounts by %s",
			object, state, evidence, advice, f.optionsWithoutAccounts(dataDir))
	}
	made, err := os.OpenFile(mark, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return made.Close()
}

// evidence searches for a sign that the server had an earlier database. It returns a
// description of the sign for an error message, or "" if there is no sign.
func (f *storeFlags) evidence(dataDir string) string {
	if path := f.rootKeyInDataDir(dataDir); path != "" {
		return "the root key " + path + " exists"
	}
	_, given := hiddenDescriptor(rootKeyVariable)
	if _, err := os.Stat(f.path(dataDir)); err != nil && !given {
		return ""
	}
	// A root key outside the data directory may belong to a new server. So look for
	// other signs of an earlier server.
	for _, name := range []string{"run", "packages"} {
		if _, err := os.Stat(filepath.Join(dataDir, name)); err == nil {
			return "a server used the data directory before"
		}
	}
	return ""
}

// rootKeyInDataDir returns the path of the root key file if the file exists and is
// in the data directory. Otherwise it returns "".
func (f *storeFlags) rootKeyInDataDir(dataDir string) string {
	path, err := filepath.Abs(f.path(dataDir))
	if err != nil || filepath.Dir(path) != dataDir {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// optionsWithoutAccounts describes how to start the server without the earlier
// accounts. Error messages contain this description.
func (f *storeFlags) optionsWithoutAccounts(dataDir string) string {
	if path := f.rootKeyInDataDir(dataDir); path != "" {
		return "removing " + path + " (or passing --new-database, which keeps this file)"
	}
	return "passing --new-database once"
}

// isAbsent reports whether the file does not exist or is empty.
func isAbsent(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && info.Size() == 0, err
}
