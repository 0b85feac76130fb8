// Package resolvetest provides tests of requirements. The tests of all resolvers use it.
package resolvetest

import (
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// HostileRequirements returns texts that are hostile or invalid as requirements (attacks
// 81, 82 and 87). A resolver must refuse these texts. The only exceptions are a few texts
// that are valid in one of the runtimes.
func HostileRequirements() []string {
	return []string{
		"", " ", "-", ".", "--index-url=http://evil.example", "-r x", "-e .", "git+https://evil.example/x", "file:///etc/passwd", "./x", "../x", "/x",
		"x @ https://evil.example/x.whl", "x@https://evil.example/x.whl", "x@file:y", "x@git+ssh://y", "x@npm:y@1", "x@user/repo", "user/repo",
		"a==1;os", "a; os_name == 'x'", "a\n", "a\nb", " a", "a ", "a b", "a==1 b", "a\x00", "a\tb", "a==1\r\n-i x",
		"rеquests", "ｒequests", "requests\u200b", "\u202erequests", strings.Repeat("a", 10<<10), strings.Repeat("a", 215),
		"a==", "a=1", "a==1,", "a,b", "a[b", "a[]", "a[b]]", "a()", "a(>=1", "a===1", "a~=1", "a>=1.*", "a==../x", "a==1'", "a==$(id)", "_a", "a_", "a@", "a@latest@1",
		"@/x", "@a/", "@a/b/c", "a/b", "node_modules", "a@1.2.3.4", "a@>=", "a@||", "a@1 - ", "a@beta", "a@^^1", `a\b`, "~/x", "%2e%2e/x", "a%2fb", "a#b", "a?b",
	}
}

// CheckRefusal checks that the function "parse" refuses all hostile requirements, except
// for the given texts. The given texts are valid requirements in this runtime.
func CheckRefusal(t *testing.T, parse func(string) (resolve.Requirement, error), valid ...string) {
	t.Helper()
	allowed := map[string]bool{}
	for _, text := range valid {
		allowed[text] = true
	}
	for _, text := range HostileRequirements() {
		if r, err := parse(text); err == nil && !allowed[text] {
			t.Errorf("%q is accepted as %+v", text, r)
		}
	}
}

// Fuzz checks the normalized text of each requirement that the function "parse" accepts.
// The text must not be a URL, a path or an option for a package manager. If the function
// parses the text again, the text must not change. If the parameter "scoped" is true,
// names may have a scope, as in @scope/name.
func Fuzz(f *testing.F, parse func(string) (resolve.Requirement, error), scoped bool) {
	f.Helper()
	for _, text := range append(HostileRequirements(), "numpy >= 2, < 3", "a[b]!=1.0rc1", "@noble/hashes@^1.4.0", "zod@1.2.3 - 2") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in string) {
		r, err := parse(in)
		if err != nil {
			return
		}
		if again, err := parse(r.Text); err != nil || again.Text != r.Text {
			t.Errorf("%q was normalized to %q, which parses as %+v, %v", in, r.Text, again, err)
		}
		if strings.HasPrefix(r.Text, "-") || strings.HasPrefix(r.Text, ".") || strings.ContainsAny(r.Text, ";:\\\n\r\x00\"'`$&#?%") {
			t.Errorf("%q becomes %q", in, r.Text)
		}
		slashes := strings.Count(r.Text, "/")
		if slashes > 1 || slashes == 1 && (!scoped || !strings.HasPrefix(r.Text, "@")) {
			t.Errorf("%q becomes %q", in, r.Text)
		}
	})
}
