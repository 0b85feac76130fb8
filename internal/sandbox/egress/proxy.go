package egress

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Resolver finds the addresses of a name; *net.Resolver is one. Names have a
// dot at their end, so that the host's search list has no part in it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer connects to an address; *net.Dialer is one. It is never given a name.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Observer is told what happens. Its methods must not block.
type Observer interface {
	// Finished tells of one connection, or one request of plain HTTP.
	Finished(Connection)
}

// Config says what a Proxy does. Only Policy is worth a thought; what is zero
// gets a default.
type Config struct {
	Policy   Policy
	Resolver Resolver
	Dialer   Dialer
	Observer Observer
	// Own finds the addresses of this host, which programs must not reach.
	Own func() ([]netip.Addr, error)
	// HandshakeTimeout bounds the time from a request's first byte to its last
	// header, and a SOCKS5 handshake; 0 is 30 seconds.
	HandshakeTimeout time.Duration
	// DialTimeout bounds resolving a name and connecting; 0 is 20 seconds.
	DialTimeout time.Duration
	// IdleTimeout ends a connection on which nothing passes; 0 is 5 minutes.
	IdleTimeout time.Duration
	// MaxConnections is how many connections a run may have at once; 0 is 64.
	MaxConnections int
}

// Proxy connects programs with the hosts that they may reach. It is safe for
// concurrent use and holds nothing that needs closing.
type Proxy struct{ config Config }

// New makes a Proxy.
func New(config Config) *Proxy {
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	if config.Dialer == nil {
		config.Dialer = &net.Dialer{}
	}
	if config.Observer == nil {
		config.Observer = nobody{}
	}
	if config.Own == nil {
		config.Own = interfaceAddrs
	}
	config.HandshakeTimeout = positive(config.HandshakeTimeout, 30*time.Second)
	config.DialTimeout = positive(config.DialTimeout, 20*time.Second)
	config.IdleTimeout = positive(config.IdleTimeout, 5*time.Minute)
	config.MaxConnections = positive(config.MaxConnections, 64)
	return &Proxy{config: config}
}

// Serve serves one connection that a program of the run has made, closes it,
// and returns when nothing of it is left: after ctx is done or the run is
// closed, at once.
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

	w := newWatch(p.config.IdleTimeout, func() { cancel(errSilent) })
	defer w.stop()
	s := &session{
		proxy: p, run: run, ctx: ctx, cancel: cancel, watch: w,
		client: conn, r: bufio.NewReaderSize(observed{conn, w}, maxHead),
	}
	s.serve()
}

func (p *Proxy) record(run *Run, c Connection) {
	c.Count = 1
	run.record(c)
	p.config.Observer.Finished(c)
}

// errSilent ends a connection on which nothing passed for too long.
var errSilent = errors.New("egress: nothing passed for too long")

type nobody struct{}

func (nobody) Finished(Connection) {}

func positive[T time.Duration | int](n, otherwise T) T {
	if n <= 0 {
		return otherwise
	}
	return n
}

// interfaceAddrs asks anew each time, as addresses come and go.
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
