package egress

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 8
	// leastAttempt is the time that each has at least, so that one that does
	// not answer leaves some to the others.
	leastAttempt = 2 * time.Second
)

// upstream is the connection to a target. It counts what passes.
type upstream struct {
	observed
	target         target
	sent, received atomic.Int64
	// unhook lets go of what closes the connection when the session ends.
	unhook func() bool
}

// hangUp closes the connection. Nothing is lost by it that could be told.
func (u *upstream) hangUp() {
	u.unhook()
	_ = u.Close()
}

func (u *upstream) Read(p []byte) (int, error) {
	n, err := u.observed.Read(p)
	u.received.Add(int64(n))
	return n, err
}

func (u *upstream) Write(p []byte) (int, error) {
	n, err := u.observed.Write(p)
	u.sent.Add(int64(n))
	return n, err
}

// connect is the only way of a program to a target: it asks the rules first.
func (p *Proxy) connect(ctx context.Context, rules Rules, t target) (net.Conn, *refusal) {
	if refused := p.config.Policy.permit(rules, t); refused != nil {
		return nil, refused
	}
	return p.dialTarget(ctx, t)
}

// dialTarget finds the addresses once, checks each, and dials what it has
// checked.
func (p *Proxy) dialTarget(ctx context.Context, t target) (net.Conn, *refusal) {
	ctx, cancel := context.WithTimeout(ctx, p.config.DialTimeout)
	defer cancel()
	addrs, refused := p.addresses(ctx, t)
	if refused != nil {
		return nil, refused
	}
	var err error
	for i, addr := range addrs {
		var conn net.Conn
		if conn, err = p.dial(ctx, addr, t.port, len(addrs)-i); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, unconnected(t, err)
}

// addresses are those of the target that may be dialled, in the order in which
// the resolver has them.
func (p *Proxy) addresses(ctx context.Context, t target) ([]netip.Addr, *refusal) {
	all := []netip.Addr{t.host.addr}
	if t.host.name != "" {
		var err error
		if all, err = p.config.Resolver.LookupNetIP(ctx, "ip", t.host.name+"."); err != nil {
			return nil, unresolved(t, err)
		}
	}
	own, err := p.config.Own()
	if err != nil {
		return nil, failed(replyFailed, "the addresses of this server are not known")
	}
	var (
		good []netip.Addr
		why  string
	)
	for _, addr := range all {
		addr = addr.Unmap()
		reason, ok := p.config.Policy.reachable(addr, t.port, own)
		if ok {
			good = append(good, addr)
		} else if why == "" {
			why = reason
		}
	}
	switch {
	case len(all) == 0:
		return nil, failed(replyHost, "host %s has no address", t.host)
	case len(good) == 0:
		return nil, denied("host %s has no address that programs may reach: it is %s", t, why)
	}
	return good[:min(len(good), maxAddresses)], nil
}

// dial gives one address its share of the time that is left for several.
func (p *Proxy) dial(ctx context.Context, addr netip.Addr, port uint16, several int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		share := max(time.Until(deadline)/time.Duration(several), leastAttempt)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share)
		defer cancel()
	}
	return p.config.Dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
}
