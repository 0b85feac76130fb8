package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP is the address of the caller: the peer's, or, while the peer is a
// trusted proxy, what that proxy says it was. X-Forwarded-For is read from the
// right, because everything to the left of the first address that is not a
// trusted proxy is the caller's own word. It is "" if the peer has no address.
func clientIP(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip := peer.Addr().Unmap().WithZone("")
	if !isTrusted(ip, trusted) {
		return ip.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		ip = next.Unmap().WithZone("")
		if !isTrusted(ip, trusted) {
			break
		}
	}
	return ip.String()
}

func isTrusted(ip netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// network is what an address is limited by: IPv6 by its /64, which is the
// least that one customer is given (RFC 6177), so that changing the low half
// gains nothing.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Is4() {
		return ip
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return ip
	}
	return p.String()
}
