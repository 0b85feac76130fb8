package egress

import (
	"net/netip"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Policy holds the operator's egress settings for all programs.
type Policy struct {
	// Off disables the network for all programs.
	Off bool
	// Deny takes precedence over the allowlist of a request. An address in Deny
	// is also refused when a name resolves to it.
	Deny Rules
	// MaxHosts limits the number of rules in a request. 0 means MaxRules, which is
	// also the maximum.
	MaxHosts int
	// AllowRanges contains ranges outside the public Internet that programs may reach.
	// Metadata services of clouds stay unreachable. To reach an address of this host,
	// AllowRanges must contain an entry for exactly this address. Loopback addresses
	// need no such entry.
	AllowRanges []netip.Prefix
}

// Check returns an error if the policy does not allow a request with these rules.
func (p Policy) Check(rules Rules) error {
	switch {
	case rules.Len() == 0:
		return nil
	case p.Off:
		return pyth.Errorf(pyth.CodeForbidden,
			"Programs have no network on this server. Remove network from the request, or ask the operator.")
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

// permit returns a refusal if a program with these rules may not reach the target. If the
// target is a name, the caller must also check the addresses of the name with the method
// "reachable".
func (p Policy) permit(rules Rules, t target) *refusal {
	switch {
	case p.Off:
		return denied("programs have no network on this server")
	case p.Deny.deny(t):
		return denied("host %s is denied by the operator of this server", t)
	case !rules.allow(t):
		return denied("host %s is not in network.allow", t)
	default:
		return nil
	}
}

// The method "reachable" reports whether an address may be dialled. If it may not, the
// result "reason" says why. The parameter "own" lists the addresses of this host.
func (p Policy) reachable(addr netip.Addr, port uint16, own []netip.Addr) (reason string, ok bool) {
	switch {
	case addr.Zone() != "":
		return "a link-local address", false
	case isMetadata(addr):
		return "a cloud's metadata service", false
	case p.Deny.deny(target{host: host{addr: addr}, port: port}):
		return "denied by the operator of this server", false
	}
	// Loopback addresses are recognized by their range. This host's other
	// addresses may be in the same range as other machines.
	if slices.Contains(own, addr) && !addr.IsLoopback() {
		if slices.Contains(p.AllowRanges, netip.PrefixFrom(addr, addr.BitLen())) {
			return "", true
		}
		return "an address of the server itself", false
	}
	if reason, ok := classify(addr); ok || !p.inRanges(addr) {
		return reason, ok
	}
	// AllowRanges may contain the range of an IPv6 translator. So also check the IPv4
	// address that is embedded in an address of this range.
	if v4, ok := embedded(addr); ok {
		return p.reachable(v4, port, own)
	}
	return "", true
}

func (p Policy) inRanges(addr netip.Addr) bool {
	return slices.ContainsFunc(p.AllowRanges, func(r netip.Prefix) bool { return r.Contains(addr) })
}
