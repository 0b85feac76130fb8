package egress

import (
	"net/netip"
)

// special is an address range outside the public Internet.
type special struct {
	prefix netip.Prefix
	reason string
}

// specials returns the address ranges that a program can reach only if the AllowRanges
// of the Policy contain them. Most of them are in iana-ipv4-special-registry and
// iana-ipv6-special-registry (RFC 6890). Ranges may overlap: the first match gives the
// reason.
func specials() []special {
	return []special{
		{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},                      // RFC 791
		{netip.MustParsePrefix("10.0.0.0/8"), "private"},                         // RFC 1918
		{netip.MustParsePrefix("100.64.0.0/10"), "a carrier-grade NAT address"},  // RFC 6598
		{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},                       // RFC 1122
		{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},                  // RFC 3927
		{netip.MustParsePrefix("172.16.0.0/12"), "private"},                      // RFC 1918
		{netip.MustParsePrefix("192.0.0.0/24"), "reserved for protocols"},        // RFC 6890
		{netip.MustParsePrefix("192.0.2.0/24"), "reserved for documentation"},    // RFC 5737
		{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},                // RFC 7526
		{netip.MustParsePrefix("192.168.0.0/16"), "private"},                     // RFC 1918
		{netip.MustParsePrefix("198.18.0.0/15"), "reserved for benchmarks"},      // RFC 2544
		{netip.MustParsePrefix("198.51.100.0/24"), "reserved for documentation"}, // RFC 5737
		{netip.MustParsePrefix("203.0.113.0/24"), "reserved for documentation"},  // RFC 5737
		{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},                      // RFC 5771
		{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},               // RFC 8190
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},                       // RFC 1112
		{netip.MustParsePrefix("::/128"), "unspecified"},                         // RFC 4291
		{netip.MustParsePrefix("::1/128"), "loopback"},                           // RFC 4291
		{netip.MustParsePrefix("::/96"), "IPv4 in IPv6"},                         // RFC 4291, no longer in use
		{netip.MustParsePrefix("64:ff9b::/96"), "IPv4 in IPv6 (NAT64)"},          // RFC 6052
		{netip.MustParsePrefix("64:ff9b:1::/48"), "IPv4 in IPv6 (NAT64)"},        // RFC 8215
		{netip.MustParsePrefix("100::/64"), "a discard-only address"},            // RFC 6666
		{netip.MustParsePrefix("2001::/32"), "IPv4 in IPv6 (Teredo)"},            // RFC 4380
		{netip.MustParsePrefix("2001:2::/48"), "reserved for benchmarks"},        // RFC 5180
		{netip.MustParsePrefix("2001:10::/28"), "an ORCHID identifier"},          // RFC 4843
		{netip.MustParsePrefix("2001:20::/28"), "an ORCHID identifier"},          // RFC 7343
		{netip.MustParsePrefix("2001::/23"), "reserved for protocols"},           // RFC 2928
		{netip.MustParsePrefix("2001:db8::/32"), "reserved for documentation"},   // RFC 3849
		{netip.MustParsePrefix("2002::/16"), "IPv4 in IPv6 (6to4)"},              // RFC 3056
		{netip.MustParsePrefix("3fff::/20"), "reserved for documentation"},       // RFC 9637
		{netip.MustParsePrefix("fc00::/7"), "private"},                           // RFC 4193
		{netip.MustParsePrefix("fe80::/10"), "link-local"},                       // RFC 4291
		{netip.MustParsePrefix("fec0::/10"), "site-local"},                       // RFC 3879
		{netip.MustParsePrefix("ff00::/8"), "multicast"},                         // RFC 4291
	}
}

// global returns the only IPv6 range with public addresses (RFC 4291 and
// iana-ipv6-unicast-address-assignments).
func global() netip.Prefix { return netip.MustParsePrefix("2000::/3") }

// metadata returns the addresses of cloud metadata services. Such a service requires no
// authentication and gives credentials to any program. So no setting makes these
// addresses reachable.
func metadata() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("169.254.169.0/24"),       // most clouds: 169.254.169.254
		netip.MustParsePrefix("169.254.170.0/24"),       // AWS: containers
		netip.MustParsePrefix("169.254.42.42/32"),       // Scaleway
		netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
		netip.MustParsePrefix("168.63.129.16/32"),       // Azure
		netip.MustParsePrefix("192.0.0.192/32"),         // Oracle
		netip.MustParsePrefix("fd00:ec2::/32"),          // AWS: fd00:ec2::254
		netip.MustParsePrefix("fd20:ce::254/128"),       // Google
		netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
		netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	}
}

// classify reports whether the address belongs to the public Internet. If it does
// not, the result "reason" describes the range of the address.
func classify(addr netip.Addr) (reason string, ok bool) {
	if !addr.IsValid() || addr.Zone() != "" {
		return "not an address", false
	}
	addr = addr.Unmap()
	for _, s := range specials() {
		if s.prefix.Contains(addr) {
			return s.reason, false
		}
	}
	if addr.Is6() && !global().Contains(addr) {
		return "not assigned", false
	}
	return "", true
}

// isMetadata reports whether the address belongs to a cloud's metadata service.
func isMetadata(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, p := range metadata() {
		if p.Contains(addr) {
			return true
		}
	}
	v4, ok := embedded(addr)
	return ok && isMetadata(v4)
}

// The function "embedded" returns the IPv4 address inside an IPv6 address of a translator
// or tunnel. The translator or tunnel would forward packets for addr to the returned
// address.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("2001::/32").Contains(addr):
		// Teredo stores the client's address with inverted bits.
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr),
		netip.MustParsePrefix("64:ff9b:1::/48").Contains(addr),
		netip.MustParsePrefix("::/96").Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	default:
		return netip.Addr{}, false
	}
}
