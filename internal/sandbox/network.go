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

// Network is the way out of one run.
type Network interface {
	// Serve connects a program with what it asks for, if it may be, to the end
	// of the connection.
	Serve(ctx context.Context, conn net.Conn)
	// Close ends all connections, and tells of them when that is done.
	Close() []pyth.Connection
}

var errNoNetwork = errors.New("this server gives programs no network")

// way is the socket by which a sandbox reaches the host's proxy.
type way struct {
	socket *os.File
	// mux is nil until a job has a network.
	mux *yamux.Session
	// current is that of the job that runs; nil if it has none.
	current atomic.Pointer[Network]
	serving sync.WaitGroup
}

// connect gives the job its network; what it returns takes it away again.
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
	w := &s.way
	if w.mux == nil {
		if w.mux, err = yamux.Server(w.socket, protocol.MuxConfig()); err != nil {
			network.Close()
			return nil, err
		}
		mux := w.mux
		w.serving.Go(func() { w.accept(mux) })
	}
	w.current.Store(&network)
	return func() []pyth.Connection {
		w.current.Store(nil)
		return network.Close()
	}, nil
}

// withProxy tells programs where the proxy is, by the variables that clients
// look at, as far as the user does not. There is no ALL_PROXY: some clients
// fail at a SOCKS proxy for which they lack a library.
func withProxy(env []string, runtime pyth.Runtime) []string {
	given := make(map[string]bool, len(env))
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		given[name] = true
	}
	const own = "localhost,127.0.0.1,::1"
	variables := []string{
		"HTTP_PROXY=http://" + protocol.ProxyAddress, "http_proxy=http://" + protocol.ProxyAddress,
		"HTTPS_PROXY=http://" + protocol.ProxyAddress, "https_proxy=http://" + protocol.ProxyAddress,
		"SOCKS5_PROXY=socks5h://" + protocol.ProxyAddress, "NO_PROXY=" + own, "no_proxy=" + own,
	}
	if runtime == pyth.NodeRuntime {
		// Its fetch and http look at them only if told to.
		variables = append(variables, "NODE_USE_ENV_PROXY=1")
	}
	for _, variable := range variables {
		if name, _, _ := strings.Cut(variable, "="); !given[name] {
			env = append(env, variable)
		}
	}
	return env
}

// accept serves what the guest opens. What comes while no job has a network is
// closed: it can only be late, or hostile.
func (w *way) accept(mux *yamux.Session) {
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			return
		}
		network := w.current.Load()
		if network == nil {
			_ = stream.Close()
			continue
		}
		w.serving.Go(func() {
			defer func() { _ = stream.Close() }()
			(*network).Serve(context.Background(), halfCloser{stream})
		})
	}
}

// halfCloser is a stream of which one direction can be closed: yamux calls that
// Close, and closes the other when the other side does.
type halfCloser struct{ *yamux.Stream }

func (s halfCloser) CloseWrite() error { return s.Close() }

// close returns when nothing is served any more.
func (w *way) close() error {
	if w.mux == nil {
		return w.socket.Close()
	}
	err := w.mux.Close() // And with it the socket.
	w.serving.Wait()
	return err
}
