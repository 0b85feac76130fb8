// Package lockbox is the form in which programs are encrypted: how a key is
// made of a password, how it opens a program, and how a password is sealed for
// one sandbox. docs/zero-knowledge.md describes it for those who write clients.
//
// It is shared by the server, which encrypts for who wants to try, and the
// guest, which decrypts. It knows nothing of either.
package lockbox

import (
	"crypto/cipher"
	"errors"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes in bytes.
const (
	SaltBytes  = 16
	NonceBytes = chacha20poly1305.NonceSizeX
	// Overhead is by how much a ciphertext is longer than the program.
	Overhead = chacha20poly1305.Overhead

	keyBytes = chacha20poly1305.KeySize
)

// KDF are the parameters of Argon2id, version 0x13 (RFC 9106).
type KDF struct {
	Salt        []byte `json:"salt"`
	Time        uint32 `json:"time"`
	MemoryKiB   uint32 `json:"memoryKiB"`
	Parallelism uint8  `json:"parallelism"`
}

// ErrLocked is a program that the password does not open: it is not the
// password, or something of the program, its name or its language was changed.
var ErrLocked = errors.New("lockbox: it does not open")

// Box is an encrypted program, but for its ciphertext.
type Box struct {
	Language string `json:"language"`
	// Name is the one that the program is bound to; "" for none.
	Name  string `json:"name,omitempty"`
	KDF   KDF    `json:"kdf"`
	Nonce []byte `json:"nonce"`
}

// associatedData is what the ciphertext is tied to. No language has a slash in
// its name, so that no two are the same.
func (b *Box) associatedData() []byte {
	ad := append([]byte("pyth-on/zk/1/"), b.Language...)
	if b.Name != "" {
		ad = append(append(ad, '/'), b.Name...)
	}
	return ad
}

// Seal encrypts the program. It uses the bytes of the password as they are.
func (b *Box) Seal(code, password []byte) ([]byte, error) {
	if len(b.Nonce) != NonceBytes {
		return nil, errors.New("lockbox: the nonce has the wrong size")
	}
	key := b.KDF.key(password)
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, b.Nonce, code, b.associatedData()), nil
}

// Open decrypts the program; ErrLocked if it cannot.
func (b *Box) Open(ciphertext, password []byte) ([]byte, error) {
	// What Argon2 would panic at is no box.
	if len(b.Nonce) != NonceBytes || len(ciphertext) < Overhead || b.KDF.Time == 0 || b.KDF.Parallelism == 0 {
		return nil, ErrLocked
	}
	key := b.KDF.key(password)
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	code, err := aead.Open(nil, b.Nonce, ciphertext, b.associatedData())
	if err != nil {
		return nil, ErrLocked
	}
	return code, nil
}

// newAEAD is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
func newAEAD(key []byte) (cipher.AEAD, error) { return chacha20poly1305.NewX(key) }

func (k *KDF) key(password []byte) []byte {
	return argon2.IDKey(password, k.Salt, k.Time, k.MemoryKiB, k.Parallelism, keyBytes)
}
