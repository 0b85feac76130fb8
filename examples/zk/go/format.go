package main

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// payload is an encrypted program in the JSON format of the API.
type payload struct {
	Version    int    `json:"version"`
	Language   string `json:"language"`
	Name       string `json:"name,omitempty"`
	KDF        kdf    `json:"kdf"`
	Cipher     cipher `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

type kdf struct {
	Name string `json:"name"`
	Salt []byte `json:"salt"`
	cost
}

// cost contains the Argon2id parameters for the derivation of a key.
type cost struct {
	Time        uint32 `json:"time"`
	MemoryKiB   uint32 `json:"memoryKiB"`
	Parallelism uint8  `json:"parallelism"`
}

type cipher struct {
	Name  string `json:"name"`
	Nonce []byte `json:"nonce"`
}

// encrypt encrypts a program. The server stores and runs the program only under the
// given name. If name is "", the server accepts any name.
func encrypt(code, password []byte, language, name string, c cost) (*payload, error) {
	salt, nonce := make([]byte, 16), make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(salt) // rand.Read never fails.
	_, _ = rand.Read(nonce)
	return encryptWith(code, password, language, name, c, salt, nonce)
}

func encryptWith(code, password []byte, language, name string, c cost, salt, nonce []byte) (*payload, error) {
	key := argon2.IDKey(password, salt, c.Time, c.MemoryKiB, c.Parallelism, chacha20poly1305.KeySize)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	data := "pyth-on/zk/1/" + language
	if name != "" {
		data += "/" + name
	}
	return &payload{
		Version:    1,
		Language:   language,
		Name:       name,
		KDF:        kdf{"argon2id", salt, c},
		Cipher:     cipher{"xchacha20-poly1305", nonce},
		Ciphertext: aead.Seal(nil, nonce, code, []byte(data)),
	}, nil
}

// seal encrypts a password with the public key of a reserved sandbox.
func seal(password, publicKey []byte, sandboxID string) ([]byte, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	encapsulated, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte("pyth-on/zk/sealed/1"))
	if err != nil {
		return nil, err
	}
	sealed, err := sender.Seal([]byte(sandboxID), password)
	if err != nil {
		return nil, err
	}
	return append(encapsulated, sealed...), nil
}
