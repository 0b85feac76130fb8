package egress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// If a rule of an allowlist names no port, it matches these ports.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// MaxRules is the maximum number of rules in a request.
const MaxRules = 100

// maxEntry is the maximum length in bytes of the text of one rule. It is enough for a
// name with multi-byte letters and a port.
const maxEntry = 1024

var (
	errEmpty    = errors.New("must not be empty")
	errURL      = errors.New("must be a host without scheme, path or user")
	errAll      = errors.New("must name a host: * alone is not allowed")
	errWildcard = errors.New("must have * only as the complete first part of a name, as in *.example.org")
	errTooWide  = errors.New("must have at least two parts after *, as in *.example.org")
)

// Rules is a set of hosts with ports. The zero value is empty.
type Rules struct{ rules []rule }

// A rule matches one host or, if subdomains is true, all subdomains of this host.
type rule struct {
	host       host
	subdomains bool
	// port 0 means 80 and 443 in an allowlist, and all ports in a denylist.
	port uint16
}

// ParseRules parses the field network.allow of a request. Its error lists each
// invalid entry.
func ParseRules(entries []string) (Rules, error) {
	if len(entries) > MaxRules {
		return Rules{}, tooMany(MaxRules)
	}
	var (
		rules  Rules
		faults pyth.FieldErrors
	)
	for i, entry := range entries {
		r, err := parseRule(entry)
		if err == nil && r.subdomains && !strings.Contains(r.host.name, ".") {
			err = errTooWide
		}
		if err != nil {
			faults.Add("body.network.allow["+strconv.Itoa(i)+"]", "%v", err)
			continue
		}
		rules.rules = append(rules.rules, r)
	}
	if faults != nil {
		return Rules{}, faults.Err()
	}
	return rules, nil
}

// ParseDeny parses an operator's denylist. Unlike in ParseRules, a rule
// without a port matches all ports, and a wildcard may cover a top-level name, as
// in *.internal.
func ParseDeny(entries []string) (Rules, error) {
	var rules Rules
	for _, entry := range entries {
		r, err := parseRule(entry)
		if err != nil {
			return Rules{}, fmt.Errorf("host to deny %q: %w", entry, err)
		}
		rules.rules = append(rules.rules, r)
	}
	return rules, nil
}

func parseRule(entry string) (rule, error) {
	switch {
	case entry == "":
		return rule{}, errEmpty
	case len(entry) > maxEntry:
		return rule{}, errLength
	case strings.ContainsAny(entry, `/\@?#`):
		return rule{}, errURL
	}
	name, port, err := splitPort(entry)
	if err != nil {
		return rule{}, err
	}
	if name == "*" || name == "*." {
		return rule{}, errAll
	}
	name, subdomains := strings.CutPrefix(name, "*.")
	if strings.Contains(name, "*") {
		return rule{}, errWildcard
	}
	if name, err = toASCII(name); err != nil {
		return rule{}, err
	}
	h, err := parseHost(name)
	switch {
	case err != nil:
		return rule{}, err
	case subdomains && h.name == "":
		return rule{}, errWildcard
	}
	return rule{host: h, subdomains: subdomains, port: port}, nil
}

// Len returns the number of rules.
func (r Rules) Len() int { return len(r.rules) }

// Strings returns the rules in canonical spelling, which ParseRules accepts.
func (r Rules) Strings() []string {
	all := make([]string, len(r.rules))
	for i, r := range r.rules {
		all[i] = r.String()
	}
	return all
}

func (r rule) String() string {
	s := r.host.String()
	if r.subdomains {
		s = "*." + s
	}
	if r.port != 0 {
		s += ":" + strconv.Itoa(int(r.port))
	}
	return s
}

// allow reports whether an allowlist with these rules allows the target.
func (r Rules) allow(t target) bool {
	isDefaultPort := t.port == portHTTP || t.port == portHTTPS
	for _, rule := range r.rules {
		if rule.covers(t.host) && (rule.port == t.port || rule.port == 0 && isDefaultPort) {
			return true
		}
	}
	return false
}

// deny reports whether a denylist with these rules denies the target.
func (r Rules) deny(t target) bool {
	for _, rule := range r.rules {
		if rule.covers(t.host) && (rule.port == t.port || rule.port == 0) {
			return true
		}
	}
	return false
}

func (r rule) covers(h host) bool {
	if !r.subdomains {
		return r.host == h
	}
	parent, ok := strings.CutSuffix(h.name, r.host.name)
	return ok && strings.HasSuffix(parent, ".")
}

func tooMany(most int) error {
	return pyth.Invalid("body.network.allow", "must have at most %d entries", most)
}
