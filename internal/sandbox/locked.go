package sandbox

import (
	"context"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// publicKeyBytes is the size of a public key of X25519 (RFC 7748).
const publicKeyBytes = 32

// decryptionError is what a run ends with whose program the password does not
// open. Which of the reasons it is cannot be told: that is how the cipher works.
const decryptionError = "The program could not be decrypted: the password is wrong, or it is not the program that was encrypted under this name and in this language."

// Key has the guest make a key pair for the password of the next job, and
// returns its public key. The sandbox must have run nothing.
func (s *Sandbox) Key(ctx context.Context) (public []byte, err error) {
	err = s.operate(ctx, protocol.KindKey, "", func() error {
		var kind protocol.Kind
		if kind, public, err = s.receive(); err != nil {
			return err
		}
		if kind != protocol.KindKey || len(public) != publicKeyBytes {
			return errGuest
		}
		return s.socket.SetDeadline(time.Time{})
	})
	return public, err
}

// program are the frames of the job's program.
func program(job *pyth.Job) ([]protocol.Frame, error) {
	l := job.Encrypted
	if l == nil {
		return []protocol.Frame{{Kind: protocol.KindCode, Payload: job.Code}}, nil
	}
	c := l.Code
	header := protocol.Locked{
		Language:    string(c.Language),
		Salt:        c.KDF.Salt,
		Time:        uint32(c.KDF.Time),
		MemoryKiB:   uint32(c.KDF.MemoryKiB),
		Parallelism: uint8(c.KDF.Parallelism),
		Nonce:       c.Nonce,
		Sandbox:     string(l.Sandbox),
	}
	if c.Name != "" {
		// The name that it is to run under has to be the one that it was bound to.
		header.Name = l.Name
	}
	payload, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	opens := protocol.Frame{Kind: protocol.KindPassword, Payload: l.Password}
	if l.Sandbox != "" {
		opens = protocol.Frame{Kind: protocol.KindSealed, Payload: l.Sealed}
	}
	return []protocol.Frame{
		{Kind: protocol.KindLocked, Payload: payload}, {Kind: protocol.KindCipher, Payload: c.Ciphertext}, opens,
	}, nil
}

// forget wipes what must not be remembered of a job that has been handed over.
func forget(job *pyth.Job) {
	if job.Encrypted != nil {
		clear(job.Encrypted.Password)
	}
}
