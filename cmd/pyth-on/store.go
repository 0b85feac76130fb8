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

// newServerMark is a file that exists in the data directory until the first start has
// stored its keys. If the first start is killed, the next start continues it.
const newServerMark = "new-server"

// storeFlags are the flags of commands that may create the store.
type storeFlags struct {
	rootKeyFlags

	NewDatabase bool `help:"Start with a new database even if the directory has the root key or other data of an earlier one. The accounts of the earlier database are lost."`
}

// accountStore is the database and the vault with its root key.
type accountStore struct {
	*sqlite.Store
	vault *vault.Vault
	// mark is the path of newServerMark.
	mark string
}

// openStore opens the database and the root key in the data directory, and creates
// them for a new server. It returns an error if an earlier database is missing. A new
// database would hide that its accounts are lost.
func (f *storeFlags) openStore(ctx context.Context, dataDir string) (_ *accountStore, err error) {
	path := filepath.Join(dataDir, databaseName)
	mark := filepath.Join(dataDir, newServerMark)
	absent, err := isAbsent(path)
	if err != nil {
		return nil, err
	}
	// Check before SQLite creates the file or removes the write-ahead log of a missing
	// file.
	if absent {
		if err := f.markNew(dataDir, mark, "no database"); err != nil {
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
			if err := f.markNew(dataDir, mark, "an empty database"); err != nil {
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

// removeMark removes the mark after the server's keys are stored. After that, an empty
// database is an error.
func (s *accountStore) removeMark() error {
	if err := os.Remove(s.mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// markNew marks the data directory as new, unless there is evidence of an earlier
// database.
func (f *storeFlags) markNew(dataDir, mark, has string) error {
	if _, err := os.Stat(mark); err == nil {
		return nil // An earlier first start was interrupted.
	}
	if evidence := f.evidence(dataDir); evidence != "" && !f.NewDatabase {
		return fmt.Errorf("the data directory %s has %s, but %s: the accounts of an earlier database would be lost; "+
			"restore %s from a backup, or start without these accounts by %s",
			dataDir, has, evidence, databaseName, f.optionsWithoutAccounts(dataDir))
	}
	made, err := os.OpenFile(mark, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return made.Close()
}

// evidence returns a description of the evidence of an earlier database, or "".
func (f *storeFlags) evidence(dataDir string) string {
	if path := f.rootKeyInDataDir(dataDir); path != "" {
		return "it contains the root key " + path
	}
	_, given := hiddenDescriptor(rootKeyVariable)
	if _, err := os.Stat(f.path(dataDir)); err != nil && !given {
		return ""
	}
	// A root key in another place may be new, so look for other data.
	for _, name := range []string{"run", "packages"} {
		if _, err := os.Stat(filepath.Join(dataDir, name)); err == nil {
			return "a server used it before"
		}
	}
	return ""
}

// rootKeyInDataDir returns the path of the root key if it is in the data directory,
// otherwise "".
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

// optionsWithoutAccounts explains how to start without the earlier accounts.
func (f *storeFlags) optionsWithoutAccounts(dataDir string) string {
	if path := f.rootKeyInDataDir(dataDir); path != "" {
		return "removing " + path + " (or with --new-database, which keeps it)"
	}
	return "passing --new-database once"
}

// isAbsent reports whether the file is missing or empty.
func isAbsent(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && info.Size() == 0, err
}
