// Package unlock decrypts one program in a separate process inside the sandbox. The
// separate process has two advantages. The agent can kill it during the key derivation.
// When the process ends, the memory of the key derivation is free immediately.
//
// The memory of the decrypting process holds the password, the key and the decrypted
// program. No other process in the sandbox can read this memory.
package unlock

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Name selects this package. If argv[0] is Name, the guest's executable runs the code of
// this package.
const Name = "pyth-on/unlock"

type request struct {
	program                               protocol.Encrypted
	ciphertext, password, sealed, private []byte
}

// Run receives an encrypted program. It answers with Code, or with Exit if
// decryption fails. Run returns an error if it could not try to decrypt the
// program.
func Run(socket io.ReadWriter) error {
	if err := harden(); err != nil {
		return err
	}
	// Disable the garbage collection. Key derivation allocates one large block, so a
	// collection would only cost time.
	debug.SetGCPercent(-1)
	return serve(protocol.NewConn(socket))
}

func serve(conn *protocol.Conn) error {
	r, err := receive(conn)
	if err != nil {
		return err
	}
	code, err := r.open()
	if errors.Is(err, lockbox.ErrDecryption) {
		return conn.Send(protocol.KindExit, nil)
	}
	if err != nil {
		return err
	}
	defer clear(code)
	return conn.Send(protocol.KindCode, code)
}

// harden prevents other processes from reading the memory of this process.
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

func receive(conn *protocol.Conn) (*request, error) {
	r := new(request)
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			return nil, err
		}
		switch kind {
		case protocol.KindEncrypted:
			err = protocol.Decode(payload, &r.program)
		case protocol.KindCipher:
			r.ciphertext = payload
		case protocol.KindPassword:
			r.password = payload
		case protocol.KindSealed:
			r.sealed = payload
		case protocol.KindPrivate:
			r.private = payload
		case protocol.KindStart:
			return r, nil
		default:
			err = fmt.Errorf("unlock: unexpected frame %q", kind)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (r *request) open() ([]byte, error) {
	if err := r.unseal(); err != nil {
		return nil, err
	}
	defer clear(r.password)
	l := r.program
	box := lockbox.Box{
		Language: l.Language,
		Name:     l.Name,
		KDF:      lockbox.KDF{Salt: l.Salt, Time: l.Time, MemoryKiB: l.MemoryKiB, Parallelism: l.Parallelism},
		Nonce:    l.Nonce,
	}
	return box.Open(r.ciphertext, r.password)
}

// The method "unseal" decrypts the password if it is sealed.
func (r *request) unseal() error {
	if r.sealed == nil {
		return nil
	}
	key, err := lockbox.ParseKey(r.private)
	if err != nil {
		return err
	}
	clear(r.private)
	r.password, err = key.Unseal(r.sealed, r.program.Sandbox)
	return err
}
