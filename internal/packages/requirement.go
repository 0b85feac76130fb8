package packages

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// maxRequirement bounds what is asked for of one package, in bytes.
const maxRequirement = 512

// requirement is a package that a user asks for.
type requirement struct {
	// name is in the one form that all its spellings mean.
	name string
	// constraint is what versions will do; "" for any.
	constraint string
	// extras are optional parts of a Python package, sorted.
	extras []string
}

var (
	errLong       = errors.New("must be at most 512 bytes")
	errCharacters = errors.New("must be plain ASCII, without control characters or spaces at its ends")
	errURL        = errors.New("must be the name of a package in the index: URLs, paths and options are not taken")
	errMarker     = errors.New("must have no environment marker")
	errName       = errors.New("must begin with the name of a package: letters, digits, and between them . _ -")
	errExtras     = errors.New("must have at most 16 extras, each a name, such as package[one,two]")
	errConstraint = errors.New("must have versions as in PEP 440 after the name, such as >=2,<3")
)

// parse reads a requirement of the runtime.
func parse(runtime pyth.Runtime, s string) (requirement, error) {
	switch {
	case len(s) > maxRequirement:
		return requirement{}, errLong
	case strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
		return requirement{}, errCharacters
	}
	if runtime == pyth.NodeRuntime {
		return parseNode(s)
	}
	return parsePython(s)
}

// String is the requirement as its runtime writes it.
func (r requirement) text(runtime pyth.Runtime) string {
	if runtime == pyth.NodeRuntime {
		if r.constraint == "" {
			return r.name
		}
		return r.name + "@" + r.constraint
	}
	s := r.name
	if len(r.extras) > 0 {
		s += "[" + strings.Join(r.extras, ",") + "]"
	}
	return s + r.constraint
}

// maxName is more than any package of PyPI has.
const maxName = 128

var (
	// PEP 508: identifiers.
	pythonName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	// PEP 503: what is the same in names.
	separators = regexp.MustCompile(`[-_.]+`)
	// PEP 440, appendix B, without the spellings that it only tolerates inside
	// of a version but for those of pre-releases.
	pythonVersion = regexp.MustCompile(`(?i)^v?(?:[0-9]{1,20}!)?[0-9]{1,20}(?:\.[0-9]{1,20})*` +
		`(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?[0-9]{0,20})?` +
		`(?:-[0-9]{1,20}|[-_.]?(?:post|rev|r)[-_.]?[0-9]{0,20})?` +
		`(?:[-_.]?dev[-_.]?[0-9]{0,20})?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?$`)
	pythonPrefix = regexp.MustCompile(`^v?(?:[0-9]{1,20}!)?[0-9]{1,20}(?:\.[0-9]{1,20})*\.\*$`)
)

// pythonOperators are those of PEP 440 without the one that compares text, the
// longer ones first.
func pythonOperators() []string { return []string{"~=", "==", "!=", "<=", ">=", "<", ">"} }

// normalize is a Python package's name in the form of PEP 503.
func normalize(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// parsePython reads a name, extras and version constraints (PEP 508 without
// URLs and markers).
func parsePython(s string) (requirement, error) {
	switch {
	case strings.HasPrefix(s, "-"), strings.ContainsAny(s, `@/\:`):
		return requirement{}, errURL
	case strings.Contains(s, ";"):
		return requirement{}, errMarker
	}
	end := strings.IndexAny(s, " [(~=!<>")
	if end < 0 {
		end = len(s)
	}
	name, rest := s[:end], strings.TrimLeft(s[end:], " ")
	if len(name) > maxName || !pythonName.MatchString(name) {
		return requirement{}, errName
	}
	r := requirement{name: normalize(name)}
	if strings.HasPrefix(rest, "[") {
		list, after, ok := strings.Cut(rest[1:], "]")
		if !ok {
			return requirement{}, errExtras
		}
		rest = strings.TrimLeft(after, " ")
		for extra := range strings.SplitSeq(list, ",") {
			extra = strings.Trim(extra, " ")
			if len(extra) > maxName || !pythonName.MatchString(extra) || len(r.extras) == 16 {
				return requirement{}, errExtras
			}
			r.extras = append(r.extras, normalize(extra))
		}
		slices.Sort(r.extras)
		r.extras = slices.Compact(r.extras)
	}
	if inner, ok := strings.CutPrefix(rest, "("); ok {
		if rest, ok = strings.CutSuffix(inner, ")"); !ok || strings.Trim(rest, " ") == "" {
			return requirement{}, errConstraint
		}
	}
	if rest == "" {
		return r, nil
	}
	var clauses []string
	for clause := range strings.SplitSeq(rest, ",") {
		c, err := parseClause(strings.Trim(clause, " "))
		if err != nil {
			return requirement{}, err
		}
		clauses = append(clauses, c)
	}
	r.constraint = strings.Join(clauses, ",")
	return r, nil
}

// parseClause reads one comparison.
func parseClause(s string) (string, error) {
	for _, operator := range pythonOperators() {
		version, ok := strings.CutPrefix(s, operator)
		if !ok {
			continue
		}
		version = strings.TrimLeft(version, " ")
		prefix := (operator == "==" || operator == "!=") && pythonPrefix.MatchString(version)
		if !prefix && !pythonVersion.MatchString(version) || operator == "~=" && !strings.Contains(version, ".") {
			return "", errConstraint
		}
		return operator + version, nil
	}
	return "", errConstraint
}
