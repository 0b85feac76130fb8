package packages

import (
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestRequirementsOfPython(t *testing.T) {
	for in, want := range map[string]string{
		"requests":                       "requests",
		"Flask_SQLAlchemy":               "flask-sqlalchemy",
		"zope.interface==5.*":            "zope-interface==5.*",
		"numpy >= 2, < 3":                "numpy>=2,<3",
		"numpy(>=2)":                     "numpy>=2",
		"uvicorn[standard, Watch_Files]": "uvicorn[standard,watch-files]",
		"a[b,b]!=1.0rc1,~=1.4":           "a[b]!=1.0rc1,~=1.4",
		"torch==2.1.0+cpu":               "torch==2.1.0+cpu",
		"a==1!2.0.post1.dev3":            "a==1!2.0.post1.dev3",
		"3to2":                           "3to2",
	} {
		r, err := parse(pyth.PythonRuntime, in)
		if err != nil || r.text(pyth.PythonRuntime) != want {
			t.Errorf("%q is %q, %v; want %q", in, r.text(pyth.PythonRuntime), err, want)
		}
	}
}

func TestRequirementsOfNode(t *testing.T) {
	for in, want := range map[string]string{
		"lodash":                     "lodash",
		"lodash@latest":              "lodash",
		"@noble/hashes":              "@noble/hashes",
		"@noble/hashes@^1.4.0":       "@noble/hashes@^1.4.0",
		"zod@>=3  <5":                "zod@>=3 <5",
		"zod@>= 3 || 4.x":            "zod@>= 3 || 4.x",
		"zod@1.2.3 - 2":              "zod@1.2.3 - 2",
		"zod@*":                      "zod@*",
		"zod@~1.2":                   "zod@~1.2",
		"JSONStream@1.3.5-rc.1+b.17": "JSONStream@1.3.5-rc.1+b.17",
	} {
		r, err := parse(pyth.NodeRuntime, in)
		if err != nil || r.text(pyth.NodeRuntime) != want {
			t.Errorf("%q is %q, %v; want %q", in, r.text(pyth.NodeRuntime), err, want)
		}
	}
}

// hostile are what no runtime takes (attacks 81, 82 and 87).
func hostile() []string {
	return []string{
		"", " ", "-", ".", "--index-url=http://evil.example", "-r x", "-e .", "git+https://evil.example/x", "file:///etc/passwd", "./x", "../x", "/x",
		"x @ https://evil.example/x.whl", "x@https://evil.example/x.whl", "x@file:y", "x@git+ssh://y", "x@npm:y@1", "x@user/repo", "user/repo",
		"a==1;os", "a; os_name == 'x'", "a\n", "a\nb", " a", "a ", "a b", "a==1 b", "a\x00", "a\tb", "a==1\r\n-i x",
		"rеquests", "ｒequests", "requests\u200b", "\u202erequests", strings.Repeat("a", 10<<10), strings.Repeat("a", 215),
		"a==", "a=1", "a==1,", "a,b", "a[b", "a[]", "a[b]]", "a()", "a(>=1", "a===1", "a~=1", "a>=1.*", "a==../x", "a==1'", "a==$(id)", "_a", "a_", "a@", "a@latest@1",
		"@/x", "@a/", "@a/b/c", "a/b", "node_modules", "a@1.2.3.4", "a@>=", "a@||", "a@1 - ", "a@beta", "a@^^1", `a\b`, "~/x", "%2e%2e/x", "a%2fb", "a#b", "a?b",
	}
}

func TestWhatIsNotANameWithVersionsIsRefused(t *testing.T) {
	for _, runtime := range []pyth.Runtime{pyth.PythonRuntime, pyth.NodeRuntime} {
		for _, in := range hostile() {
			if runtime == pyth.NodeRuntime && in == "a_" || runtime == pyth.PythonRuntime && in == "node_modules" {
				continue // Is a name to the other.
			}
			if r, err := parse(runtime, in); err == nil {
				t.Errorf("%s takes %q as %+v", runtime, in, r)
			}
		}
	}
}

// FuzzRequirement checks that what is taken can be nothing but a name and
// versions to pip and npm, and means the same when it is read again.
func FuzzRequirement(f *testing.F) {
	for _, in := range append(hostile(), "numpy >= 2, < 3", "a[b]!=1.0rc1", "@noble/hashes@^1.4.0", "zod@1.2.3 - 2") {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, runtime := range []pyth.Runtime{pyth.PythonRuntime, pyth.NodeRuntime} {
			r, err := parse(runtime, in)
			if err != nil {
				continue
			}
			text := r.text(runtime)
			if again, err := parse(runtime, text); err != nil || again.text(runtime) != text {
				t.Errorf("%q becomes %q, and that %+v, %v", in, text, again, err)
			}
			if strings.HasPrefix(text, "-") || strings.HasPrefix(text, ".") || strings.ContainsAny(text, ";:\\\n\r\x00\"'`$&#?%") {
				t.Errorf("%q becomes %q", in, text)
			}
			slashes := strings.Count(text, "/")
			if slashes > 1 || slashes == 1 && (runtime == pyth.PythonRuntime || !strings.HasPrefix(text, "@")) {
				t.Errorf("%q becomes %q", in, text)
			}
		}
	})
}
