package sandbox

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// publicKeyBytes is the size of an X25519 public key (RFC 7748).
const publicKeyBytes = 32

// decryptionError is the message for a program that could not be decrypted. The
// cipher does not reveal whether the password or the program is wrong.
const decryptionError = "The program could not be decrypted: the password is wrong, or another program was encrypted under this name and language. Check the password and the name."

// Key tells the guest to generate a key pair, and returns the public key. The client
// later seals the password of the next job with this key. The sandbox must be warm.
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

// programFrames returns the frames of the job's program, which may be encrypted.
func programFrames(job *pyth.Job) []protocol.Frame {
	e := job.Encrypted
	if e == nil {
		return []protocol.Frame{{Kind: protocol.KindCode, Payload: job.Code}}
	}
	c := e.Code
	header := &protocol.Encrypted{
		Language:    string(c.Language),
		Salt:        c.KDF.Salt,
		Time:        uint32(c.KDF.Time),
		MemoryKiB:   uint32(c.KDF.MemoryKiB),
		Parallelism: uint8(c.KDF.Parallelism),
		Nonce:       c.Nonce,
		Sandbox:     string(e.Sandbox),
	}
	if c.Name != "" {
		// The encryption authenticates the program's name. If the job has another name,
		// decryption must fail.
		header.Name = e.Name
	}
	password := protocol.Frame{Kind: protocol.KindPassword, Payload: e.Password}
	if e.Sandbox != "" {
		password = protocol.Frame{Kind: protocol.KindSealed, Payload: e.Sealed}
	}
	return []protocol.Frame{
		protocol.NewFrame(protocol.KindEncrypted, header), {Kind: protocol.KindCipher, Payload: c.Ciphertext}, password,
	}
}

// wipe clears the password of a job. The method sendStart calls it after it has sent the
// job.
func wipe(job *pyth.Job) {
	if job.Encrypted != nil {
		clear(job.Encrypted.Password)
	}
}
