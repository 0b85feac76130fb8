package encrypted

import (
	"context"
	"crypto/rand"
	"time"

	"golang.org/x/sync/semaphore"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

// These constants are the parameters of Argon2id for programs that the server encrypts.
// They are the second recommended option of RFC 9106, section 4.
const (
	kdfTime        = 3
	kdfMemoryKiB   = 64 << 10
	kdfParallelism = 4
)

// maxEncryptWait is the maximum time that Encrypt waits while too many other encryptions
// are running.
const maxEncryptWait = 10 * time.Second

// encrypter encrypts programs for clients. It limits the number of concurrent
// encryptions.
type encrypter struct {
	turns *semaphore.Weighted
	seal  func(b *lockbox.Box, code, password []byte) ([]byte, error)
}

func newEncrypter(concurrent int) encrypter {
	return encrypter{turns: semaphore.NewWeighted(int64(concurrent)), seal: (*lockbox.Box).Seal}
}

// Encrypt encrypts the program with the password and then clears the password. It
// returns CodeOverloaded if too many encryptions are running.
func (e *encrypter) Encrypt(ctx context.Context, language pyth.Language, code, password []byte) (*pyth.EncryptedProgram, error) {
	defer clear(password)
	if err := checkProgram(language, code, password); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, maxEncryptWait)
	defer cancel()
	if err := e.turns.Acquire(waiting, 1); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "Too many programs are being encrypted at the same time. Try again in a few seconds, or encrypt the program in the client.",
			RetryAfter: time.Second,
		}
	}
	defer e.turns.Release(1)
	box := lockbox.Box{
		Language: string(language),
		KDF:      lockbox.KDF{Salt: make([]byte, lockbox.SaltBytes), Time: kdfTime, MemoryKiB: kdfMemoryKiB, Parallelism: kdfParallelism},
		Nonce:    make([]byte, lockbox.NonceBytes),
	}
	for _, b := range [][]byte{box.KDF.Salt, box.Nonce} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	ciphertext, err := e.seal(&box, code, password)
	if err != nil {
		return nil, err
	}
	return &pyth.EncryptedProgram{
		Language:   language,
		KDF:        pyth.KDF{Salt: box.KDF.Salt, Time: kdfTime, MemoryKiB: kdfMemoryKiB, Parallelism: kdfParallelism},
		Nonce:      box.Nonce,
		Ciphertext: ciphertext,
	}, nil
}
