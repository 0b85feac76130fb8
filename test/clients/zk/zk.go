// Package zk encrypts programs as docs/zero-knowledge.md describes.
package zk

import (
	"crypto/rand"
	"encoding/base64"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// These Argon2id parameters make the key derivation cheap. They are not secure, because
// this package is only for tests.
const (
	Time        = 1
	MemoryKiB   = 8192
	Parallelism = 1
)

// Encrypted is an encrypted program. All fields are encoded in standard base64.
type Encrypted struct{ Salt, Nonce, Ciphertext string }

// Encrypt encrypts a program. It does not bind the program to a name.
func Encrypt(code, password, language string) (Encrypted, error) {
	salt, nonce := make([]byte, 16), make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(salt) // This call never fails.
	_, _ = rand.Read(nonce)
	key := argon2.IDKey([]byte(password), salt, Time, MemoryKiB, Parallelism, chacha20poly1305.KeySize)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return Encrypted{}, err
	}
	encode := base64.StdEncoding.EncodeToString
	return Encrypted{
		Salt:       encode(salt),
		Nonce:      encode(nonce),
		Ciphertext: encode(aead.Seal(nil, nonce, []byte(code), []byte("pyth-on/zk/1/"+language))),
	}, nil
}
