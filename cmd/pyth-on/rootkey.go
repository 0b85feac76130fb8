package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// rootKeyFlags selects the root key. A flag cannot contain the key itself, because all
// users of the machine can read the arguments of a process. The key is in a file or in
// the environment variable PYTH_ON_ROOT_KEY.
type rootKeyFlags struct {
	RootKeyFile string `type:"path" help:"File with the 32-byte root key (default: root.key in the data directory, created at the first start). Instead of a file, you can set PYTH_ON_ROOT_KEY to the key in base64."`
}

func (f *rootKeyFlags) path(dataDir string) string {
	if f.RootKeyFile != "" {
		return f.RootKeyFile
	}
	return filepath.Join(dataDir, "root.key")
}

// openOrCreateKeeper opens the root key that the settings select. It creates a root key
// only if the database is empty, because a new root key cannot decrypt existing data.
func (f *rootKeyFlags) openOrCreateKeeper(ctx context.Context, dataDir string, store pyth.KeyStore) (vault.Rotator, error) {
	empty, err := vault.Empty(ctx, store)
	if err != nil {
		return nil, err
	}
	open := vault.OpenFileKeeper
	if empty {
		open = vault.OpenOrCreateFileKeeper
	}
	keeper, err := f.checked(ctx, dataDir, store, open)
	if err != nil {
		return nil, err
	}
	return keeper, vault.RemoveTemporaryKeys(f.path(dataDir))
}

// keeper opens the root key that the settings select. It returns an error if the root
// key does not exist or cannot decrypt the data in the database.
func (f *rootKeyFlags) keeper(ctx context.Context, dataDir string, store pyth.KeyStore) (vault.Rotator, error) {
	return f.checked(ctx, dataDir, store, vault.OpenFileKeeper)
}

type openFile func(path string) (*vault.FileKeeper, error)

func (f *rootKeyFlags) checked(ctx context.Context, dataDir string, store pyth.KeyStore, open openFile) (vault.Rotator, error) {
	keeper, from, err := f.open(dataDir, store, open)
	if err != nil {
		return nil, err
	}
	if err := vault.New(keeper, store).Check(ctx); errors.Is(err, vault.ErrDamaged) {
		return nil, fmt.Errorf("%s is not the root key of the accounts in the database; %s", from, rootKeyAdvice(store))
	} else if err != nil {
		return nil, err
	}
	return keeper, nil
}

// rootKeyAdvice is the hint in errors about a missing root key.
func rootKeyAdvice(store pyth.KeyStore) string {
	if _, shared := store.(*postgres.Store); shared {
		return "all servers of a database need the same root key: copy root.key from the data directory of the server that created it, " +
			"or set " + rootKeyVariable + " for each server"
	}
	return "restore the right key from a backup, or choose another --data-dir"
}

func (f *rootKeyFlags) open(dataDir string, store pyth.KeyStore, open openFile) (keeper vault.Rotator, from string, err error) {
	setting, given, err := hiddenSetting(rootKeyVariable)
	if err != nil {
		return nil, "", err
	}
	if given {
		defer clear(setting)
		if f.RootKeyFile != "" {
			return nil, "", fmt.Errorf("both %s and --root-key-file are given; choose one", rootKeyVariable)
		}
		keeper, err := vault.NewSettingKeeper(setting)
		return keeper, "the value of " + rootKeyVariable, err
	}
	path := f.path(dataDir)
	file, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("the root key %s does not exist, but the database has accounts that need it; %s", path, rootKeyAdvice(store))
	}
	return file, path, err
}
