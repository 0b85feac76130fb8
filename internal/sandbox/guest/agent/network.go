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

// network is the way out of the sandbox: what connects to a port of its
// loopback is relayed, over a socket that was donated for that, to a proxy on
// the host. It decides nothing; there is no other way out.
type network struct {
	// fd is the socket's number.
	fd int
	// home is the network namespace of the agent itself.
	home int
	// mux is nil until a job has a network.
	mux *yamux.Session
}

// newNetwork returns the network that the socket of the number leads to.
func newNetwork(fd int) (*network, error) {
	// What programs start must not have it.
	unix.CloseOnExec(fd)
	home, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return &network{fd: fd, home: home}, err
}

// open lets the program connect, until what it returns is called: then nothing
// of it is left but the way to the host.
func (n *network) open(p *program) (closed func(), err error) {
	if n.mux == nil {
		// Go's poller takes it only if it does not block from the start.
		if err := unix.SetNonblock(n.fd, true); err != nil {
			return nil, err
		}
		if n.mux, err = yamux.Client(os.NewFile(uintptr(n.fd), "network"), protocol.MuxConfig()); err != nil {
			return nil, err
		}
	}
	listener, err := n.listen(p)
	if err != nil {
		return nil, err
	}
	r := &relay{mux: n.mux, open: make(map[io.Closer]bool)}
	r.all.Go(func() { r.accept(listener) })
	return func() {
		_ = listener.Close()
		r.close()
	}, nil
}

// listen listens on the loopback of the program. A socket belongs to the network
// namespace of the thread that makes it, and the agent's thread goes there for
// that.
func (n *network) listen(p *program) (listener net.Listener, err error) {
	pidfd, err := unix.PidfdOpen(p.init, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	if err := unix.Setns(pidfd, unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unix.Setns(n.home, unix.CLONE_NEWNET)) }()
	return new(net.ListenConfig).Listen(context.Background(), "tcp", protocol.ProxyAddress)
}

// relay is what is open during a job.
type relay struct {
	mux *yamux.Session
	all sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[io.Closer]bool
}

func (r *relay) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r.all.Go(func() { r.pass(conn) })
	}
}

// pass relays one connection to its end.
func (r *relay) pass(conn net.Conn) {
	defer conn.Close()
	stream, err := r.mux.OpenStream()
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	if !r.keep(conn, stream) {
		return
	}
	defer r.forget(conn, stream)
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(stream, conn)
		// It has no more to say; the other direction goes on.
		_ = stream.Close()
	})
	_, _ = io.Copy(conn, stream)
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	up.Wait()
}

// keep is false when the relay has been closed.
func (r *relay) keep(all ...io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range all {
		r.open[c] = true
	}
	return !r.closed
}

func (r *relay) forget(all ...io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range all {
		delete(r.open, c)
	}
}

// close returns when nothing is open.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	for c := range r.open {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}
