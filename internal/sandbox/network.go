package sandbox

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/yamux"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Network provides the network access of one run.
type Network interface {
	// Serve serves one connection of the program until the connection ends. If the
	// policy allows the requested host, Serve connects the program to this host.
	Serve(ctx context.Context, conn net.Conn)
	// Close ends all connections and returns their records.
	Close() []pyth.Connection
}

var (
	errNoNetwork   = errors.New("programs have no network on this server")
	errManyStreams = errors.New("the guest has too many streams")
)

// tunnel carries the program's connections from the sandbox to the Network.
type tunnel struct {
	socket *os.File
	// mux multiplexes connections over the socket. It is nil until the first job
	// with a network.
	mux *yamux.Session
	// The field "current" is the network of the running job, or nil if no job with a
	// network is running.
	current atomic.Pointer[Network]
	serving sync.WaitGroup
}

// connect opens the network of the job. The caller must call disconnect, which
// closes the network and returns the records of its connections.
func (s *Sandbox) connect(job *pyth.Job) (disconnect func() []pyth.Connection, err error) {
	if job.Network.None() {
		return func() []pyth.Connection { return nil }, nil
	}
	if s.launcher.config.Network == nil {
		return nil, errNoNetwork
	}
	network, err := s.launcher.config.Network(job.Network)
	if err != nil {
		return nil, err
	}
	t := &s.tunnel
	if t.mux == nil {
		if t.mux, err = yamux.Server(protocol.JoinWrites(t.socket), protocol.MuxConfig()); err != nil {
			network.Close()
			return nil, err
		}
		mux := t.mux
		t.serving.Go(func() { t.accept(mux) })
	}
	t.current.Store(&network)
	return func() []pyth.Connection {
		t.current.Store(nil)
		return network.Close()
	}, nil
}

// withProxy adds environment variables that make clients use the proxy, except those
// that the user has set. It does not set ALL_PROXY. With ALL_PROXY, some clients would
// fail, because they need an additional library for SOCKS. The parameter "proxy" is the
// address of the proxy in the sandbox.
func withProxy(env []string, runtime pyth.Runtime, proxy string) []string {
	set := make(map[string]bool, len(env))
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		set[name] = true
	}
	const loopback = "localhost,127.0.0.1,::1"
	variables := []string{
		"HTTP_PROXY=http://" + proxy, "http_proxy=http://" + proxy,
		"HTTPS_PROXY=http://" + proxy, "https_proxy=http://" + proxy,
		"SOCKS5_PROXY=socks5h://" + proxy, "NO_PROXY=" + loopback, "no_proxy=" + loopback,
	}
	if runtime == pyth.NodeRuntime {
		// Set this variable, because without it fetch and http of Node.js ignore the
		// variables for the proxy.
		variables = append(variables, "NODE_USE_ENV_PROXY=1")
	}
	for _, variable := range variables {
		if name, _, _ := strings.Cut(variable, "="); !set[name] {
			env = append(env, variable)
		}
	}
	return env
}

// accept serves the streams that the guest opens. If no job with a network is running,
// the method closes the stream. In this case, the job has ended before the stream was
// opened, or the guest is hostile.
func (t *tunnel) accept(mux *yamux.Session) {
	for {
		stream, err := acceptStream(mux)
		if err != nil {
			return
		}
		network := t.current.Load()
		if network == nil {
			_ = stream.Close()
			continue
		}
		t.serving.Go(func() {
			defer func() { _ = stream.Close() }()
			(*network).Serve(context.Background(), halfCloser{stream})
		})
	}
}

// acceptStream waits for a stream that the guest opens. If the guest has too many streams,
// acceptStream closes the multiplexer.
func acceptStream(mux *yamux.Session) (*yamux.Stream, error) {
	stream, err := mux.AcceptStream()
	if err != nil {
		return nil, err
	}
	if mux.NumStreams() > protocol.MaxOpenStreams {
		// The agent never has so many streams, so the guest is hostile.
		return nil, errors.Join(errManyStreams, mux.Close())
	}
	return stream, nil
}

// halfCloser adds the method CloseWrite to a yamux stream. The method Close of a yamux
// stream closes only the direction for writing. The other direction ends when the peer
// closes it.
type halfCloser struct{ *yamux.Stream }

func (s halfCloser) CloseWrite() error { return s.Close() }

// close closes the socket and waits until all streams have ended.
func (t *tunnel) close() error {
	if t.mux == nil {
		return t.socket.Close()
	}
	err := t.mux.Close() // This also closes the socket.
	t.serving.Wait()
	return err
}
