package egress

import (
	"context"
	"net"
)

// DialContext connects the server itself with a host:port that somebody else
// named: it may be any that the policy lets programs reach, whatever they asked
// for. Names are resolved once, and each address is checked.
func (p *Proxy) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	t, err := parseTarget(address, 0)
	if err != nil {
		return nil, err
	}
	if p.config.Policy.Deny.deny(t) {
		return nil, denied("host %s is denied by the operator of this server", t)
	}
	conn, refused := p.dialTarget(ctx, t)
	if refused != nil {
		return nil, refused
	}
	return conn, nil
}
