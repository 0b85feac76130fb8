package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// SettingKeeper is a KeyKeeper whose root keys the operator keeps and gives to
// each process.
type SettingKeeper struct{ ring keyring }

var _ Rotator = (*SettingKeeper)(nil)

// NewSettingKeeper takes root keys of 32 bytes in base64 (RFC 4648, section 4),
// with commas between them, the newest first. Its errors hold none of them.
func NewSettingKeeper(setting []byte) (*SettingKeeper, error) {
	var keys [][]byte
	for part := range strings.SplitSeq(string(setting), ",") {
		key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(part))
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("vault: root key %d is not 32 bytes in base64; make one with `head -c 32 /dev/urandom | base64`", len(keys)+1)
		}
		keys = append(keys, key)
	}
	ring, err := newKeyring(keys)
	return &SettingKeeper{ring}, err
}

// Wrap encrypts the key.
func (k *SettingKeeper) Wrap(_ context.Context, key, associated []byte) (pyth.WrappedKey, error) {
	return k.ring.wrap(key, associated)
}

// Unwrap decrypts the key.
func (k *SettingKeeper) Unwrap(_ context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error) {
	return k.ring.unwrap(wrapped, associated)
}

// Begin takes the first key for the new one.
func (k *SettingKeeper) Begin(context.Context) (newest string, others []string, err error) {
	if len(k.ring) < 2 {
		return "", nil, errors.New("there is one root key only: put the new one in front of it, with a comma between them, for the server as well, and try again")
	}
	return k.ring[0].id, k.ring[1:].names(), nil
}

// Finish leaves it to the operator to take the other keys out of the setting.
func (*SettingKeeper) Finish(context.Context) error { return nil }
