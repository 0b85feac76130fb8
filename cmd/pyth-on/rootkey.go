package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/vault"
)

// rootKeyFlags say where the root key is, for all who need it. The setting
// PYTH_ON_ROOT_KEY has no flag: arguments can be read by every user.
type rootKeyFlags struct {
	RootKeyFile string `type:"path" help:"File of the 32-byte root key (default: root.key in the data directory, made at the first start). PYTH_ON_ROOT_KEY, with the key in base64, stands in for it."`
}

// path is that of the file.
func (f *rootKeyFlags) path(dataDir string) string {
	if f.RootKeyFile != "" {
		return f.RootKeyFile
	}
	return filepath.Join(dataDir, "root.key")
}

// keeper opens the root key that is configured. It makes one only for a database
// that is empty: those of another would be lost without a word.
func (f *rootKeyFlags) keeper(ctx context.Context, dataDir string, store pyth.KeyStore) (vault.Rotator, error) {
	keeper, from, err := f.open(ctx, dataDir, store)
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

func (f *rootKeyFlags) open(ctx context.Context, dataDir string, store pyth.KeyStore) (keeper vault.Rotator, from string, err error) {
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
	open := vault.OpenFileKeeper
	if empty, err := vault.Empty(ctx, store); err != nil {
		return nil, "", err
	} else if empty {
		open = vault.MakeFileKeeper
	}
	file, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("the root key %s is missing, but the database has accounts that need it; "+
			"restore it from the backup, or choose another --data-dir", path)
	}
	return file, path, err
}
