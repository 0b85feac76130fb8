package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// rootKeyFlags say where the root key is. PYTH_ON_ROOT_KEY has no flag, because
// every user can read the arguments of a process.
type rootKeyFlags struct {
	RootKeyFile string `type:"path" help:"File of the 32-byte root key (default: root.key in the data directory, created at the first start). PYTH_ON_ROOT_KEY, with the key in base64, can replace it."`
}

// path returns the path of the root key file.
func (f *rootKeyFlags) path(dataDir string) string {
	if f.RootKeyFile != "" {
		return f.RootKeyFile
	}
	return filepath.Join(dataDir, "root.key")
}

// openOrCreateKeeper opens the configured root key. It creates one only for an
// empty database, because other data would become unreadable.
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

// keeper opens the configured root key.
func (f *rootKeyFlags) keeper(ctx context.Context, dataDir string, store pyth.KeyStore) (vault.Rotator, error) {
	return f.checked(ctx, dataDir, store, vault.OpenFileKeeper)
}

type openFile func(path string) (*vault.FileKeeper, error)

func (f *rootKeyFlags) checked(ctx context.Context, dataDir string, store pyth.KeyStore, open openFile) (vault.Rotator, error) {
	keeper, from, err := f.open(dataDir, open)
	if err != nil {
		return nil, err
	}
	if err := vault.New(keeper, store).Check(ctx); errors.Is(err, vault.ErrDamaged) {
		return nil, fmt.Errorf("%s is not the root key that the accounts in the database were made with; "+
			"restore that one from the backup, or choose another --data-dir", from)
	} else if err != nil {
		return nil, err
	}
	return keeper, nil
}

func (f *rootKeyFlags) open(dataDir string, open openFile) (keeper vault.Rotator, from string, err error) {
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
		return keeper, "what " + rootKeyVariable + " holds", err
	}
	path := f.path(dataDir)
	file, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("the root key %s is missing, but the database has accounts that need it; "+
			"restore it from the backup, or choose another --data-dir", path)
	}
	return file, path, err
}
