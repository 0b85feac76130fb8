// Package listen opens the listeners of a server: TCP ports and Unix sockets. It
// supports TLS with certificates from files or from an ACME server.
package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// unixPrefix is the beginning of the address of a Unix socket. The path follows.
const unixPrefix = "unix:"

// UnixPath returns the path of the Unix socket. It returns false if the address is not
// the address of a Unix socket.
func UnixPath(address string) (path string, ok bool) { return strings.CutPrefix(address, unixPrefix) }

// Open listens on the address, which is HOST:PORT or unix:PATH. A new Unix socket has
// the given mode. If no process listens on an existing socket, Open replaces the
// socket.
func Open(ctx context.Context, address string, mode fs.FileMode) (net.Listener, error) {
	path, ok := UnixPath(address)
	if !ok {
		return new(net.ListenConfig).Listen(ctx, "tcp", address)
	}
	return openUnix(ctx, path, mode)
}

// openUnix creates the socket under a temporary name, sets the mode of the socket, and
// renames the socket. Therefore no process can connect before the mode is set. If a
// second server starts at the same time, the second server does not remove the socket of
// this server.
func openUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := checkSocket(ctx, path); err != nil {
		return nil, err
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	if limit := len(syscall.RawSockaddrUnix{}.Path) - 1; len(temporary) > limit {
		return nil, fmt.Errorf("the path of the Unix socket %s is too long; it may have %d characters", path, limit-len(temporary)+len(path))
	}
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // The name changes below.
	if err := errors.Join(os.Chmod(temporary, mode), os.Rename(temporary, path)); err != nil {
		return nil, errors.Join(err, listener.Close(), os.Remove(temporary))
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &unixListener{UnixListener: listener, path: path, info: info}, nil
}

// checkSocket returns an error if the path must not be replaced. A path may be replaced
// if it does not exist, or if it is the socket of a process that has ended.
func checkSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	connection, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process listens on %s", path), connection.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot find out whether another process listens on %s: %w", path, err)
	}
	return nil
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
	err  error
}

// Addr returns the address of the listener. The address contains the path of the socket.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close closes the listener and removes the socket. It does not remove the socket if
// another server has replaced it.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.info) {
			l.err = os.Remove(l.path)
		}
		l.err = errors.Join(l.err, l.UnixListener.Close())
	})
	return l.err
}

// URL returns the URL of the listener. The URL is for messages in the log.
func URL(l net.Listener, secure bool) string {
	switch {
	case l.Addr().Network() == "unix":
		return unixPrefix + l.Addr().String()
	case secure:
		return "https://" + l.Addr().String()
	default:
		return "http://" + l.Addr().String()
	}
}
