package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// controlName is the name of the control socket in the data directory. Commands send
// their requests to the running server through this socket, because only one process
// may write the audit log. The directory has mode 0700, so other users cannot open the
// socket.
const controlName = "control.sock"

// controlTimeout is the time-out of a command that a running server executes. It is
// long, because the deletion of a user with many runs takes long.
const controlTimeout = 2 * time.Minute

// serveControl accepts commands on the control socket until the caller calls the
// function "stop". The caller must hold the lock of the data directory.
func serveControl(dataDir string, handler http.Handler, logger *slog.Logger) (stop func() error, err error) {
	// A killed server cannot remove its socket. So remove an old socket.
	path := filepath.Join(dataDir, controlName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	short, err := shortPath(dataDir)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: short.name, Net: "unix"})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), short.Close())
	}
	listener.SetUnlinkOnClose(false) // The function stop removes the socket.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close(), short.Close())
	}
	server := &http.Server{
		Handler: handler, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }()
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
		defer cancel()
		return errors.Join(server.Shutdown(ctx), os.Remove(path), short.Close())
	}, nil
}

// controlPath provides a short path to the control socket. The path leads through a
// file descriptor of the data directory. A socket address can have at most 107 bytes
// (unix(7)), but the usual path can be longer.
type controlPath struct {
	directory *os.File
	name      string
}

func shortPath(dataDir string) (*controlPath, error) {
	directory, err := os.Open(dataDir)
	if err != nil {
		return nil, err
	}
	return &controlPath{directory, filepath.Join("/proc/self/fd", strconv.Itoa(int(directory.Fd())), controlName)}, nil
}

// Close closes the file descriptor of the data directory. After this call, the path is
// invalid.
func (p *controlPath) Close() error { return p.directory.Close() }
