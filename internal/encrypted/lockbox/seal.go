package lockbox

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
)

// sealInfo is the parameter "info" of HPKE for passwords. Unseal cannot decrypt a
// ciphertext that was encrypted with a different parameter "info".
const sealInfo = "pyth-on/zk/sealed/1"

// Key is the key pair of a sandbox for sealed passwords. It uses HPKE (RFC 9180) in base
// mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305.
type Key struct{ private hpke.PrivateKey }

// encapsulatedBytes is the size of the encapsulated key. This key is an X25519 public
// key. A sealed password begins with this key.
const encapsulatedBytes = 32

// NewKey creates a random key pair.
func NewKey() (*Key, error) {
	private, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, err
	}
	return &Key{private}, nil
}

// ParseKey returns the key pair for a private key that Key.Private returned.
func ParseKey(private []byte) (*Key, error) {
	k, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	return &Key{k}, nil
}

// Public returns the public key. It has 32 bytes.
func (k *Key) Public() []byte { return k.private.PublicKey().Bytes() }

// Private returns the private key. It has 32 bytes.
func (k *Key) Private() ([]byte, error) { return k.private.Bytes() }

// Unseal decrypts a password that was sealed for the sandbox.
func (k *Key) Unseal(sealed []byte, sandbox string) ([]byte, error) {
	if len(sealed) < encapsulatedBytes {
		return nil, ErrDecryption
	}
	r, err := k.recipient(sealed[:encapsulatedBytes], []byte(sealInfo))
	if err != nil {
		return nil, ErrDecryption
	}
	password, err := r.Open([]byte(sandbox), sealed[encapsulatedBytes:])
	if err != nil {
		return nil, ErrDecryption
	}
	return password, nil
}

func (k *Key) recipient(encapsulated, info []byte) (*hpke.Recipient, error) {
	return hpke.NewRecipient(encapsulated, k.private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
}

// SealPassword encrypts the password with the public key of the sandbox. It returns
// the encapsulated key (32 bytes) followed by the ciphertext.
func SealPassword(public, password []byte, sandbox string) ([]byte, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(public)
	if err != nil {
		return nil, errors.New("lockbox: invalid public key")
	}
	encapsulated, s, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(sealInfo))
	if err != nil {
		return nil, err
	}
	sealed, err := s.Seal([]byte(sandbox), password)
	if err != nil {
		return nil, err
	}
	return append(encapsulated, sealed...), nil
}
