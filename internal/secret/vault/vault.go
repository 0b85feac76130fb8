// Package vault encrypts data that the server stores for users (envelope encryption).
// Each user has a data key. The data key encrypts the user's values. A root key encrypts
// the data keys.
//
// Decryption needs the same user, kind, name and version as encryption. AES-256-GCM
// authenticates these four fields as associated data (NIST SP 800-38D). Decryption also
// fails if the encrypted value was changed.
package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"

	pyth "github.com/pyth-on/pyth-on"
)

// Label identifies a value of a user. Each value of a user must have a different
// label.
type Label struct {
	Kind    string
	Name    string
	Version int
}

// firstVersion is the version of a user's first data key.
const firstVersion = 1

// Vault encrypts and decrypts values. It is safe for concurrent use.
type Vault struct {
	keeper KeyKeeper
	keys   pyth.KeyStore
}

// New returns a Vault. The parameter "keys" is the store of the data keys and server
// keys. The parameter "keeper" encrypts these keys.
func New(keeper KeyKeeper, keys pyth.KeyStore) *Vault {
	return &Vault{keeper: keeper, keys: keys}
}

// Keeper returns the keeper that encrypts the keys of the vault.
func (v *Vault) Keeper() KeyKeeper { return v.keeper }

// NewDataKey creates a data key for a new user and encrypts this key. The caller must
// store the encrypted key.
func (v *Vault) NewDataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	defer clear(key)
	wrapped, err := v.keeper.Wrap(ctx, key, dataKeyLabel(user, firstVersion))
	if err != nil {
		return nil, err
	}
	return &pyth.DataKey{UserID: user, Version: firstVersion, Wrapped: wrapped}, nil
}

// Seal encrypts a value with the user's stored data key.
func (v *Vault) Seal(ctx context.Context, user pyth.UserID, label Label, plaintext []byte) ([]byte, error) {
	key, err := v.keys.DataKey(ctx, user)
	if err != nil {
		return nil, err
	}
	return v.SealWith(ctx, key, label, plaintext)
}

// SealWith encrypts a value with the given data key. The data key does not have to be
// in the store.
func (v *Vault) SealWith(ctx context.Context, key *pyth.DataKey, label Label, plaintext []byte) ([]byte, error) {
	opened, err := v.unwrap(ctx, key)
	if err != nil {
		return nil, err
	}
	defer clear(opened)
	return seal(opened, plaintext, label.associatedData(key.UserID))
}

// Open decrypts a value of the user. It returns ErrDamaged if the value was changed or
// encrypted with another label.
func (v *Vault) Open(ctx context.Context, user pyth.UserID, label Label, sealed []byte) ([]byte, error) {
	o, err := v.Opener(ctx, user)
	if err != nil {
		return nil, err
	}
	return o.Open(label, sealed)
}

// Opener decrypts several values of one user. It decrypts the data key only once.
type Opener struct {
	user pyth.UserID
	aead cipher.AEAD
}

// Opener returns an Opener for the user.
func (v *Vault) Opener(ctx context.Context, user pyth.UserID) (*Opener, error) {
	key, err := v.keys.DataKey(ctx, user)
	if err != nil {
		return nil, err
	}
	opened, err := v.unwrap(ctx, key)
	if err != nil {
		return nil, err
	}
	defer clear(opened)
	aead, err := newAEAD(opened)
	if err != nil {
		return nil, err
	}
	return &Opener{user, aead}, nil
}

// Open decrypts a value in the same way as Vault.Open.
func (o *Opener) Open(label Label, sealed []byte) ([]byte, error) {
	return openWith(o.aead, sealed, label.associatedData(o.user))
}

// Sealer encrypts several values of one user. It decrypts the data key only once.
type Sealer struct {
	user pyth.UserID
	aead cipher.AEAD
}

// Sealer returns a Sealer for the user.
func (v *Vault) Sealer(ctx context.Context, user pyth.UserID) (*Sealer, error) {
	o, err := v.Opener(ctx, user)
	if err != nil {
		return nil, err
	}
	return &Sealer{user, o.aead}, nil
}

// Seal encrypts a value in the same way as Vault.Seal.
func (s *Sealer) Seal(label Label, plaintext []byte) []byte {
	return sealWith(s.aead, plaintext, label.associatedData(s.user))
}

// ServerKey returns the server's key with the given name. If there is no such key, it
// creates a random key of the given length in bytes.
func (v *Vault) ServerKey(ctx context.Context, name string, length int) ([]byte, error) {
	stored, err := v.keys.ServerKey(ctx, name)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		if err := v.createServerKey(ctx, name, length); err != nil && pyth.ErrorCode(err) != pyth.CodeConflict {
			return nil, err
		}
		// Another process may have created the key first. So return the key that is in
		// the store.
		stored, err = v.keys.ServerKey(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return v.keeper.Unwrap(ctx, stored.Wrapped, serverKeyLabel(name))
}

func (v *Vault) createServerKey(ctx context.Context, name string, length int) error {
	key := make([]byte, length)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	defer clear(key)
	wrapped, err := v.keeper.Wrap(ctx, key, serverKeyLabel(name))
	if err != nil {
		return err
	}
	return v.keys.CreateServerKey(ctx, &pyth.ServerKey{Name: name, Wrapped: wrapped})
}

// Empty reports whether the store contains no encrypted keys. The server may create
// a new root key only if the store is empty.
func Empty(ctx context.Context, keys pyth.KeyStore) (bool, error) {
	data, err := keys.DataKeys(ctx, "", 1)
	if err != nil {
		return false, err
	}
	server, err := keys.ServerKeys(ctx)
	return len(data)+len(server) == 0, err
}

// Check decrypts the server keys and one data key. It returns ErrDamaged if the keeper
// does not have the root key that encrypted these keys. It returns nil if the store is
// empty.
func (v *Vault) Check(ctx context.Context) error {
	server, err := v.keys.ServerKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range server {
		key, err := v.keeper.Unwrap(ctx, k.Wrapped, serverKeyLabel(k.Name))
		clear(key)
		if err != nil {
			return err
		}
	}
	data, err := v.keys.DataKeys(ctx, "", 1)
	if err != nil || len(data) == 0 {
		return err
	}
	key, err := v.unwrap(ctx, data[0])
	clear(key)
	return err
}

func (v *Vault) unwrap(ctx context.Context, key *pyth.DataKey) ([]byte, error) {
	return v.keeper.Unwrap(ctx, key.Wrapped, dataKeyLabel(key.UserID, key.Version))
}
