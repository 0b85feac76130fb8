package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP returns the IP address of the caller. This is the address of the peer or,
// if the peer is a trusted proxy, an address from X-Forwarded-For. It reads the
// header from the right, because callers can forge all values to the left of the
// first untrusted address. The result is "" if the peer has no address.
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

// network returns the key for rate limits on an address. For IPv6 it is the /64
// network, the smallest block of one customer (RFC 6177). So other addresses in this
// network have the same limit.
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
