package wire

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// sealInfo is the parameter "info" of HPKE (RFC 9180).
const sealInfo = "pyth-on/cluster/secrets/1"

// encapsulatedBytes is the size of the encapsulated key at the beginning of a sealed
// value.
const encapsulatedBytes = 32

var errSealed = errors.New("wire: the secrets are not encrypted for this worker and run")

// Seal encrypts data for the worker that has the public key (RFC 9180). Only this
// worker can decrypt the data, and only for the same run.
func Seal(public, data []byte, server, worker ID, run pyth.ExecutionID) ([]byte, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("wire: public key of the worker: %w", err)
	}
	encapsulated, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(sealInfo))
	if err != nil {
		return nil, err
	}
	sealed, err := sender.Seal(associated(server, worker, run), data)
	return append(encapsulated, sealed...), err
}

func associated(server, worker ID, run pyth.ExecutionID) []byte {
	return append(append(server[:], worker[:]...), run...)
}

// SealingKey is the key pair of a worker.
type SealingKey struct{ private hpke.PrivateKey }

// NewSealingKey returns a random key pair.
func NewSealingKey() (*SealingKey, error) {
	private, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, err
	}
	return &SealingKey{private}, nil
}

// Public returns the public key.
func (k *SealingKey) Public() []byte { return k.private.PublicKey().Bytes() }

// Open decrypts data that Seal has encrypted.
func (k *SealingKey) Open(sealed []byte, server, worker ID, run pyth.ExecutionID) ([]byte, error) {
	if len(sealed) < encapsulatedBytes {
		return nil, errSealed
	}
	recipient, err := hpke.NewRecipient(sealed[:encapsulatedBytes], k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(sealInfo))
	if err != nil {
		return nil, errSealed
	}
	data, err := recipient.Open(associated(server, worker, run), sealed[encapsulatedBytes:])
	if err != nil {
		return nil, errSealed
	}
	return data, nil
}

// EncodeSecrets encodes secrets for Seal. The caller must clear the result.
func EncodeSecrets(secrets []pyth.SecretValue) []byte {
	size := 0
	for _, s := range secrets {
		size += 8 + len(s.Name) + len(s.Value)
	}
	b := make([]byte, 0, size)
	for _, s := range secrets {
		b = appendBlob(appendBlob(b, []byte(s.Name)), s.Value)
	}
	return b
}

// DecodeSecrets decodes secrets. The values in the result share the memory of b.
func DecodeSecrets(b []byte) ([]pyth.SecretValue, error) {
	var parts [][]byte
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, ErrInvalid
		}
		size := uint64(binary.BigEndian.Uint32(b))
		if b = b[4:]; size > uint64(len(b)) {
			return nil, ErrInvalid
		}
		parts = append(parts, b[:size:size])
		b = b[size:]
	}
	if len(parts)%2 != 0 {
		return nil, ErrInvalid
	}
	var secrets []pyth.SecretValue
	for i := 0; i < len(parts); i += 2 {
		name := string(parts[i])
		if !pyth.ValidVariable(name) {
			return nil, ErrInvalid
		}
		secrets = append(secrets, pyth.SecretValue{Name: name, Value: parts[i+1]})
	}
	return secrets, nil
}
