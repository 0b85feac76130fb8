package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// KeyKeeper holds the root keys, which need not be in this process.
type KeyKeeper interface {
	// Wrap encrypts a key under the newest root key, so that only Unwrap with the
	// same associated data gives it back.
	Wrap(ctx context.Context, key, associated []byte) (pyth.WrappedKey, error)
	// Unwrap fails with ErrDamaged for what Wrap did not make.
	Unwrap(ctx context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error)
}

// What keys are derived from a root key for, by HKDF-SHA256 (RFC 5869): the root
// key itself encrypts nothing, and is not told from its name.
const (
	wrapping = "pyth-on/wrap/1"
	naming   = "pyth-on/root-key-id/1"
)

// idBytes is enough to tell the root keys of one server apart.
const idBytes = 8

// rootKey is a root key and what is derived from it.
type rootKey struct {
	id            string
	key, wrapping []byte
}

func newRootKey(key []byte) (*rootKey, error) {
	id, err := hkdf.Key(sha256.New, key, nil, naming, idBytes)
	if err != nil {
		return nil, err
	}
	w, err := hkdf.Key(sha256.New, key, nil, wrapping, keyBytes)
	if err != nil {
		return nil, err
	}
	return &rootKey{hex.EncodeToString(id), key, w}, nil
}

// keyring is some root keys, the newest first.
type keyring []*rootKey

func newKeyring(keys [][]byte) (keyring, error) {
	ring := make(keyring, len(keys))
	for i, key := range keys {
		var err error
		if ring[i], err = newRootKey(key); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

func (r keyring) wrap(key, associated []byte) (pyth.WrappedKey, error) {
	sealed, err := seal(r[0].wrapping, key, associated)
	return pyth.WrappedKey{RootKey: r[0].id, Bytes: sealed}, err
}

func (r keyring) names() []string {
	names := make([]string, len(r))
	for i, k := range r {
		names[i] = k.id
	}
	return names
}

// has is whether the root key that wraps the key is there. One without a name,
// from before root keys had any, could be each.
func (r keyring) has(wrapped pyth.WrappedKey) bool {
	return slices.ContainsFunc(r, func(k *rootKey) bool { return k.wraps(wrapped) })
}

func (k *rootKey) wraps(wrapped pyth.WrappedKey) bool {
	return wrapped.RootKey == "" || wrapped.RootKey == k.id
}

func (r keyring) unwrap(wrapped pyth.WrappedKey, associated []byte) ([]byte, error) {
	for _, k := range r {
		if k.wraps(wrapped) {
			if key, err := open(k.wrapping, wrapped.Bytes, associated); err == nil {
				return key, nil
			}
		}
	}
	return nil, ErrDamaged
}
