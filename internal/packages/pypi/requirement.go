package pypi

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

var (
	errMarker     = errors.New("must have no environment marker")
	errName       = errors.New("must begin with a package name: letters and digits, with . _ - between them")
	errExtras     = errors.New("must have at most 16 extras, each a name, such as package[one,two]")
	errConstraint = errors.New("must have version specifiers of PEP 440 after the name, such as >=2,<3")
)

// maxName is the maximum length of a package name in bytes. All names on PyPI are
// shorter.
const maxName = 128

const maxExtras = 16

var (
	// namePattern matches the name of a package or of an extra (PEP 508).
	namePattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	// The pattern "separators" matches the characters between the parts of a name. In PEP
	// 503, any sequence of these characters is equal to one hyphen.
	separators = regexp.MustCompile(`[-_.]+`)
	// versionPattern matches a version (PEP 440, appendix B). It also accepts the
	// alternative spellings that PEP 440 normalizes, such as v1.0-alpha.
	versionPattern = regexp.MustCompile(`(?i)^v?(?:[0-9]{1,20}!)?[0-9]{1,20}(?:\.[0-9]{1,20})*` +
		`(?:[-_.]?(?:alpha|a|beta|b|preview|pre|c|rc)[-_.]?[0-9]{0,20})?` +
		`(?:-[0-9]{1,20}|[-_.]?(?:post|rev|r)[-_.]?[0-9]{0,20})?` +
		`(?:[-_.]?dev[-_.]?[0-9]{0,20})?(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?$`)
	// prefixPattern matches a version prefix such as 5.*.
	prefixPattern = regexp.MustCompile(`^v?(?:[0-9]{1,20}!)?[0-9]{1,20}(?:\.[0-9]{1,20})*\.\*$`)
)

// operators returns the comparison operators of PEP 440. Longer operators come first. It
// omits the operator ===, which compares versions as text.
func operators() []string { return []string{"~=", "==", "!=", "<=", ">=", "<", ">"} }

// normalize returns the name of a package in the normalized form of PEP 503.
func normalize(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}

// parse parses a package name with extras and version constraints (PEP 508). It
// refuses URLs and markers.
func parse(s string) (resolve.Requirement, error) {
	if err := resolve.CheckText(s); err != nil {
		return resolve.Requirement{}, err
	}
	switch {
	case strings.HasPrefix(s, "-"), strings.ContainsAny(s, `@/\:`):
		return resolve.Requirement{}, resolve.ErrURL
	case strings.Contains(s, ";"):
		return resolve.Requirement{}, errMarker
	}
	end := strings.IndexAny(s, " [(~=!<>")
	if end < 0 {
		end = len(s)
	}
	name, rest := s[:end], strings.TrimLeft(s[end:], " ")
	if len(name) > maxName || !namePattern.MatchString(name) {
		return resolve.Requirement{}, errName
	}
	r := resolve.Requirement{Name: normalize(name)}
	var err error
	if r.Extras, rest, err = parseExtras(rest); err != nil {
		return resolve.Requirement{}, err
	}
	if r.Constraint, err = parseConstraint(rest); err != nil {
		return resolve.Requirement{}, err
	}
	r.Text = r.Name
	if len(r.Extras) > 0 {
		r.Text += "[" + strings.Join(r.Extras, ",") + "]"
	}
	r.Text += r.Constraint
	return r, nil
}

// parseExtras parses a list such as [one,two] at the start of s. It returns the extras
// and the text after the list. If there is no list, it returns the whole text s.
func parseExtras(s string) (extras []string, rest string, err error) {
	if !strings.HasPrefix(s, "[") {
		return nil, s, nil
	}
	list, rest, ok := strings.Cut(s[1:], "]")
	if !ok {
		return nil, "", errExtras
	}
	for extra := range strings.SplitSeq(list, ",") {
		extra = strings.Trim(extra, " ")
		if len(extra) > maxName || !namePattern.MatchString(extra) || len(extras) == maxExtras {
			return nil, "", errExtras
		}
		extras = append(extras, normalize(extra))
	}
	slices.Sort(extras)
	return slices.Compact(extras), strings.TrimLeft(rest, " "), nil
}

// parseConstraint parses version comparisons, with or without parentheses, and returns
// them in normalized form. It returns "" if s contains no comparisons.
func parseConstraint(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "("); ok {
		if s, ok = strings.CutSuffix(inner, ")"); !ok || strings.Trim(s, " ") == "" {
			return "", errConstraint
		}
	}
	if s == "" {
		return "", nil
	}
	var clauses []string
	for clause := range strings.SplitSeq(s, ",") {
		c, err := parseClause(strings.Trim(clause, " "))
		if err != nil {
			return "", err
		}
		clauses = append(clauses, c)
	}
	return strings.Join(clauses, ","), nil
}

// parseClause parses one comparison, such as >=1.2, and returns it in normalized
// form.
func parseClause(s string) (string, error) {
	for _, operator := range operators() {
		version, ok := strings.CutPrefix(s, operator)
		if !ok {
			continue
		}
		version = strings.TrimLeft(version, " ")
		prefix := (operator == "==" || operator == "!=") && prefixPattern.MatchString(version)
		if !prefix && !versionPattern.MatchString(version) || operator == "~=" && !strings.Contains(version, ".") {
			return "", errConstraint
		}
		return operator + version, nil
	}
	return "", errConstraint
}
