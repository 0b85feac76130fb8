package imagestore

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
)

// ErrHash reports that an archive does not match its pinned hash.
var ErrHash = errors.New("packages: the hash of the archive differs from the pinned one")

// SRI returns a hash in the format of Subresource Integrity. The format is the name of
// the algorithm, a hyphen and the hash in base64.
func SRI(algorithm string, sum []byte) string {
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
}

// SRIFromHex converts a hexadecimal hash to SRI. It returns "" if the hash is
// invalid or the algorithm is unknown.
func SRIFromHex(algorithm, digits string) string {
	sum, err := hex.DecodeString(digits)
	h := SRI(algorithm, sum)
	if _, known := newHash(h); err != nil || !known {
		return ""
	}
	return h
}

// Strongest returns the strongest hash in an integrity attribute. It returns "" if no
// hash has a known algorithm.
func Strongest(integrity string) string {
	best := ""
	for field := range strings.FieldsSeq(integrity) {
		field, _, _ = strings.Cut(field, "?")
		// The alphabetical order of the names sha256, sha384 and sha512 is also the order
		// of their strength.
		if _, ok := newHash(field); ok && (best == "" || field[:len("sha256")] > best[:len("sha256")]) {
			best = field
		}
	}
	return best
}

// HasHash reports whether the content has the given SRI hash.
func HasHash(content []byte, sri string) bool {
	h, ok := newHash(sri)
	if !ok {
		return false
	}
	_, _ = h.Write(content) // Never fails.
	algorithm, _, _ := strings.Cut(sri, "-")
	return SRI(algorithm, h.Sum(nil)) == sri
}

// newHash returns a new hash.Hash for the algorithm of an SRI hash. It returns false
// if the algorithm is unknown or weak, or if the SRI hash has the wrong length.
func newHash(sri string) (hash.Hash, bool) {
	algorithm, encoded, _ := strings.Cut(sri, "-")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	var h hash.Hash
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "sha384":
		h = sha512.New384()
	case "sha512":
		h = sha512.New()
	default:
		return nil, false
	}
	return h, err == nil && len(sum) == h.Size()
}

// fileName returns a file name that is a hash of all parts.
func fileName(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // Never fails.
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}
