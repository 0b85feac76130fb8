package vault

import (
	"context"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// Rotator is a KeyKeeper that can have a new root key.
type Rotator interface {
	KeyKeeper
	// Begin makes a new root key the newest and returns its name, and those of
	// the others; if that was done and Finish not, it changes nothing.
	Begin(ctx context.Context) (newest string, others []string, err error)
	// Finish forgets the other root keys: nothing is wrapped by them any more.
	Finish(ctx context.Context) error
}

// rewrapAtOnce is how many keys one transaction rewraps: few, so that a server
// that writes at the same time does not wait long.
const rewrapAtOnce = 50

// Rotate wraps all keys by a new root key while a server uses them. It can be
// killed at any point: called again it goes on from there. Progress is told how
// many keys were rewrapped.
//
// A server that has not noticed the new key yet cannot store a key under the old
// one any more once RetireRootKeys has returned, so that none is left behind.
func Rotate(ctx context.Context, keeper Rotator, store pyth.KeyStore, progress func(done int)) error {
	id, others, err := keeper.Begin(ctx)
	if err != nil {
		return err
	}
	if err := store.RetireRootKeys(ctx, others); err != nil {
		return err
	}
	v := New(keeper, store)
	done := 0
	server, err := store.ServerKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range server {
		if k.Wrapped.RootKey == id {
			continue
		}
		if k.Wrapped, err = v.rewrap(ctx, k.Wrapped, serverKeyLabel(k.Name)); err != nil {
			return fmt.Errorf("the server's key %s: %w", k.Name, err)
		}
		if err := store.RewrapServerKey(ctx, k); err != nil {
			return err
		}
		done++
	}
	progress(done)
	for {
		keys, err := store.DataKeysNotUnder(ctx, id, rewrapAtOnce)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return keeper.Finish(ctx)
		}
		for _, k := range keys {
			if k.Wrapped, err = v.rewrap(ctx, k.Wrapped, dataKeyLabel(k.UserID, k.Version)); err != nil {
				return fmt.Errorf("the key of user %s: %w; restore it from a backup, since its old root key is kept as long as it needs that", k.UserID, err)
			}
		}
		if err := store.RewrapDataKeys(ctx, keys); err != nil {
			return err
		}
		done += len(keys)
		progress(done)
	}
}

func (v *Vault) rewrap(ctx context.Context, wrapped pyth.WrappedKey, associated []byte) (pyth.WrappedKey, error) {
	key, err := v.keeper.Unwrap(ctx, wrapped, associated)
	if err != nil {
		return pyth.WrappedKey{}, err
	}
	defer clear(key)
	return v.keeper.Wrap(ctx, key, associated)
}
