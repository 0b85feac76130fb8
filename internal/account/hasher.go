package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"time"

	"golang.org/x/sync/semaphore"

	pyth "github.com/pyth-on/pyth-on"
)

// current contains the parameters of Argon2id (RFC 9106) for new hashes. OWASP's Password
// Storage Cheat Sheet recommends these values for servers with limited memory. One hash
// needs little memory, so many users can log in at the same time.
var current = parameters{memoryKiB: 19 * 1024, time: 2, parallelism: 1}

// maxHashWait is the maximum time that a password waits until the hasher can hash it.
const maxHashWait = 10 * time.Second

// hasher hashes passwords. It limits the number of concurrent hashes, because each
// hash needs 19 MiB of memory.
type hasher struct {
	turns  *semaphore.Weighted
	derive deriveFunc
}

// deriveFunc computes Argon2id. Most tests use a cheaper function.
type deriveFunc func(password, salt []byte, time, memoryKiB uint32, parallelism uint8, size uint32) []byte

func newHasher(concurrent int, derive deriveFunc) *hasher {
	return &hasher{turns: semaphore.NewWeighted(int64(concurrent)), derive: derive}
}

// hash returns a hash of the password in PHC string format.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := phc{parameters: current, salt: make([]byte, saltBytes)}
	if _, err := rand.Read(p.salt); err != nil {
		return "", err
	}
	if err := h.compute(ctx, &p, password, hashBytes); err != nil {
		return "", err
	}
	return p.String(), nil
}

// verify reports whether the password matches the hash. The result "stale" is true if the
// parameters of the hash differ from the current parameters.
func (h *hasher) verify(ctx context.Context, encoded, password string) (ok, stale bool, err error) {
	want, err := parsePHC(encoded)
	if err != nil {
		return false, false, err
	}
	got := phc{parameters: want.parameters, salt: want.salt}
	if err := h.compute(ctx, &got, password, len(want.hash)); err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got.hash, want.hash) == 1, want.parameters != current || len(want.hash) != hashBytes, nil
}

// compute hashes the password with the parameters and the salt in p, and stores the hash
// in p. The parameter "size" is the length of the hash in bytes. While too many other
// passwords are being hashed, compute waits. After maxHashWait, compute fails with
// CodeOverloaded.
func (h *hasher) compute(ctx context.Context, p *phc, password string, size int) error {
	waiting, cancel := context.WithTimeout(ctx, maxHashWait)
	defer cancel()
	if err := h.turns.Acquire(waiting, 1); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "Too many users are logging in at the same time. Try again in a few seconds.",
			RetryAfter: time.Second,
		}
	}
	defer h.turns.Release(1)
	p.hash = h.derive([]byte(password), p.salt, p.time, p.memoryKiB, p.parallelism, uint32(size))
	return nil
}
