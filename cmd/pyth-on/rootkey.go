package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/vault"
)

// rootKeyName is the root key's file in the data directory.
const rootKeyName = "root.key"

// openRootKey opens the root key, and a vault with it. It makes a key only for
// a database without accounts: those of another would be lost without a word.
func openRootKey(ctx context.Context, path string, store pyth.DataKeyStore) (*vault.FileKeeper, *vault.Vault, error) {
	open := vault.OpenFileKeeper
	if _, err := store.AnyDataKey(ctx); pyth.ErrorCode(err) == pyth.CodeNotFound {
		open = vault.MakeFileKeeper
	} else if err != nil {
		return nil, nil, err
	}
	keeper, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the root key %s is missing, but the database has accounts that need it; "+
			"restore it from the backup, or choose another --data-dir", path)
	}
	if err != nil {
		return nil, nil, err
	}
	v := vault.New(keeper, store)
	if err := v.Check(ctx); errors.Is(err, vault.ErrDamaged) {
		return nil, nil, fmt.Errorf("%s is not the root key that the accounts in the database were made with; "+
			"restore that one from the backup, or choose another --data-dir", path)
	} else if err != nil {
		return nil, nil, err
	}
	return keeper, v, nil
}
