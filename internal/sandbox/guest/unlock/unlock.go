// Package unlock decrypts one program, in a process of its own inside the
// sandbox, so that the memory that a key takes is given back at once and its
// derivation can be killed.
//
// It promises that password, key and program are in this process's memory
// only, which no other process can read, until the program is handed back.
package unlock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Name is what the guest's executable is called when it is to do this.
const Name = "pyth-on/unlock"

// request is what is to be decrypted.
type request struct {
	locked                                protocol.Locked
	ciphertext, password, sealed, private []byte
}

// Run takes a program in and answers with Code, or with Exit if it cannot be
// decrypted. An error means that it could not be tried.
func Run(socket io.ReadWriter) error {
	if err := harden(); err != nil {
		return err
	}
	// The key takes one large piece of memory, which is not worth looking at.
	debug.SetGCPercent(-1)
	return serve(protocol.NewConn(socket))
}

func serve(conn *protocol.Conn) error {
	r, err := receive(conn)
	if err != nil {
		return err
	}
	code, err := r.open()
	if errors.Is(err, lockbox.ErrLocked) {
		return conn.Send(protocol.KindExit, nil)
	}
	if err != nil {
		return err
	}
	defer clear(code)
	return conn.Send(protocol.KindCode, code)
}

// harden keeps others from looking at this process.
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
		case protocol.KindLocked:
			err = json.Unmarshal(payload, &r.locked)
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
	l := r.locked
	box := lockbox.Box{
		Language: l.Language,
		Name:     l.Name,
		KDF:      lockbox.KDF{Salt: l.Salt, Time: l.Time, MemoryKiB: l.MemoryKiB, Parallelism: l.Parallelism},
		Nonce:    l.Nonce,
	}
	return box.Open(r.ciphertext, r.password)
}

// unseal opens the password, if that is sealed.
func (r *request) unseal() error {
	if r.sealed == nil {
		return nil
	}
	key, err := lockbox.ParseKey(r.private)
	if err != nil {
		return err
	}
	clear(r.private)
	r.password, err = key.Unseal(r.sealed, r.locked.Sandbox)
	return err
}
