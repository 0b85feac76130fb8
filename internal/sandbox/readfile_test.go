package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// withGuest returns a sandbox whose guest is a function. The function gets its
// end of the socket in two forms: as a connection and as a file.
func withGuest(t *testing.T, guest func(*protocol.Conn, *os.File)) *Sandbox {
	t.Helper()
	ours, theirs, err := connect("test")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sandbox{socket: ours, conn: protocol.NewConn(ours), disk: 1 << 30}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		guest(protocol.NewConn(theirs), theirs)
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		<-gone
		_ = theirs.Close()
	})
	return s
}

// fileServer returns a guest that answers each request with a file of size bytes. It
// counts the bytes in *sent. Before it sends each piece, it checks whether the host has
// sent an abort. The agent does the same.
func fileServer(size int64, sent *int64) func(*protocol.Conn, *os.File) {
	return func(c *protocol.Conn, socket *os.File) {
		for {
			kind, _, err := c.Receive()
			if err != nil {
				return
			}
			if kind != protocol.KindGet {
				continue // This is a late abort of the last transfer.
			}
			end := protocol.Done{}
			_ = c.SendMessage(protocol.KindDone, &protocol.Done{SizeBytes: size})
			for left := size; left > 0; left -= protocol.MaxData {
				if c.Buffered() || isReadable(socket) {
					// During a transfer, the host can only send an abort.
					_, _, _ = c.Receive()
					end.Failure = "ECANCELED"
					break
				}
				if c.Send(protocol.KindData, make([]byte, min(left, protocol.MaxData))) != nil {
					return
				}
				*sent += min(left, protocol.MaxData)
			}
			_ = c.SendMessage(protocol.KindDone, &end)
		}
	}
}

// isReadable reports whether the socket has data to read.
func isReadable(socket *os.File) bool {
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	fds := make([]unix.PollFd, 1)
	_ = raw.Control(func(fd uintptr) {
		fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		_, _ = unix.Poll(fds, 0)
	})
	return fds[0].Revents != 0
}

func TestReadFileStopsEarly(t *testing.T) {
	t.Parallel()
	const size = 1 << 28
	var sent int64
	s := withGuest(t, fileServer(size, &sent))
	gone := errors.New("the caller disconnected")
	for range 3 {
		if err := s.ReadFile(t.Context(), "f", func(int64, io.Reader) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.ReadFile(t.Context(), "f", func(_ int64, r io.Reader) error {
			_, _ = io.CopyN(io.Discard, r, 1000)
			return gone
		}); !errors.Is(err, gone) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		err := s.ReadFile(ctx, "f", func(_ int64, r io.Reader) error {
			cancel(gone)
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if !errors.Is(err, gone) {
			t.Fatal(err)
		}
	}
	if s.broken != nil || sent > 9*maxUnread {
		t.Errorf("after canceled reads: broken %v, the guest sent %d bytes", s.broken, sent)
	}
	sent = 0
	if err := s.ReadFile(t.Context(), "f", func(n int64, r io.Reader) error {
		got, err := io.Copy(io.Discard, r)
		if n != size || got != size {
			t.Errorf("got %d of %d bytes", got, n)
		}
		return err
	}); err != nil || sent != size {
		t.Errorf("ReadFile returned %v, the guest sent %d bytes", err, sent)
	}
}

func TestReadFileIgnoresGuestThatDoesNotStop(t *testing.T) {
	t.Parallel()
	for name, guest := range map[string]func(*protocol.Conn, *os.File){
		"the guest never stops": func(c *protocol.Conn, _ *os.File) {
			_ = c.SendMessage(protocol.KindDone, &protocol.Done{SizeBytes: 1 << 30})
			for err := error(nil); err == nil; {
				err = c.Send(protocol.KindData, make([]byte, 1000))
			}
		},
		"a file larger than the disk": func(c *protocol.Conn, _ *os.File) {
			_ = c.SendMessage(protocol.KindDone, &protocol.Done{SizeBytes: 1 << 50})
		},
		"the guest does not report the end": func(c *protocol.Conn, _ *os.File) {
			_ = c.SendMessage(protocol.KindDone, &protocol.Done{SizeBytes: 10})
			_ = c.Send(protocol.KindEnd, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withGuest(t, guest)
			if err := s.ReadFile(t.Context(), "f", func(int64, io.Reader) error { return nil }); !errors.Is(err, errGuest) || s.broken == nil {
				t.Errorf("got %v", err)
			}
		})
	}
	s := withGuest(t, func(c *protocol.Conn, _ *os.File) {
		_ = c.SendMessage(protocol.KindDone, &protocol.Done{Failure: "EFBIG"})
	})
	if err := s.ReadFile(t.Context(), "f", nil); pyth.ErrorCode(err) != pyth.CodeConflict || s.broken != nil {
		t.Errorf("got %v", err)
	}
}
