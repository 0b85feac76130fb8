package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// network is the only egress path of the sandbox. It accepts connections on a loopback
// port, and relays them over a socket from the host. On the host, a proxy decides which
// connections are allowed.
type network struct {
	// fd is the descriptor of the socket from the host.
	fd int
	// home is a descriptor of the agent's network namespace.
	home int
	// mux is nil until the first job with a network.
	mux *yamux.Session
}

func newNetwork(fd int) (*network, error) {
	// Mark the socket as close-on-exec, because programs must not inherit it.
	unix.CloseOnExec(fd)
	home, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return &network{fd: fd, home: home}, err
}

// The method "open" starts the relay for the program. closeRelay closes all connections
// of the program; the socket to the host stays open.
func (n *network) open(p *program) (closeRelay func(), err error) {
	if n.mux == nil {
		// Go's poller accepts only non-blocking descriptors.
		if err := unix.SetNonblock(n.fd, true); err != nil {
			return nil, err
		}
		if n.mux, err = yamux.Client(protocol.JoinWrites(os.NewFile(uintptr(n.fd), "network")), protocol.MuxConfig()); err != nil {
			return nil, err
		}
	}
	return n.relay(p, n.mux, protocol.ProxyAddress)
}

// relay starts to relay connections to the address over streams of the multiplexer.
func (n *network) relay(p *program, mux *yamux.Session, address string) (closeRelay func(), err error) {
	listener, err := n.listen(p, address)
	if err != nil {
		return nil, err
	}
	r := &relay{mux: mux, open: make(map[io.Closer]bool)}
	r.all.Go(func() { r.accept(listener) })
	return func() {
		_ = listener.Close()
		r.close()
	}, nil
}

// listen listens on a loopback address in the program's network namespace. A
// socket belongs to the namespace of the thread that creates it. So this thread
// enters the program's namespace for the call.
func (n *network) listen(p *program, address string) (listener net.Listener, err error) {
	pidfd, err := unix.PidfdOpen(p.init, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	if err := unix.Setns(pidfd, unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unix.Setns(n.home, unix.CLONE_NEWNET)) }()
	return new(net.ListenConfig).Listen(context.Background(), "tcp", address)
}

// relay holds the open connections of a job.
type relay struct {
	mux *yamux.Session
	all sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[io.Closer]bool
}

// accept relays up to protocol.MaxRelayed connections of the program at the same time.
// Further connections wait in the queue of the listener.
func (r *relay) accept(listener net.Listener) {
	slots := make(chan struct{}, protocol.MaxRelayed)
	for {
		slots <- struct{}{}
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r.all.Go(func() {
			defer func() { <-slots }()
			r.relayConn(conn)
		})
	}
}

// relayConn relays one connection until both directions have ended.
func (r *relay) relayConn(conn net.Conn) {
	defer conn.Close()
	stream, err := r.mux.OpenStream()
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	if !r.register(conn, stream) {
		return
	}
	defer r.unregister(conn, stream)
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(stream, conn)
		// Close closes only the direction from the program to the host.
		_ = stream.Close()
	})
	_, _ = io.Copy(conn, stream)
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	up.Wait()
}

// register stores open connections. It returns false if the relay is closed.
func (r *relay) register(all ...io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range all {
		r.open[c] = true
	}
	return !r.closed
}

func (r *relay) unregister(all ...io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range all {
		delete(r.open, c)
	}
}

// close closes all connections and waits until no connection is being relayed.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	for c := range r.open {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}
