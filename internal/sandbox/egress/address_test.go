package egress

import (
	"net/netip"
	"testing"
)

func TestAttack071NonPublicAddressesAreRefused(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0":            "unspecified",
		"0.1.2.3":            "unspecified",
		"10.0.0.1":           "private",
		"100.64.0.1":         "a carrier-grade NAT address",
		"100.127.255.255":    "a carrier-grade NAT address",
		"127.0.0.1":          "loopback",
		"127.255.255.255":    "loopback",
		"169.254.0.1":        "link-local",
		"172.16.0.1":         "private",
		"172.31.255.255":     "private",
		"192.0.0.1":          "reserved for protocols",
		"192.0.2.1":          "reserved for documentation",
		"192.88.99.1":        "a 6to4 relay",
		"192.168.1.1":        "private",
		"198.18.0.1":         "reserved for benchmarks",
		"198.19.255.255":     "reserved for benchmarks",
		"198.51.100.1":       "reserved for documentation",
		"203.0.113.1":        "reserved for documentation",
		"224.0.0.1":          "multicast",
		"239.255.255.255":    "multicast",
		"240.0.0.1":          "reserved",
		"255.255.255.255":    "broadcast",
		"::":                 "unspecified",
		"::1":                "loopback",
		"::127.0.0.1":        "IPv4 in IPv6",
		"::8.8.8.8":          "IPv4 in IPv6",
		"::ffff:127.0.0.1":   "loopback",
		"::ffff:10.0.0.1":    "private",
		"::ffff:0:127.0.0.1": "not assigned",
		"64:ff9b::7f00:1":    "IPv4 in IPv6 (NAT64)",
		"64:ff9b::808:808":   "IPv4 in IPv6 (NAT64)",
		"64:ff9b:1::1":       "IPv4 in IPv6 (NAT64)",
		"100::1":             "a discard-only address",
		"2001::1":            "IPv4 in IPv6 (Teredo)",
		"2001:2::1":          "reserved for benchmarks",
		"2001:10::1":         "an ORCHID identifier",
		"2001:20::1":         "an ORCHID identifier",
		"2001:1::1":          "reserved for protocols",
		"2001:db8::1":        "reserved for documentation",
		"2002:7f00:1::":      "IPv4 in IPv6 (6to4)",
		"3fff::1":            "reserved for documentation",
		"4000::1":            "not assigned",
		"5f00::1":            "not assigned",
		"fc00::1":            "private",
		"fd00:ec2::254":      "private",
		"fe80::1":            "link-local",
		"fe80::1%eth0":       "not an address",
		"2606:4700::1%eth0":  "not an address",
		"fec0::1":            "site-local",
		"ff02::1":            "multicast",
	} {
		reason, ok := classify(netip.MustParseAddr(addr))
		if ok || reason != want {
			t.Errorf("%s: got %q, %v, want %q", addr, reason, ok, want)
		}
	}
	if _, ok := classify(netip.Addr{}); ok {
		t.Error("the zero address is classified as public")
	}
}

func TestDialReachesPublicAddresses(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8",
		"2606:4700::1", "2001:200::1", "2001:4860:4860::8888", "2a00:1450::1", "3ffe::1",
	} {
		if reason, ok := classify(netip.MustParseAddr(addr)); !ok {
			t.Errorf("%s is refused: %s", addr, reason)
		}
	}
}

func TestAttack070MetadataIsNotReachedWhateverIsAllowed(t *testing.T) {
	everything := Policy{AllowRanges: []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
		netip.MustParsePrefix("169.254.169.254/32"), netip.MustParsePrefix("fd00:ec2::254/128"),
	}}
	for _, addr := range []string{
		"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"fd00:ec2::254", "fd20:ce::254",
		"::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
		"2002:a9fe:a9fe::1", "2001:0:1:2:3:4:5601:5601",
	} {
		a := netip.MustParseAddr(addr)
		if reason, ok := everything.reachable(a, 80, nil); ok || reason != "a cloud's metadata service" {
			t.Errorf("%s: got %q, %v", addr, reason, ok)
		}
		if reason, ok := everything.reachable(a, 80, []netip.Addr{a}); ok {
			t.Errorf("%s as an address of the host: got %q", addr, reason)
		}
	}
}

func TestPolicyAllowRanges(t *testing.T) {
	deny, err := ParseDeny([]string{"10.1.2.3", "8.8.8.8:53"})
	if err != nil {
		t.Fatal(err)
	}
	policy := Policy{Deny: deny, AllowRanges: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("64:ff9b::/96"),
		netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.1.9.9/32"),
	}}
	own := []netip.Addr{
		netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.1.9.9"), netip.MustParseAddr("93.184.216.34"),
		netip.MustParseAddr("::1"),
	}
	for _, c := range []struct {
		name, addr string
		port       uint16
		want       bool
	}{
		{"address in a range", "10.1.0.1", 5432, true},
		{"mapped address in a range", "::ffff:10.1.0.1", 5432, true},
		{"address outside all ranges", "10.2.0.1", 5432, false},
		{"IPv6 loopback", "::1", 80, true},
		{"denied address in a range", "10.1.2.3", 80, false},
		{"denied port", "8.8.8.8", 53, false},
		{"port that is not denied", "8.8.8.8", 443, true},
		{"translator to the Internet", "64:ff9b::808:808", 443, true},
		{"translator to a range", "64:ff9b::a01:1", 443, true},
		{"translator to an address outside all ranges", "64:ff9b::a02:1", 443, false},
		{"translator to a denied address", "64:ff9b::a01:203", 443, false},
		{"this host within a range", "10.1.0.5", 443, false},
		{"this host through a translator", "64:ff9b::a01:5", 443, false},
		{"this host as a range", "10.1.9.9", 443, true},
		{"this host by a public address", "93.184.216.34", 443, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := netip.MustParseAddr(c.addr).Unmap()
			if reason, ok := policy.reachable(addr, c.port, own); ok != c.want {
				t.Errorf("got %v (%s), want %v", ok, reason, c.want)
			}
		})
	}
}
