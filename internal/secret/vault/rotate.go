package vault

import (
	"context"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// Rotator is a KeyKeeper whose root key can be replaced.
type Rotator interface {
	KeyKeeper
	// Begin adds a new root key as the newest and returns its name and the
	// names of the others. It changes nothing if a rotation has begun and not
	// finished.
	Begin(ctx context.Context) (newest string, others []string, err error)
	// Finish drops the other root keys, which wrap nothing any more.
	Finish(ctx context.Context) error
}

// rewrapBatch is the number of keys that one transaction rewraps. It is small,
// so that a server that writes at the same time does not wait long.
const rewrapBatch = 50

// Rotate wraps all keys under a new root key while a server uses them. If it is
// killed at any point, the next call continues. It calls progress with the
// number of keys rewrapped so far.
//
// Once RetireRootKeys has returned, the store refuses keys wrapped under the
// old root keys. A server that has not noticed the new root key therefore
// cannot leave a key behind.
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
				return fmt.Errorf("the key of user %s: %w; restore the key from a backup (its old root key is kept until then)", k.UserID, err)
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
