package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// textResults returns results that have text only.
func textResults(texts ...string) richResults {
	shown := richResults{}
	for _, text := range texts {
		shown = append(shown, map[string]any{"text/plain": text})
	}
	return shown
}

// valuePrograms maps successful programs to the values that they show.
var valuePrograms = map[string]struct {
	code string
	want []string
}{
	// B: a compiler warning changes nothing.
	"B of an unknown escape":      {"s = '\\.'\ns", []string{`'\\.'`}},
	"B of a comparison":           {"x = 1\nx is 1", []string{"True"}},
	"B of a call of text":         {"try:\n    'a'(1)\nexcept TypeError:\n    pass\n3", []string{"3"}},
	"B of an assertion":           {"assert (1, 'x')\n4", []string{"4"}},
	"B of a large program":        {strings.Repeat("x = 1\n", 30_000) + "[x,\n 2]", []string{"[1, 2]"}},
	"B of a large one, by a call": {"def f(x):\n    return x\n" + strings.Repeat("y = f(1)\n", 20_000) + "f('é')  # end\n", []string{"'é'"}},

	// E: the program succeeds, whatever happens while its value is shown.
	"E that exits":                  {"class C:\n    def __repr__(self): raise SystemExit(3)\nC()", nil},
	"E that exits by exit()":        {"class C:\n    def _repr_html_(self): exit(3)\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"E that is interrupted":         {"class C:\n    def __repr__(self): raise KeyboardInterrupt\nC()", nil},
	"E that raises what it likes":   {"class X(BaseException): pass\nclass C:\n    def __repr__(self): raise X\nC()", nil},
	"E that returns no text":        {"class C:\n    def __repr__(self): return 1\nC()", nil},
	"E that recurs":                 {"class C:\n    def __repr__(self): return repr(self)\nC()", nil},
	"E that is too deep":            {"x = []\nfor i in range(100_000): x = [x]\nx", nil},
	"E that is in itself":           {"x = {}\nx['x'] = [x]\nx", []string{"{'x': [{...}]}"}},
	"E whose class is a lie":        {"class C:\n    __class__ = property(lambda self: 1 / 0)\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"E that refuses all attributes": {"class C:\n    def __getattribute__(self, name): raise SystemExit\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"E whose text is a lie":         {"class T(str):\n    def __len__(self): raise SystemExit\n    def encode(self, *a): raise SystemExit\nclass C:\n    def __repr__(self): return T('C')\nC()", []string{"C"}},
	"E that needs too much memory":  {"class C:\n    def __repr__(self): return 'x' * (1 << 30)\nC()", nil},
	"E that clears the globals":     {"class C:\n    def __repr__(self):\n        globals().clear()\n        return 'C'\nC()", []string{"C"}},
	"E of too many digits":          {"7 ** 9999", []string{"<int: Exceeds the limit (4300 digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit>"}},

	// I: the value that a notebook would show.
	"I after a semicolon in text":  {"'a;b'", []string{"'a;b'"}},
	"I after one in a comment":     {"1  # a;\n# b;\n", []string{"1"}},
	"I behind another statement":   {"x = 1; x + 1", []string{"2"}},
	"I not before a semicolon":     {"x = 1; x ;  # note", nil},
	"I not before one, over lines": {"(1 +\n 2  # three\n);\n\n# end", nil},
	"I not before one, with text":  {"'#';", nil},
	"I of an assignment":           {"(x := 5)", []string{"5"}},
	"I of a comparison that ends":  {"x = 5\n1 < x < 3", []string{"False"}},
	"I of a condition":             {"x = []\nx and 1 or {}", []string{"{}"}},
	"I of a constant":              {"x = 1\n(1, 'a' 'b', ...)", []string{"(1, 'ab', Ellipsis)"}},
	"I of a docstring":             {"'''doc'''", []string{"'doc'"}},
	"I of the globals":             {"sorted(k for k in globals() if k[:2] != '__')", []string{"[]"}},
	"I of several in parentheses":  {"print(1), 5", []string{"(None, 5)"}},

	// J: forms that an object invents are not shown.
	"J of a mock":             {"from unittest.mock import Mock\nMock(__repr__=lambda self: 'mock')", []string{"mock"}},
	"J of a mock by a class":  {"from unittest.mock import create_autospec, MagicMock\nclass C:\n    def _repr_html_(self): return 'x'\nm = MagicMock(spec=C)\nm.__repr__ = lambda self: 'mock'\nm", []string{"mock"}},
	"J of a module":           {"import types\nm = types.ModuleType('m')\nm.__getattr__ = lambda name: lambda *a, **k: 'made up'\nm.__repr__ = None\ntype(m.x()) and m", []string{"<module 'm' from <function <lambda>.<locals>.<lambda>>"}},
	"J of a remote object":    {"from xmlrpc.client import ServerProxy\nServerProxy('http://localhost:1')", []string{"<ServerProxy for localhost:1/RPC2>"}},
	"J of forms of no kind":   {"class C:\n    def _repr_html_(self): return 5\n    def _repr_png_(self): return 5\n    def _repr_json_(self): return 5\n    def _repr_mimebundle_(self, **k): return 5\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"J of what answers names": {"class C:\n    def __getattr__(self, name): return lambda *a, **k: {'text/html': name}\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
}

// closeSession ends the session, because a user may have only a few.
func (s *session) closeSession(t testing.TB) {
	t.Helper()
	s.server.call(t, s.account, "DELETE", s.path(""), nil).want(t, 204, nil)
}

// requireValues checks a program's end and the values that it shows.
func requireValues(t *testing.T, x *execution, want []string) {
	t.Helper()
	x.ends(t, "succeeded")
	for _, r := range x.Results {
		// Addresses differ.
		if text, ok := r["text/plain"].(string); ok {
			if before, _, found := strings.Cut(text, " at 0x"); found {
				r["text/plain"] = before + ">"
			}
		}
	}
	if diff := cmp.Diff(textResults(want...), x.Results); diff != "" {
		t.Errorf("%s\n(-want +got)\n%s", x, diff)
	}
}

func TestExecuteReturnsValues(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range valuePrograms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireValues(t, a.run(t, c.code), c.want)
		})
	}
}

