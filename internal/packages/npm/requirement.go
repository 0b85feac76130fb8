package npm

import (
	"errors"
	"regexp"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// maxName is the maximum length of a package name in bytes. npm has the same limit.
const maxName = 214

var (
	errName  = errors.New("must begin with a package name of letters, digits, - _ . and ~, with or without an @scope/ before it")
	errRange = errors.New("must have a version range of npm after the name and @, such as ^4.17.0 or >=3 <5")
)

var (
	// namePattern matches the names that validate-npm-package-name accepts. It also
	// matches the names of old packages, which may contain capital letters.
	namePattern = regexp.MustCompile(`^(?:@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)
	// The pattern "comparator" matches a comparator of node-semver. A comparator is an
	// operator and a version. Parts of the version may be missing or x, as in ">=1.x".
	comparator = regexp.MustCompile(`^(?:[<>]=?|=|~>?|\^)?` + partial + `$`)
	version    = regexp.MustCompile(`^` + partial + `$`)
	// The pattern "gap" matches an operator with spaces after it.
	gap = regexp.MustCompile(`(^|[ |])([<>]=?|=|~>?|\^) +`)
)

const (
	part    = `(?:[xX*]|0|[1-9][0-9]{0,15})`
	labels  = `[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*`
	partial = `v?` + part + `(?:\.` + part + `(?:\.` + part + `(?:-` + labels + `)?(?:\+` + labels + `)?)?)?`
)

// parse parses a package name with a range of versions (node-semver). It accepts the tag
// "latest", which allows any version. It refuses all other tags, because a tag is not a
// range of versions.
func parse(s string) (resolve.Requirement, error) {
	if err := resolve.CheckText(s); err != nil {
		return resolve.Requirement{}, err
	}
	name, constraint := s, ""
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		name, constraint = s[:i], s[i+1:]
		if constraint == "" {
			return resolve.Requirement{}, errRange
		}
	}
	switch base := name[strings.IndexByte(name, '/')+1:]; {
	case strings.HasPrefix(s, "-"), strings.ContainsAny(name, `:\`), strings.Contains(constraint, ":"), strings.Contains(constraint, "/"):
		return resolve.Requirement{}, resolve.ErrURL
	case len(name) > maxName || !namePattern.MatchString(name), base == "node_modules", base == "favicon.ico":
		return resolve.Requirement{}, errName
	case constraint == "", constraint == "latest":
		return resolve.Requirement{Name: name, Text: name}, nil
	case !isRange(constraint):
		return resolve.Requirement{}, errRange
	}
	constraint = strings.Join(strings.Fields(constraint), " ")
	return resolve.Requirement{Name: name, Constraint: constraint, Text: name + "@" + constraint}, nil
}

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
