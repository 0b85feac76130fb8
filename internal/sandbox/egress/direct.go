package egress

import (
	"context"
	"net"
)

// DialContext makes a connection for the server itself. The address is a host:port from
// an untrusted source. The fields Deny and AllowRanges of the Policy apply. The field Off
// and the rules of runs do not apply. DialContext resolves a name once and checks each
// address.
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

// CheckAddress returns an error if DialContext can never connect to the address. This is
// the case if the address is malformed, if it is denied, or if programs must not reach
// it. CheckAddress does not resolve names, so only DialContext checks the addresses of a
// name.
func (p *Proxy) CheckAddress(address string) error {
	t, err := parseTarget(address, 0)
	if err != nil {
		return err
	}
	if p.config.Policy.Deny.deny(t) {
		return denied("host %s is denied by the operator of this server", t)
	}
	if t.host.name != "" {
		return nil
	}
	// Return nil explicitly. A nil *refusal that is returned as an error is not equal to
	// nil.
	if _, refused := p.addresses(context.Background(), t); refused != nil {
		return refused
	}
	return nil
}
