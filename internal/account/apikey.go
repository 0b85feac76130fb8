package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// An API key consists of pyapi_, 32 random base62 characters (190 bits) and a
// checksum. The checksum is the CRC-32 (IEEE 802.3) of the preceding characters, in 6
// base62 characters.
const (
	keyRandom   = 32
	keyChecksum = 6
	keyLength   = len(pyth.APIKeyPrefix) + keyRandom + keyChecksum
	// keyShown is the length of the visible prefix of a key. Users recognize a key
	// by this prefix.
	keyShown = len(pyth.APIKeyPrefix) + 4

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// A key for clients of E2B consists of e2b_, 32 random hexadecimal digits (128 bits)
// and a checksum. The checksum is the CRC-32 of the preceding characters, in 8
// hexadecimal digits.
const (
	e2bRandom = 32
	e2bLength = len(pyth.E2BKeyPrefix) + e2bRandom + 8
	e2bShown  = len(pyth.E2BKeyPrefix) + 4
)

// newKeyOf returns a new key in the given format. It also returns the length of the
// visible prefix of the key.
func newKeyOf(f pyth.KeyFormat) (key string, shown int, err error) {
	if f == pyth.KeyFormatE2B {
		key, err = newE2BKey()
		return key, e2bShown, err
	}
	key, err = newKey()
	return key, keyShown, err
}

func newE2BKey() (string, error) {
	var random [e2bRandom / 2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	key := pyth.E2BKeyPrefix + hex.EncodeToString(random[:])
	return key + e2bChecksum(key), nil
}

func e2bChecksum(s string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

func newKey() (string, error) {
	b := append(make([]byte, 0, keyLength), pyth.APIKeyPrefix...)
	var random [1]byte
	for len(b) < keyLength-keyChecksum {
		if _, err := rand.Read(random[:]); err != nil {
			return "", err
		}
		// Skip the byte values 248 to 255, because 256 is not a multiple of 62 but 248
		// is. Otherwise the first eight characters would be more likely than the others.
		if random[0] < 248 {
			b = append(b, base62[random[0]%62])
		}
	}
	return string(b) + checksum(string(b)), nil
}

// wellFormedKey reports whether the key has one of the two formats and a correct
// checksum.
func wellFormedKey(key string) bool {
	if strings.HasPrefix(key, pyth.E2BKeyPrefix) {
		return len(key) == e2bLength && e2bChecksum(key[:e2bLength-8]) == key[e2bLength-8:]
	}
	if len(key) != keyLength || !strings.HasPrefix(key, pyth.APIKeyPrefix) {
		return false
	}
	for _, c := range key[len(pyth.APIKeyPrefix):] {
		if !strings.ContainsRune(base62, c) {
			return false
		}
	}
	return checksum(key[:keyLength-keyChecksum]) == key[keyLength-keyChecksum:]
}

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	var b [keyChecksum]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = base62[sum%62]
		sum /= 62
	}
	return string(b[:])
}

// hashOf returns the hash under which an API key or a refresh token is stored. The hash
// needs no salt, because these credentials are random and too long to guess.
func hashOf(credential string) [32]byte { return sha256.Sum256([]byte(credential)) }
