package e2b

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// grant gives the holder of an API key access to one sandbox. Requests with a token of
// the grant have the rights of the key, so they fail when the key is revoked. The server
// keeps the key only in memory, and only until the sandbox ends.
type grant struct {
	key string
	// The token "envd" is for all protocols of the sandbox. The token "traffic" is only
	// for the interpreter.
	envd, traffic string
}

// tokenBytes is the number of random bytes of a token.
const tokenBytes = 32

func newGrant(key string) (*grant, error) {
	var random [2 * tokenBytes]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	return &grant{key: key, envd: hex.EncodeToString(random[:tokenBytes]), traffic: hex.EncodeToString(random[tokenBytes:])}, nil
}

// equal compares two secrets. Its duration depends only on their lengths.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Operations of signatures.
const (
	operationRead  = "read"
	operationWrite = "write"
)

// signed is a request for a file that has a signature instead of a token. The fields
// contain exactly the texts of the query, because the signature covers these texts.
type signed struct {
	operation, path, user string
	signature, expiration string
}

const (
	// signaturePrefix is the version at the beginning of each signature.
	signaturePrefix = "v1_"
	// maxExpiration is the maximum length of a 64-bit number with a sign.
	maxExpiration = 20
)

// plausible reports whether the signature can come from a grant. It checks only the
// request and no grant. It limits the length of the text that the method "matches" hashes
// for each grant.
func (q *signed) plausible() bool {
	return len(q.signature) == len(signaturePrefix)+base64.RawStdEncoding.EncodedLen(sha256.Size) &&
		strings.HasPrefix(q.signature, signaturePrefix) &&
		len(q.path) <= maxPath && len(q.user) <= maxUser && len(q.expiration) <= maxExpiration
}

// expired reports whether the signature has expired. A signature without expiration is
// valid as long as the sandbox exists.
func (q *signed) expired(now time.Time) bool {
	if q.expiration == "" {
		return false
	}
	at, err := strconv.ParseInt(q.expiration, 10, 64)
	return err != nil || now.Unix() >= at
}

// matches reports whether the signature was made with the token of the grant.
func (q *signed) matches(g *grant) bool {
	parts := []string{q.path, q.operation, q.user, g.envd}
	if q.expiration != "" {
		parts = append(parts, q.expiration)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
	return equal(q.signature, signaturePrefix+base64.RawStdEncoding.EncodeToString(sum[:]))
}
