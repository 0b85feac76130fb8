package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// newServerMark is a file that is in the data directory while a first start has
// not stored its keys yet. A start that was killed in between goes on with it.
const newServerMark = "new-server"

// storeFlags say how a command opens the store that it may be the first to use.
type storeFlags struct {
	rootKeyFlags

	NewDatabase bool `help:"Start with a new database although a root key, or other data, of an earlier one is there. The accounts of the earlier one are not in it."`
}

// accountStore is the database with the root key of its accounts.
type accountStore struct {
	*sqlite.Store
	vault *vault.Vault
	// mark is the path of newServerMark.
	mark string
}

// open opens the database and the root key in the data directory, and makes them
// for a new server. It refuses to make a database where there was one: its
// accounts would be gone without a word.
func (f *storeFlags) openStore(ctx context.Context, dataDir string) (_ *accountStore, err error) {
	path := filepath.Join(dataDir, databaseName)
	mark := filepath.Join(dataDir, newServerMark)
	absent, err := isAbsent(path)
	if err != nil {
		return nil, err
	}
	// Before SQLite makes the file, or removes the log of an absent one.
	if absent {
		if err := f.mayMake(dataDir, mark, "no database"); err != nil {
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
			if err := f.mayMake(dataDir, mark, "an empty database"); err != nil {
				return nil, err
			}
		}
	}
	keeper, err := f.made(ctx, dataDir, store)
	if err != nil {
		return nil, err
	}
	return &accountStore{Store: store, vault: vault.New(keeper, store), mark: mark}, nil
}

// settled tells that the server's own keys are stored: from now on an empty
// database is a lost one.
func (s *accountStore) settled() error {
	if err := os.Remove(s.mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mayMake marks the data directory as that of a new server, unless something
// shows that it had a database.
func (f *storeFlags) mayMake(dataDir, mark, has string) error {
	if _, err := os.Stat(mark); err == nil {
		return nil // An earlier first start did not come to its end.
	}
	if evidence := f.evidence(dataDir); evidence != "" && !f.NewDatabase {
		return fmt.Errorf("the data directory %s has %s, but %s, so that the accounts of an earlier database would be lost; "+
			"restore %s from the backup, or start without those accounts by %s",
			dataDir, has, evidence, databaseName, f.without(dataDir))
	}
	made, err := os.OpenFile(mark, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return made.Close()
}

// evidence says what shows that there was a database; "" if nothing does.
func (f *storeFlags) evidence(dataDir string) string {
	if path := f.besideDatabase(dataDir); path != "" {
		return "there is the root key " + path
	}
	_, given := hiddenDescriptor(rootKeyVariable)
	if _, err := os.Stat(f.path(dataDir)); err != nil && !given {
		return ""
	}
	// A root key from elsewhere may have been made for this first start.
	for _, name := range []string{"run", "packages"} {
		if _, err := os.Stat(filepath.Join(dataDir, name)); err == nil {
			return "a server has used it before"
		}
	}
	return ""
}

// besideDatabase is the path of a root key in the data directory; "" if there is
// none.
func (f *storeFlags) besideDatabase(dataDir string) string {
	path, err := filepath.Abs(f.path(dataDir))
	if err != nil || filepath.Dir(path) != dataDir {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// without tells how to start without the earlier accounts.
func (f *storeFlags) without(dataDir string) string {
	if path := f.besideDatabase(dataDir); path != "" {
		return "removing " + path + " (or with --new-database, which keeps it)"
	}
	return "passing --new-database once"
}

// isAbsent reports whether there is no file at the path, or an empty one.
func isAbsent(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && info.Size() == 0, err
}
