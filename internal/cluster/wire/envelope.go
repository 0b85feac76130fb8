// Package wire contains the messages between the processes of a cluster, and their
// encoding. A cluster consists of servers, which serve the API, and workers, which run
// programs.
//
// All messages pass through a NATS server, which other programs may also use. So each
// message is encrypted and authenticated with keys that are derived from the joining
// token. Decoders never panic. For invalid input they return an error. The size of the input
// limits the memory that a decoder uses.
package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
)

// Protocol is the version of the messages. Increase it if you change a message, or a
// type of package pyth in a message, in an incompatible way. Servers send no jobs to
// workers with another version.
const Protocol = 1

// ID is a random number that identifies a process of the cluster. A process has a new
// ID after each start.
type ID [16]byte

// Everyone is the recipient of messages to all processes.
var Everyone ID

// NewID returns a random ID.
func NewID() (id ID) {
	_, _ = rand.Read(id[:]) // Never fails.
	return id
}

// String returns the ID in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MinToken is the minimum length of a joining token in bytes.
const MinToken = 16

// ErrForeign means that the message is not for this process, or that its sender has a
// different joining token.
var ErrForeign = errors.New("wire: message without the joining token of this cluster")

// An envelope consists of a magic number, the sender, the recipient, a counter and the
// encrypted body. The header (the part before the body) is authenticated, but not
// encrypted. All versions of the protocol use the same format of envelopes.
const (
	magic      = "PYC1"
	headerSize = len(magic) + 16 + 16 + 8
	tagSize    = 16
	// Overhead is the number of bytes by which an envelope is larger than its body.
	Overhead = headerSize + tagSize
)

// maxKeys is the maximum number of cached keys.
const maxKeys = 10_000

// Keys encrypts the messages that one process sends, and decrypts the messages that the
// process receives. There is a separate key for each pair of a sender and a recipient.
// So an attacker cannot redirect a message to another process, or to a later process on
// the same machine. Keys is safe for concurrent use.
type Keys struct {
	self    ID
	token   []byte
	counter atomic.Uint64
	mu      sync.RWMutex
	pairs   map[[2]ID]cipher.AEAD
}

// NewKeys returns the keys of the process. The caller must not change the parameter
// "token" after the call.
func NewKeys(token []byte, self ID) (*Keys, error) {
	if len(token) < MinToken {
		return nil, errors.New("the joining token is too short")
	}
	return &Keys{self: self, token: token, pairs: map[[2]ID]cipher.AEAD{}}, nil
}

// Seal encrypts a body for the recipient.
func (k *Keys) Seal(to ID, body []byte) ([]byte, error) {
	aead, err := k.pair(k.self, to)
	if err != nil {
		return nil, err
	}
	b := make([]byte, headerSize, headerSize+len(body)+tagSize)
	copy(b, magic)
	copy(b[4:], k.self[:])
	copy(b[20:], to[:])
	binary.BigEndian.PutUint64(b[36:], k.counter.Add(1))
	return aead.Seal(b, nonce(b), body, b), nil
}

// Open decrypts a message to this process or to Everyone. The decrypted body overwrites
// the message in memory.
func (k *Keys) Open(message []byte) (from ID, body []byte, err error) {
	if len(message) < Overhead || string(message[:len(magic)]) != magic {
		return from, nil, ErrForeign
	}
	header, sealed := message[:headerSize], message[headerSize:]
	to := ID(header[20:36])
	from = ID(header[4:20])
	if to != k.self && to != Everyone {
		return from, nil, ErrForeign
	}
	aead, err := k.pair(from, to)
	if err != nil {
		return from, nil, err
	}
	body, err = aead.Open(sealed[:0], nonce(header), sealed, header)
	if err != nil {
		return from, nil, ErrForeign
	}
	k.remember(from, to, aead)
	return from, body, nil
}

// nonce returns the nonce for the counter in the header. A process uses each counter
// only once, so no two messages have the same nonce.
func nonce(header []byte) []byte {
	n := make([]byte, 12)
	copy(n[4:], header[36:headerSize])
	return n
}

func (k *Keys) pair(from, to ID) (cipher.AEAD, error) {
	k.mu.RLock()
	aead := k.pairs[[2]ID{from, to}]
	k.mu.RUnlock()
	if aead != nil {
		return aead, nil
	}
	key, err := hkdf.Key(sha256.New, k.token, append(from[:], to[:]...), "pyth-on/cluster/1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if aead, err = cipher.NewGCM(block); err == nil && from == k.self {
		k.remember(from, to, aead)
	}
	return aead, err
}

// remember caches the key for a sender and a recipient. For messages from other
// processes, it caches a key only after a valid message. So invalid messages cannot
// fill the cache.
func (k *Keys) remember(from, to ID, aead cipher.AEAD) {
	pair := [2]ID{from, to}
	k.mu.RLock()
	known := k.pairs[pair] != nil
	k.mu.RUnlock()
	if known {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pairs) >= maxKeys {
		clear(k.pairs)
	}
	k.pairs[pair] = aead
}
