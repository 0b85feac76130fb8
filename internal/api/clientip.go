package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP returns the IP address of the caller, or "" if the caller has no IP address.
// The caller is usually the other end of the connection (the peer). If the peer is a
// trusted proxy, clientIP reads the values of X-Forwarded-For from right to left. It
// returns the first address that is not a trusted proxy. Callers can forge all values to
// the left of this address.
//
// A peer on a Unix socket is a trusted proxy, because the file mode of the socket
// determines who can connect.
func clientIP(r *http.Request, trusted []netip.Prefix) string {
	ip, proxy := peerOf(r, trusted)
	if !proxy {
		if !ip.IsValid() {
			return ""
		}
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
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// peerOf returns the IP address of the peer, and whether the peer is a trusted proxy. If
// the peer has no IP address, peerOf returns an invalid address.
func peerOf(r *http.Request, trusted []netip.Prefix) (ip netip.Addr, proxy bool) {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return netip.Addr{}, true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	ip = peer.Addr().Unmap().WithZone("")
	return ip, isTrusted(ip, trusted)
}

// callerScheme returns the scheme of the URL that the caller used. It uses the header
// X-Forwarded-Proto only if the peer is a trusted proxy. If several proxies added a value
// to this header, it uses the last value.
func callerScheme(r *http.Request, trusted []netip.Prefix) string {
	if r.TLS != nil {
		return "https"
	}
	if _, proxy := peerOf(r, trusted); proxy {
		values := strings.Split(strings.Join(r.Header.Values("X-Forwarded-Proto"), ","), ",")
		if strings.EqualFold(strings.TrimSpace(values[len(values)-1]), "https") {
			return "https"
		}
	}
	return "http"
}

func isTrusted(ip netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// ipKey returns the key for rate limits on an IP address. For IPv6, the key is the /64
// network, because a customer gets at least a /64 network (RFC 6177). So all addresses of
// a customer's /64 network share one limit.
func ipKey(ip string) string {
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
