package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// SettingKeeper is a KeyKeeper that gets its root keys from a setting. The operator
// stores the keys and passes them to each process.
type SettingKeeper struct{ ring keyring }

var _ Rotator = (*SettingKeeper)(nil)

// NewSettingKeeper parses the setting. The setting contains root keys of 32 bytes in
// base64 (RFC 4648, section 4), separated by commas. The newest key is the first. The
// errors contain no key.
func NewSettingKeeper(setting []byte) (*SettingKeeper, error) {
	var keys [][]byte
	for part := range strings.SplitSeq(string(setting), ",") {
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(part))
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("vault: root key %d is not 32 bytes in base64; create one with `head -c 32 /dev/urandom | base64`", len(keys)+1)
		}
		keys = append(keys, key)
	}
	ring, err := newKeyring(keys)
	return &SettingKeeper{ring}, err
}

// Wrap encrypts a key with the first root key.
func (k *SettingKeeper) Wrap(_ context.Context, key, associated []byte) (pyth.WrappedKey, error) {
	return k.ring.wrap(key, associated)
}

// Unwrap decrypts a key with the root key that encrypted it.
func (k *SettingKeeper) Unwrap(_ context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error) {
	return k.ring.unwrap(wrapped, associated)
}

// Begin returns the IDs of the root keys in the setting. The first key is the new root
// key. Begin returns an error if the setting has only one key.
func (k *SettingKeeper) Begin(context.Context) (newest string, others []string, err error) {
	if len(k.ring) < 2 {
		return "", nil, errors.New("the setting has only one root key; put the new key and a comma before the old key, in the setting of this command and of the server, and try again")
	}
	return k.ring[0].id, k.ring[1:].names(), nil
}

// Finish does nothing. The operator must remove the old keys from the setting.
func (*SettingKeeper) Finish(context.Context) error { return nil }
