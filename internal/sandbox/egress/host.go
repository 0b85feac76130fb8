package egress

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxName and maxLabel are the maximum lengths of a DNS name and of one label, in
// bytes.
const (
	maxName  = 253
	maxLabel = 63
)

var (
	errName    = errors.New("must be a host name or an IP address")
	errLength  = errors.New("must be at most 253 characters, and 63 between two dots")
	errAddress = errors.New("must be an IP address in the standard form, for example 192.0.2.1 or [2001:db8::1]")
)

// host is either a name (lower case, no trailing dot) or an address (unmapped, no
// zone). Equal hosts compare equal with ==.
type host struct {
	name string
	addr netip.Addr
}

// String returns the host as written in a URL.
func (h host) String() string {
	switch {
	case h.name != "":
		return h.name
	case h.addr.Is6():
		return "[" + h.addr.String() + "]"
	default:
		return h.addr.String()
	}
}

// parseHost parses a host in ASCII. It accepts an address only in the standard
// form, because programs interpret other forms differently.
func parseHost(s string) (host, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return host{}, errAddress
		}
		return host{addr: addr.Unmap()}, nil
	}
	name := strings.TrimSuffix(s, ".")
	if len(name) > maxName {
		return host{}, errLength
	}
	name, err := checkLabels(name)
	if err != nil {
		return host{}, err
	}
	// If the last label of a host is a number, the URL standard treats the host as an
	// address.
	if last := name[strings.LastIndexByte(name, '.')+1:]; isNumber(last) {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return host{}, errAddress
		}
		return host{addr: addr}, nil
	}
	return host{name: name}, nil
}

// checkLabels checks each label and returns the name in lower case. Host names
// must not contain underscores, but checkLabels accepts them, because some hosts
// use them.
func checkLabels(name string) (string, error) {
	lower := []byte(name)
	start := 0
	for i := 0; i <= len(lower); i++ {
		if i < len(lower) && lower[i] != '.' {
			c := lower[i]
			switch {
			case 'A' <= c && c <= 'Z':
				lower[i] = c + 'a' - 'A'
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return "", errName
			}
			continue
		}
		label := lower[start:i]
		switch {
		case len(label) == 0, label[0] == '-', label[len(label)-1] == '-':
			return "", errName
		case len(label) > maxLabel:
			return "", errLength
		}
		start = i + 1
	}
	return string(lower), nil
}

// isNumber reports whether any common parser could read the label as a number.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// toASCII converts an internationalized name to its ASCII form.
func toASCII(name string) (string, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			// idna.Lookup uses the same rules as browsers. It accepts invalid
			// UTF-8, so UTF-8 is checked here.
			ascii, err := idna.Lookup.ToASCII(name)
			if err != nil || !utf8.ValidString(name) {
				return "", errName
			}
			return ascii, nil
		}
	}
	return name, nil
}
