package packages

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
)

var errHash = errors.New("packages: what was fetched is not what was locked: its hash differs")

// sri is a hash as Subresource Integrity writes it.
func sri(algorithm string, sum []byte) string {
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum)
}

// sriOfHex is one that an index tells in hexadecimal; "" if it is none.
func sriOfHex(algorithm, digits string) string {
	sum, err := hex.DecodeString(digits)
	h := sri(algorithm, sum)
	if _, known := hashOf(h); err != nil || !known {
		return ""
	}
	return h
}

// hashOf makes what computes a hash of the same kind; false if it is not known,
// or of no use.
func hashOf(s string) (hash.Hash, bool) {
	algorithm, encoded, _ := strings.Cut(s, "-")
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

// strongest is the best of the hashes of an integrity attribute, "" for none.
func strongest(integrity string) string {
	best := ""
	for field := range strings.FieldsSeq(integrity) {
		field, _, _ = strings.Cut(field, "?")
		// Their names are in the order of their strength.
		if _, ok := hashOf(field); ok && (best == "" || field[:len("sha256")] > best[:len("sha256")]) {
			best = field
		}
	}
	return best
}

// fileName is the name of what is kept under a hash, or made of several.
func fileName(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // Never fails.
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}
