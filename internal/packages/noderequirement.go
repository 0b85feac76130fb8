package packages

import (
	"errors"
	"regexp"
	"strings"
)

// maxNodeName is npm's own bound.
const maxNodeName = 214

var (
	errNodeName  = errors.New("must begin with the name of a package: letters, digits, - _ . and ~, with an @scope/ before it if it has one")
	errNodeRange = errors.New("must have a range of versions after the name and @, as npm writes them, such as ^4.17.0 or >=3 <5")
)

var (
	// validate-npm-package-name, for names as there are: old ones have capitals.
	nodeName = regexp.MustCompile(`^(?:@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	// node-semver's grammar of a comparator: an operator and a version, of which
	// parts may be missing or x.
	comparator = regexp.MustCompile(`^(?:[<>]=?|=|~>?|\^)?` + partial + `$`)
	version    = regexp.MustCompile(`^` + partial + `$`)
	// gap is the space that may follow an operator.
	gap = regexp.MustCompile(`(^|[ |])([<>]=?|=|~>?|\^) +`)
)

const (
	part    = `(?:[xX*]|0|[1-9][0-9]{0,15})`
	labels  = `[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*`
	partial = `v?` + part + `(?:\.` + part + `(?:\.` + part + `(?:-` + labels + `)?(?:\+` + labels + `)?)?)?`
)

// parseNode reads a package's name and a range of versions (node-semver). The
// tag latest is what no range means; there are no others, since they say
// nothing of versions.
func parseNode(s string) (requirement, error) {
	name, constraint := s, ""
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		name, constraint = s[:i], s[i+1:]
		if constraint == "" {
			return requirement{}, errNodeRange
		}
	}
	switch base := name[strings.IndexByte(name, '/')+1:]; {
	case strings.HasPrefix(s, "-"), strings.ContainsAny(name, `:\`), strings.Contains(constraint, ":"), strings.Contains(constraint, "/"):
		return requirement{}, errURL
	case len(name) > maxNodeName || !nodeName.MatchString(name), base == "node_modules", base == "favicon.ico":
		return requirement{}, errNodeName
	case constraint == "latest":
		return requirement{name: name}, nil
	}
	if constraint == "" {
		return requirement{name: name}, nil
	}
	if !isRange(constraint) {
		return requirement{}, errNodeRange
	}
	return requirement{name: name, constraint: strings.Join(strings.Fields(constraint), " ")}, nil
}

// isRange tells whether the text is a range of versions.
func isRange(s string) bool {
	for alternative := range strings.SplitSeq(s, "||") {
		alternative = strings.Trim(alternative, " ")
		if low, high, ok := strings.Cut(alternative, " - "); ok {
			if !version.MatchString(strings.Trim(low, " ")) || !version.MatchString(strings.Trim(high, " ")) {
				return false
			}
			continue
		}
		fields := strings.Fields(gap.ReplaceAllString(alternative, "$1$2"))
		if len(fields) == 0 {
			return false
		}
		for _, field := range fields {
			if !comparator.MatchString(field) {
				return false
			}
		}
	}
	return true
}
