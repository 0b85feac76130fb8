package workpath

import (
	"math/rand"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no string }{
		"*.csv":             {"a.csv .csv é.csv", "a.txt d/a.csv a.csv.gz"},
		"./chart.txt":       {"chart.txt", "x/chart.txt"},
		"././a//b":          {"a/b", "a b"},
		"a/./b":             {"a/b", "a/x/b"},
		"out/":              {"out/a out/b/c", "out outer/a x/out/a"},
		"./out/":            {"out/a", "out"},
		"out/.":             {"out/a/b", "x"},
		".":                 {"a b/c .d", ""},
		"./":                {"a b/c", ""},
		".*":                {".a .a.b", "a"},
		".x/*":              {".x/a", "x/a"},
		"**":                {"a a/b/c", ""},
		"**/x":              {"x a/x a/b/x", "xx a/xx"},
		"a/**":              {"a/b a/b/c", "b/a"},
		"a/**/b":            {"a/b a/x/b a/x/y/b", "a/xb ab a/b/c"},
		"a**b":              {"ab axb", "a/b"},
		"**b":               {"b ab", "a/b"},
		"{a,b/**}/c":        {"a/c b/c b/x/y/c", "c x/c"},
		"{./a,b}.txt":       {"a.txt b.txt", "c.txt"},
		"{out/,x}":          {"out/a/b x", "out y"},
		"{a,{b,c}d}e":       {"ae bde cde", "be de"},
		"{,a}b":             {"b ab", "a"},
		"/{":                {"", ""},
		`\*`:                {"*", "a"},
		`a\/b`:              {"a/b", "ab"},
		"[a-c]x[!y-z]":      {"axa cx.", "dxa axy"},
		"[^a]*":             {"b bc", "a ab"},
		`[\]a]`:             {"] a", "b"},
		"[a-]":              {"a -", "b"},
		"?":                 {"a é \u200d", "ab"},
		"گزارش\u200cها.txt": {"گزارش\u200cها.txt", "گزارشها.txt"},
	} {
		p, err := ParsePattern(pattern)
		if pattern == "/{" {
			if err == nil {
				t.Errorf("%s is accepted", pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for _, name := range strings.Fields(c.yes) {
			if !p.Match(name) {
				t.Errorf("%s does not match %s", pattern, name)
			}
		}
		for _, name := range strings.Fields(c.no) {
			if p.Match(name) {
				t.Errorf("%s matches %s", pattern, name)
			}
		}
	}
}

func TestParsePatternRefusesInvalidPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]error{
		"":                        nil,
		strings.Repeat("a", 1025): nil,
		"a\x00":                   errPattern,
		"a\xff":                   errPattern,
		"[a":                      errPattern,
		"[]":                      errPattern,
		"[":                       errPattern,
		"[!":                      errPattern,
		"{a":                      errPattern,
		"{a,{b}":                  errPattern,
		"a}":                      errPattern,
		`a\`:                      errPattern,
		"[a-":                     errPattern,
		"/x":                      errAbsolute,
		"//x":                     errAbsolute,
		"/":                       errAbsolute,
		"..":                      errParent,
		"../x":                    errParent,
		"a/../b":                  errParent,
		"a/..":                    errParent,
		"*/../x":                  errParent,
		"{../a,b/../c}":           errParent,
		"{/a,/b}":                 errNever,
		"{/a,../b}":               errParent,
		"[/]":                     errNever,
		"[.][.]/a":                errNever,
		"a/{..,../b}/c":           errParent,
		"{/a,{../b,/c}}":          errParent, strings.Repeat("{/a,/b}", 140): errNever,
	} {
		p, err := ParsePattern(pattern)
		if err == nil || (want != nil && err != want) { //nolint:errorlint // The errors are not wrapped.
			t.Errorf("%.40q: got %v, %v, want %v", pattern, p, err, want)
		}
	}
}

func TestPatternLiteral(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"a": "a", "./a//b": "a/b", `a\*`: "a*", "a/": "", ".": "", "*": "", "{a,b}": "", "a?": "", "[a]": "",
	} {
		if p, err := ParsePattern(pattern); err != nil || p.Literal() != want {
			t.Errorf("%s: %v, %v", pattern, p, err)
		}
	}
}

// TestParsePatternMatchesInLinearTime uses patterns for which a matcher with
// backtracking takes exponential time.
func TestParsePatternMatchesInLinearTime(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("a", 1000)
	for _, pattern := range []string{
		strings.Repeat("{a,a}", 200) + "b",
		strings.Repeat("{a,aa,*}", 120) + "b",
		strings.Repeat("*a", 500) + "b",
		strings.Repeat("{*a,a*}", 140) + "b",
		strings.Repeat("**/", 300) + "b",
		strings.Repeat("{", 250) + "a" + strings.Repeat(",b}", 250) + "b",
		strings.Repeat("*", 1023) + "b",
		strings.Repeat("{{a,a},{a,a}}", 75) + "b",
	} {
		start := time.Now()
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Errorf("%.20s: %v", pattern, err)
			continue
		}
		if p.Match(name) || p.Match(strings.Repeat("a/", 500)+"a") {
			t.Errorf("%.20s matches", pattern)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.20s took %v", pattern, d)
		}
	}
}

// FuzzPattern compares the matcher with the library doublestar. It uses only
// patterns that have the same meaning in both implementations.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"*.csv", "a.csv"},
		{"a/**/b", "a/x/y/b"},
		{"{a,b/**}/c", "b/x/c"},
		{"[!a-c]?*", "xyz"},
		{`\{a`, "{a"},
		{"**/*.{a,b}", "x/y.b"},
		{"{**/,}a*", "x/ab"},
		{"*/**/{*}?/**", "a.b.ab/bb..b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		got := p.Match(name)
		if Fault(name) != "" || len(pattern) > 60 || strings.Count(pattern, "{") > 6 || !sameInDoublestar(pattern) {
			return
		}
		if want, err := doublestar.Match(pattern, name); err == nil && got != want {
			t.Errorf("pattern %q, path %q: got %v, want %v", pattern, name, got, want)
		}
		if l := p.Literal(); l != "" && !p.Match(l) && Fault(l) == "" {
			t.Errorf("pattern %q does not match its only path %q", pattern, l)
		}
	})
}

// sameInDoublestar reports whether the pattern has the same meaning for the library
// doublestar. Such a pattern is a clean path and contains ** only as a whole name.
func sameInDoublestar(pattern string) bool {
	if pattern == "." || strings.ContainsAny(pattern, "[\\") || path.Clean(pattern) != pattern || strings.Contains(pattern, "***") {
		return false
	}
	for _, odd := range []string{"{/", ",/", "/}", "/,", "{.", ",.", "{}", "{,", ",,", ",}", "*{", "}*", "}{", "}/", "}.", "/.}", "/.,"} {
		if strings.Contains(pattern, odd) {
			return false
		}
	}
	if strings.Contains(strings.ReplaceAll("/"+pattern+"/", "/**/", "//"), "**") {
		return false
	}
	// In the library doublestar, the pattern "a/**" also matches "a". In this package,
	// it does not match "a". So ** may only be at the beginning or in the middle.
	return !strings.Contains(strings.ReplaceAll(pattern, "/**/", "/"), "/**")
}

func TestMatchAgreesWithAnotherMatcher(t *testing.T) {
	t.Parallel()
	const alphabet = "ab./*?{,}**"
	check := func(p, n []byte) bool {
		text := func(b []byte, alphabet string) string {
			var s strings.Builder
			for _, c := range b[:min(len(b), 12)] {
				s.WriteByte(alphabet[int(c)%len(alphabet)])
			}
			return s.String()
		}
		pattern, name := text(p, alphabet), text(n, "ab./")
		parsed, err := ParsePattern(pattern)
		if err != nil || Fault(name) != "" || !sameInDoublestar(pattern) || slices.Contains(strings.Split(name, "/"), "..") {
			return true
		}
		want, err := doublestar.Match(pattern, name)
		if err == nil && parsed.Match(name) != want {
			t.Logf("pattern %q, path %q: want %v", pattern, name, want)
			return false
		}
		return true
	}
	// Compare the same patterns in each run of make test. Only make test-deep searches for new
	// differences.
	config := &quick.Config{MaxCount: 300_000}
	if testing.Short() {
		config.Rand = rand.New(rand.NewSource(1))
	}
	if err := quick.Check(check, config); err != nil {
		t.Error(err)
	}
}
