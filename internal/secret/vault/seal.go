package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"strconv"

	pyth "github.com/pyth-on/pyth-on"
)

// keyBytes is the size of each key in bytes (AES-256).
const keyBytes = 32

// format is the first byte of a sealed value. It means AES-256-GCM with a random nonce of
// 96 bits before the ciphertext. NIST SP 800-38D allows 2^32 random nonces for each key.
// A key of this server encrypts far fewer values.
const format = 1

// ErrDamaged means that a sealed value cannot be decrypted. The value was changed, or it
// was encrypted with another label.
var ErrDamaged = errors.New("vault: the value was changed or sealed under another label")

func seal(key, plaintext, associated []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, plaintext, associated), nil
}

func sealWith(aead cipher.AEAD, plaintext, associated []byte) []byte {
	return aead.Seal([]byte{format}, nil, plaintext, associated)
}

func open(key, sealed, associated []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return openWith(aead, sealed, associated)
}

func openWith(aead cipher.AEAD, sealed, associated []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != format {
		return nil, ErrDamaged
	}
	plaintext, err := aead.Open(nil, nil, sealed[1:], associated)
	if err != nil {
		return nil, ErrDamaged
	}
	return plaintext, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (l Label) associatedData(user pyth.UserID) []byte {
	return associated("value", string(user), l.Kind, l.Name, strconv.Itoa(l.Version))
}

func dataKeyLabel(user pyth.UserID, version int) []byte {
	return associated("data key", string(user), strconv.Itoa(version))
}

func serverKeyLabel(name string) []byte { return associated("server key", name) }

// The function "associated" joins its parameters to associated data. It writes the length
// of each part before the part. So different parts always give different results.
func associated(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
