package egress

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

var (
	errPort     = errors.New("must have a port from 1 to 65535 after its colon")
	errNoPort   = errors.New("must have a port")
	errBrackets = errors.New("must have brackets around an IPv6 address, such as [2001:db8::1]")
)

// target is a host and port that a program wants to reach.
type target struct {
	host host
	port uint16
}

// String returns the target as host:port. It includes default ports.
func (t target) String() string { return t.host.String() + ":" + strconv.Itoa(int(t.port)) }

// authority returns the target as a Host header of plain HTTP, without port 80.
func (t target) authority() string {
	if t.port == portHTTP {
		return t.host.String()
	}
	return t.String()
}

// parseTarget parses host:port. If s has no port, the port is defaultPort. If s has no
// port and defaultPort is 0, parseTarget returns an error.
func parseTarget(s string, defaultPort uint16) (target, error) {
	name, port, err := splitPort(s)
	if err != nil {
		return target{}, err
	}
	if port == 0 {
		port = defaultPort
	}
	if port == 0 {
		return target{}, errNoPort
	}
	h, err := parseHost(name)
	if err != nil {
		return target{}, err
	}
	return target{host: h, port: port}, nil
}

// splitPort splits host:port. If s contains no port, the result "port" is 0.
func splitPort(s string) (name string, port uint16, err error) {
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
		if end == 0 {
			return "", 0, errAddress
		}
		if end == len(s) {
			return s, 0, nil
		}
	}
	if end < 0 {
		return s, 0, nil
	}
	name, text := s[:end], s[end:]
	text, ok := strings.CutPrefix(text, ":")
	switch {
	case !ok:
		return "", 0, errAddress
	case net.ParseIP(s) != nil:
		return "", 0, errBrackets
	}
	n, err := strconv.ParseUint(text, 10, 16)
	// Accept only the canonical spelling: no sign, no leading zero.
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return "", 0, errPort
	}
	return name, uint16(n), nil
}

// name returns the host for a record, or "" for the zero target.
func (t target) name() string {
	if t == (target{}) {
		return ""
	}
	return t.host.String()
}
