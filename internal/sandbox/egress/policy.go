package egress

import (
	"net/netip"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Policy is what the operator says about the network of all programs.
type Policy struct {
	// Off gives no program a network.
	Off bool
	// Deny wins over what a request allows. An address in it is also denied
	// when a name leads there.
	Deny Rules
	// MaxHosts is how many rules a request may have; 0 is MaxRules, which is
	// also the most.
	MaxHosts int
	// AllowRanges are addresses that programs may reach although they are not
	// of the public Internet. The metadata services of clouds are never within
	// reach. This host's own addresses are only if a range is that one
	// address, or is of loopback.
	AllowRanges []netip.Prefix
}

// Check tells whether a request may have the rules.
func (p Policy) Check(rules Rules) error {
	switch {
	case rules.Len() == 0:
		return nil
	case p.Off:
		return pyth.Errorf(pyth.CodeForbidden,
			"This server gives programs no network. Leave out network, or ask the operator.")
	case rules.Len() > p.maxHosts():
		return tooMany(p.maxHosts())
	default:
		return nil
	}
}

func (p Policy) maxHosts() int {
	if p.MaxHosts <= 0 {
		return MaxRules
	}
	return min(p.MaxHosts, MaxRules)
}

// permit tells why a program with the rules may not reach the target. What its
// name leads to is not looked at yet.
func (p Policy) permit(rules Rules, t target) *refusal {
	switch {
	case p.Off:
		return denied("this server gives programs no network")
	case p.Deny.deny(t):
		return denied("host %s is denied by the operator of this server", t)
	case !rules.allow(t):
		return denied("host %s is not in network.allow", t)
	default:
		return nil
	}
}

// reachable tells why an address may not be dialled. own are the addresses of
// this host.
func (p Policy) reachable(addr netip.Addr, port uint16, own []netip.Addr) (reason string, ok bool) {
	switch {
	case addr.Zone() != "":
		return "of one link only", false
	case isMetadata(addr):
		return "of a cloud's metadata service", false
	case p.Deny.deny(target{host: host{addr: addr}, port: port}):
		return "denied by the operator of this server", false
	}
	// Loopback is what its range says; the rest of this host's addresses look
	// like any other machine's.
	if slices.Contains(own, addr) && !addr.IsLoopback() {
		if slices.Contains(p.AllowRanges, netip.PrefixFrom(addr, addr.BitLen())) {
			return "", true
		}
		return "of the server itself", false
	}
	if reason, ok := classify(addr); ok || !p.inRanges(addr) {
		return reason, ok
	}
	// A range of a translator opens no way round the others.
	if v4, ok := embedded(addr); ok {
		return p.reachable(v4, port, own)
	}
	return "", true
}

func (p Policy) inRanges(addr netip.Addr) bool {
	return slices.ContainsFunc(p.AllowRanges, func(r netip.Prefix) bool { return r.Contains(addr) })
}
