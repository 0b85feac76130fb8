package egress

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// maxAddresses limits how many addresses of one name the proxy tries.
	maxAddresses = 8
	// minAttempt is the minimum time-out of one attempt to connect.
	minAttempt = 2 * time.Second
)

// upstream is a connection to a target. It counts the sent and received bytes.
type upstream struct {
	watchedConn
	target         target
	sent, received atomic.Int64
	// The upstream connection is closed when the client's connection ends. A call of
	// stopAutoClose prevents this.
	stopAutoClose func() bool
}

func (u *upstream) disconnect() {
	u.stopAutoClose()
	_ = u.Close()
}

func (u *upstream) Read(p []byte) (int, error) {
	n, err := u.watchedConn.Read(p)
	u.received.Add(int64(n))
	return n, err
}

func (u *upstream) Write(p []byte) (int, error) {
	n, err := u.watchedConn.Write(p)
	u.sent.Add(int64(n))
	return n, err
}

// connect checks the rules and dials the target. A program's connections always
// go through this check.
func (p *Proxy) connect(ctx context.Context, rules Rules, t target) (net.Conn, *refusal) {
	if refused := p.config.Policy.permit(rules, t); refused != nil {
		return nil, refused
	}
	return p.dialTarget(ctx, t)
}

// dialTarget resolves the target once, checks each address, and dials only the
// checked addresses.
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

// addresses returns the addresses of the target that may be dialled, in the
// resolver's order.
func (p *Proxy) addresses(ctx context.Context, t target) ([]netip.Addr, *refusal) {
	all := []netip.Addr{t.host.addr}
	if t.host.name != "" {
		var err error
		if all, err = p.config.Resolver.LookupNetIP(ctx, "ip", t.host.name+"."); err != nil {
			return nil, unresolved(t, err)
		}
	}
	own, err := p.config.HostAddresses()
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
		return nil, denied("host %s has no address that programs may connect to: it is %s", t, why)
	}
	return good[:min(len(good), maxAddresses)], nil
}

// dial tries to connect to one address. The parameter "remaining" is the number of
// addresses that are left to try, including addr. If ctx has a deadline, these
// addresses share the time equally, but each attempt gets at least minAttempt.
func (p *Proxy) dial(ctx context.Context, addr netip.Addr, port uint16, remaining int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		share := max(time.Until(deadline)/time.Duration(remaining), minAttempt)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, share)
		defer cancel()
	}
	return p.config.Dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(addr, port).String())
}