func TestSessionReturnsValues(t *testing.T) {
	t.Parallel()
	server := sharedServer(t)
	for name, c := range valuePrograms {
		if name == "E that needs too much memory" || name == "I of the globals" {
			continue // A session's limit covers its whole life; its globals use more.
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server.register(t).openSession(t, object{})
			defer s.closeSession(t)
			requireValues(t, s.runCode(t, c.code), c.want)
			requireValues(t, s.runCode(t, "40 + 2"), []string{"42"})
		})
	}
}

// TestExecuteTruncatesLargeValues checks that a value's text is cut before the whole
// text is made.
func TestExecuteTruncatesLargeValues(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct{ code, begin string }{
		"a list":         {"[7] * 25_000_000", "[7, 7, 7, "},
		"a tuple":        {"x = (None,) * 24_000_000\nx", "(None, None, "},
		"a dictionary":   {"{i: [i] for i in range(300_000)}", "{0: [0], 1: [1], "},
		"a set":          {"s = {-1}\ns.update(range(1_000_000))\ns", "{0, 1, 2, "},
		"text":           {"'\"' + \"it's \" * 12_000_000", `'"it\'s it\'s `},
		"bytes":          {"b'\\0' * 120_000_000", `b'\x00\x00`},
		"lists in lists": {"x = [0] * 10_000\n[x] * 100_000", "[[0, 0, "},
		"an integer":     {"import sys\nsys.set_int_max_str_digits(0)\n1 << 40_000_000", "<int of 40000001 bits>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.run(t, c.code).ends(t, "succeeded")
			if len(x.Results) != 1 {
				t.Fatalf("%d results: %s", len(x.Results), x)
			}
			text, _ := x.Results[0]["text/plain"].(string)
			if !strings.HasPrefix(text, c.begin) || len(text) > 1000 && (len([]rune(text)) != 100_001 || !strings.HasSuffix(text, "…")) {
				t.Errorf("%d characters: %.100s", len(text), text)
			}
		})
	}
	// Short values are shown exactly as repr shows them.
	const code = `
class C:
    def __repr__(self): return "C()"
import collections, json
x = [{}, (), [], set(), frozenset(), {1}, frozenset([2]), (3,), b"'\"", "it's", "\"'", bytearray(b"x"), C(), collections.Counter("aa"), 1.5, None, -7, {"k": [(1, 2)]}]
x.append(x)
print(json.dumps(repr(x)))
x`
	x := a.run(t, code).ends(t, "succeeded")
	var want string
	if err := json.Unmarshal([]byte(x.Stdout), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(textResults(want), x.Results); diff != "" {
		t.Error(diff)
	}
}

// TestExecuteLimitsTimeOfShowing checks that showing a value ends before
// the run's time.
func TestExecuteLimitsTimeOfShowing(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"a loop":      "while True: pass",
		"a wait":      "import time; time.sleep(1000)",
		"a blind one": "\n        while True:\n            try:\n                while True: pass\n            except Exception: pass",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{"timeoutMs": 8000, "code": `
import atexit, signal
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 1000)
@atexit.register
def last():
    print(round(signal.getitimer(signal.ITIMER_REAL)[0], -2))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
class C:
    def __repr__(self):
        ` + code + `
C()`})
			x.prints(t, "1000.0\nalarm\n")
		})
	}
}

// TestExecuteForkedChildShowsNoValue checks that a forked child shows no value.
func TestExecuteForkedChildShowsNoValue(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	x := a.run(t, "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n'end'").ends(t, "succeeded")
	if diff := cmp.Diff(textResults("'end'"), x.Results); diff != "" {
		t.Error(diff)
	}
}
