package egress

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Resolver resolves a name to its addresses. *net.Resolver implements it. The
// proxy adds a dot to each name, so that the host's search domains do not apply.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer connects to an address, never to a name. *net.Dialer implements it.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Observer receives events of a Proxy. Its methods must not block.
type Observer interface {
	// Finished receives one ended connection, or one plain HTTP request.
	Finished(Connection)
}

// Config configures a Proxy. A field with its zero value gets a default. Most callers set
// only Policy.
type Config struct {
	Policy   Policy
	Resolver Resolver
	Dialer   Dialer
	Observer Observer
	// HostAddresses returns the addresses of this host. Programs can reach them
	// only with an entry in the policy's AllowRanges.
	HostAddresses func() ([]netip.Addr, error)
	// HandshakeTimeout limits the time from a request's first byte to the end of
	// its head, and the time of a SOCKS5 handshake. 0 means 30 seconds.
	HandshakeTimeout time.Duration
	// DialTimeout limits the time to resolve a name and connect. 0 means 20
	// seconds.
	DialTimeout time.Duration
	// IdleTimeout is the maximum time that a connection may have no traffic. After this
	// time, the proxy closes the connection. 0 means 5 minutes.
	IdleTimeout time.Duration
	// MaxConnections limits the concurrent connections of a run. 0 means 64.
	MaxConnections int
}

// Proxy connects programs to allowed hosts. It is safe for concurrent use and
// needs no Close.
type Proxy struct{ config Config }

// New creates a Proxy.
func New(config Config) *Proxy {
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	if config.Dialer == nil {
		config.Dialer = &net.Dialer{}
	}
	if config.Observer == nil {
		config.Observer = discardObserver{}
	}
	if config.HostAddresses == nil {
		config.HostAddresses = interfaceAddrs
	}
	config.HandshakeTimeout = positiveOr(config.HandshakeTimeout, 30*time.Second)
	config.DialTimeout = positiveOr(config.DialTimeout, 20*time.Second)
	config.IdleTimeout = positiveOr(config.IdleTimeout, 5*time.Minute)
	config.MaxConnections = positiveOr(config.MaxConnections, 64)
	return &Proxy{config: config}
}

// Serve serves one connection of a program and closes it. Serve returns when no
// goroutine or socket of the connection remains. If ctx ends or the run is
// closed, Serve ends the connection.
func (p *Proxy) Serve(ctx context.Context, conn net.Conn, run *Run) {
	defer conn.Close()
	ctx, leave, refused := run.enter(ctx, p.config.MaxConnections)
	if refused != nil {
		p.record(run, Connection{Verdict: refused.verdict, Reason: refused.reason})
		return
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	w := newWatch(p.config.IdleTimeout, func() { cancel(errIdle) })
	defer w.stop()
	s := &clientConn{
		proxy: p, run: run, ctx: ctx, cancel: cancel, watch: w,
		client: conn, r: bufio.NewReaderSize(watchedConn{conn, w}, maxHead),
	}
	s.serve()
}

func (p *Proxy) record(run *Run, c Connection) {
	c.Count = 1
	run.record(c)
	p.config.Observer.Finished(c)
}

// errIdle is the error of a connection that had no traffic for IdleTimeout.
var errIdle = errors.New("egress: idle timeout")

type discardObserver struct{}

func (discardObserver) Finished(Connection) {}

func positiveOr[T time.Duration | int](n, otherwise T) T {
	if n <= 0 {
		return otherwise
	}
	return n
}

// interfaceAddrs returns the current addresses of this host. It caches nothing,
// because addresses change at run time.
func interfaceAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	own := make([]netip.Addr, 0, len(all))
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				own = append(own, addr.Unmap())
			}
		}
	}
	return own, nil
}
