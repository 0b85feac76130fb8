package egress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// The ports that a rule means which names none.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// MaxRules is how many rules a request may have at most.
const MaxRules = 100

// maxEntry bounds a rule before it is looked at: a name, a port, and as much
// again for letters that take several bytes.
const maxEntry = 1024

var (
	errEmpty    = errors.New("must not be empty")
	errURL      = errors.New("must be a host alone, with no scheme, path or user")
	errAll      = errors.New("must name hosts: * alone is not possible")
	errWildcard = errors.New("must have * only as the whole first part of a name, such as *.example.org")
	errTooWide  = errors.New("must have two parts after *, such as *.example.org")
)

// Rules is a set of hosts with ports. The zero value has none.
type Rules struct{ rules []rule }

// rule is for one host, or for all names below it.
type rule struct {
	host  host
	below bool
	// port 0 is the usual ones in what is allowed, and all in what is denied.
	port uint16
}

// ParseRules reads network.allow of a request. Its error has a field for each
// entry that is wrong.
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
		if err == nil && r.below && !strings.Contains(r.host.name, ".") {
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

// ParseDeny reads what an operator denies. Here a rule without a port is for
// all ports, and *.internal is possible.
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
	name, below := strings.CutPrefix(name, "*.")
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
	case below && h.name == "":
		return rule{}, errWildcard
	}
	return rule{host: h, below: below, port: port}, nil
}

// Len is how many rules there are.
func (r Rules) Len() int { return len(r.rules) }

// Strings is the rules in the form that ParseRules reads, each spelt in the one
// way that all its spellings mean.
func (r Rules) Strings() []string {
	all := make([]string, len(r.rules))
	for i, r := range r.rules {
		all[i] = r.String()
	}
	return all
}

func (r rule) String() string {
	s := r.host.String()
	if r.below {
		s = "*." + s
	}
	if r.port != 0 {
		s += ":" + strconv.Itoa(int(r.port))
	}
	return s
}

// allow tells whether the rules, as what is allowed, have the target.
func (r Rules) allow(t target) bool {
	usual := t.port == portHTTP || t.port == portHTTPS
	for _, rule := range r.rules {
		if rule.covers(t.host) && (rule.port == t.port || rule.port == 0 && usual) {
			return true
		}
	}
	return false
}

// deny tells whether the rules, as what is denied, have the target.
func (r Rules) deny(t target) bool {
	for _, rule := range r.rules {
		if rule.covers(t.host) && (rule.port == t.port || rule.port == 0) {
			return true
		}
	}
	return false
}

func (r rule) covers(h host) bool {
	if !r.below {
		return r.host == h
	}
	parent, ok := strings.CutSuffix(h.name, r.host.name)
	return ok && strings.HasSuffix(parent, ".")
}

func tooMany(most int) error {
	return pyth.Invalid("body.network.allow", "must have at most %d entries", most)
}
