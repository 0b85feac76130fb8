package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// KeyKeeper encrypts keys with root keys. The root keys can be in another process, or in
// a device that never reveals its keys.
type KeyKeeper interface {
	// Wrap encrypts a key with the newest root key. To decrypt the key, Unwrap needs the
	// same associated data.
	Wrap(ctx context.Context, key, associated []byte) (pyth.WrappedKey, error)
	// Unwrap decrypts a key. It returns ErrDamaged if the root key is missing, or if the
	// parameter "wrapped" or "associated" was changed.
	Unwrap(ctx context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error)
}

// The constants "wrapping" and "naming" are labels for HKDF-SHA256 (RFC 5869). HKDF
// derives two values from a root key: a wrapping key, which encrypts other keys, and the
// ID of the root key. So the root key itself encrypts nothing, and the ID does not reveal
// the root key.
const (
	wrapping = "pyth-on/wrap/1"
	naming   = "pyth-on/root-key-id/1"
)

// idBytes is the size of a root key's ID in bytes. This size is enough to distinguish the
// root keys of one server.
const idBytes = 8

// rootKey contains a root key, its ID and its wrapping key. The wrapping key encrypts
// other keys.
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

// keyring is a list of root keys. The newest key is the first.
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

// canUnwrap reports whether the keyring may contain the root key that encrypted the given
// key. An older version of the server did not store the ID of the root key. For a key
// without this ID, canUnwrap always returns true.
func (r keyring) canUnwrap(wrapped pyth.WrappedKey) bool {
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
