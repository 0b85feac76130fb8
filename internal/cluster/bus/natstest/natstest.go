// Package natstest starts NATS servers for tests. The command `make
// bin/tools/nats-server` builds the executable of these servers.
package natstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is the maximum time that a test waits until a server accepts connections.
const patience = time.Minute

// Server is a NATS server on this machine.
type Server struct {
	// URL is the address of the server.
	URL string

	address string
	args    []string
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts a server. The parameter "args" contains additional arguments for
// nats-server. The server stops when the test ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := New(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// New starts a server. The caller must stop the server.
func New(args ...string) (*Server, error) {
	// Reserve a port, so that the server gets the same port after a restart.
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{address: l.Addr().String(), args: args}
	s.URL = "nats://" + s.address
	if err := l.Close(); err != nil {
		return nil, err
	}
	return s, s.start()
}

// Restart starts the server again after Stop.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// The method "start" starts the server process and waits until the server accepts
// connections.
func (s *Server) start() error {
	program, err := find()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	s.process = exec.CommandContext(context.Background(), program, append([]string{"--addr", "127.0.0.1", "--port", port}, s.args...)...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	exited, process := s.exited, s.process
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	deadline := time.Now().Add(patience)
	for {
		c, err := new(net.Dialer).DialContext(context.Background(), "tcp", s.address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.exited:
			return fmt.Errorf("nats-server has ended: %v", s.process.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nats-server does not answer: %w", err)
		}
	}
}

// Stop kills the server.
func (s *Server) Stop() {
	_ = s.process.Process.Kill()
	<-s.exited
}

// find returns the path of the file nats-server in the directory bin/tools of this
// repository.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
	program := filepath.Join(dir, "bin", "tools", "nats-server")
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("%w: build it with `make bin/tools/nats-server`", err)
	}
	return program, nil
}
