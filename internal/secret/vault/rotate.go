package vault

import (
	"context"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// Rotator is a KeyKeeper that supports the rotation of its root key.
type Rotator interface {
	KeyKeeper
	// Begin adds a new root key as the newest root key. It returns the ID of the new key
	// and the IDs of the other root keys. If an earlier rotation is not finished, Begin
	// adds no key.
	Begin(ctx context.Context) (newest string, others []string, err error)
	// Finish removes all root keys except the newest root key. Rotate calls Finish when
	// no stored key is encrypted with an old root key.
	Finish(ctx context.Context) error
}

// rewrapBatch is the number of keys that one transaction replaces. It is small, because a
// running server must not wait long before it can write.
const rewrapBatch = 50

// Rotate adds a new root key and encrypts all stored keys with this root key. This works
// even while a server runs. If a call was interrupted, the next call continues the work.
// Rotate calls the function "progress" with the number of keys that it has encrypted so
// far.
//
// After a call of RetireRootKeys, the store refuses keys that are encrypted with old root
// keys. So a server that still uses an old root key cannot store a key that Rotate does
// not see.
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
		keys, err := store.DataKeysNotUnder(ctx, id, rewrapBatch)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return keeper.Finish(ctx)
		}
		for _, k := range keys {
			if k.Wrapped, err = v.rewrap(ctx, k.Wrapped, dataKeyLabel(k.UserID, k.Version)); err != nil {
				return fmt.Errorf("the key of user %s: %w; restore the key from a backup (the old root key is kept until then)", k.UserID, err)
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
