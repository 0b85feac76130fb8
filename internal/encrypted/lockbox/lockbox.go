// Package lockbox implements the format of encrypted programs. It derives a key from
// a password, encrypts and decrypts programs, and encrypts passwords for one
// sandbox. docs/zero-knowledge.md describes the format for authors of clients.
//
// The program pyth-on-guest in a sandbox decrypts programs with this package. The server
// uses the package to encrypt programs for clients that cannot encrypt.
package lockbox

import (
	"crypto/cipher"
	"errors"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// These constants are the sizes of the parts of an encrypted program, in bytes.
const (
	SaltBytes  = 16
	NonceBytes = chacha20poly1305.NonceSizeX
	// Overhead is the length of a ciphertext minus the length of its program.
	Overhead = chacha20poly1305.Overhead

	keyBytes = chacha20poly1305.KeySize
)

// KDF holds the parameters of Argon2id, version 0x13 (RFC 9106).
type KDF struct {
	Salt        []byte `json:"salt"`
	Time        uint32 `json:"time"`
	MemoryKiB   uint32 `json:"memoryKiB"`
	Parallelism uint8  `json:"parallelism"`
}

// ErrDecryption reports that a program cannot be decrypted. Either the password is
// wrong, or somebody changed the ciphertext, the name or the language.
var ErrDecryption = errors.New("lockbox: wrong password, or changed program")

// Box holds the metadata of an encrypted program: everything except its ciphertext.
type Box struct {
	Language string `json:"language"`
	// Name is the only name under which the program can be stored. If Name is "", the
	// program can be stored under any name.
	Name  string `json:"name,omitempty"`
	KDF   KDF    `json:"kdf"`
	Nonce []byte `json:"nonce"`
}

// associatedData returns the data that the encryption authenticates together with the
// program. The data consists of the language and the name, separated by a slash. The
// separation is unique, because no language contains a slash.
func (b *Box) associatedData() []byte {
	ad := append([]byte("pyth-on/zk/1/"), b.Language...)
	if b.Name != "" {
		ad = append(append(ad, '/'), b.Name...)
	}
	return ad
}

// Seal encrypts the program and returns the ciphertext. It uses the bytes of the
// password unchanged, without Unicode normalization.
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

// Open decrypts a ciphertext and returns the program. It returns ErrDecryption if the
// password is wrong or somebody changed the data.
func (b *Box) Open(ciphertext, password []byte) ([]byte, error) {
	// Check the parameters first, because Argon2 panics if they are zero.
	if len(b.Nonce) != NonceBytes || len(ciphertext) < Overhead || b.KDF.Time == 0 || b.KDF.Parallelism == 0 {
		return nil, ErrDecryption
	}
	key := b.KDF.key(password)
	defer clear(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	code, err := aead.Open(nil, b.Nonce, ciphertext, b.associatedData())
	if err != nil {
		return nil, ErrDecryption
	}
	return code, nil
}

// newAEAD returns XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with the key.
func newAEAD(key []byte) (cipher.AEAD, error) { return chacha20poly1305.NewX(key) }

func (k *KDF) key(password []byte) []byte {
	return argon2.IDKey(password, k.Salt, k.Time, k.MemoryKiB, k.Parallelism, keyBytes)
}
