// Package vault encrypts what the server keeps for its users (envelope
// encryption): each user has a data key, which the root key wraps, and which
// encrypts what is theirs.
//
// It promises that a sealed value opens only for the user, kind, name and
// version that it was sealed for, and that any changed byte is noticed. All of
// these are associated data of AES-256-GCM (NIST SP 800-38D).
package vault

import (
	"context"
	"crypto/cipher"
	"crypto/rand"

	pyth "github.com/pyth-on/pyth-on"
)

// Label says what a value is. Two values of a user never share a label.
type Label struct {
	Kind    string
	Name    string
	Version int
}

// firstVersion is that of a user's first data key.
const firstVersion = 1

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	keeper KeyKeeper
	keys   pyth.KeyStore
}

// New makes a Vault whose data keys are in the store, wrapped by the keeper.
func New(keeper KeyKeeper, keys pyth.KeyStore) *Vault {
	return &Vault{keeper: keeper, keys: keys}
}

// NewDataKey makes a data key for a user who has none. The caller stores it.
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

// Seal encrypts a value of the user.
func (v *Vault) Seal(ctx context.Context, user pyth.UserID, label Label, plaintext []byte) ([]byte, error) {
	key, err := v.keys.DataKey(ctx, user)
	if err != nil {
		return nil, err
	}
	return v.SealWith(ctx, key, label, plaintext)
}

// SealWith encrypts under a data key that may not be stored yet.
func (v *Vault) SealWith(ctx context.Context, key *pyth.DataKey, label Label, plaintext []byte) ([]byte, error) {
	opened, err := v.unwrap(ctx, key)
	if err != nil {
		return nil, err
	}
	defer clear(opened)
	return seal(opened, plaintext, label.of(key.UserID))
}

// Open decrypts a value of the user. It fails with ErrDamaged if the value was
// changed, or was sealed for something else.
func (v *Vault) Open(ctx context.Context, user pyth.UserID, label Label, sealed []byte) ([]byte, error) {
	o, err := v.Opener(ctx, user)
	if err != nil {
		return nil, err
	}
	return o.Open(label, sealed)
}

// Opener opens values of one user, with the user's key at hand.
type Opener struct {
	user pyth.UserID
	aead cipher.AEAD
}

// Opener fetches the user's key.
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

// Open is as Vault's.
func (o *Opener) Open(label Label, sealed []byte) ([]byte, error) {
	return openWith(o.aead, sealed, label.of(o.user))
}

// ServerKey is the server's own key of the name, of so many bytes. The first
// call makes it.
func (v *Vault) ServerKey(ctx context.Context, name string, length int) ([]byte, error) {
	stored, err := v.keys.ServerKey(ctx, name)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		if err := v.makeServerKey(ctx, name, length); err != nil && pyth.ErrorCode(err) != pyth.CodeConflict {
			return nil, err
		}
		// Another may have been first.
		stored, err = v.keys.ServerKey(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return v.keeper.Unwrap(ctx, stored.Wrapped, serverKeyLabel(name))
}

func (v *Vault) makeServerKey(ctx context.Context, name string, length int) error {
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

// Empty is whether there is nothing that a root key is needed for.
func Empty(ctx context.Context, keys pyth.KeyStore) (bool, error) {
	data, err := keys.DataKeys(ctx, "", 1)
	if err != nil {
		return false, err
	}
	server, err := keys.ServerKeys(ctx)
	return len(data)+len(server) == 0, err
}

// Check fails with ErrDamaged if the keeper lacks the root key that wrapped the
// keys in the store. Where there are none any root key is good.
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
