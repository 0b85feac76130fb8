package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// textResults returns the expected results for a list of texts. Each result has the
// type text/plain.
func textResults(texts ...string) richResults {
	shown := richResults{}
	for _, text := range texts {
		shown = append(shown, map[string]any{"text/plain": text})
	}
	return shown
}

// valuePrograms contains programs that show values. For each program, it contains the
// texts of these values. All programs must succeed.
var valuePrograms = map[string]struct {
	code string
	want []string
}{
	// A compiler warning must not change which value is shown.
	"unknown escape":            {"s = '\\.'\ns", []string{`'\\.'`}},
	"comparison with a warning": {"x = 1\nx is 1", []string{"True"}},
	"call of a string":          {"try:\n    'a'(1)\nexcept TypeError:\n    pass\n3", []string{"3"}},
	"assertion":                 {"assert (1, 'x')\n4", []string{"4"}},
	"large program":             {strings.Repeat("x = 1\n", 30_000) + "[x,\n 2]", []string{"[1, 2]"}},
	"large program with a call": {"def f(x):\n    return x\n" + strings.Repeat("y = f(1)\n", 20_000) + "f('é')  # end\n", []string{"'é'"}},

	// The display methods of these values fail or return wrong results. The program
	// must still succeed.
	"repr exits":                {"class C:\n    def __repr__(self): raise SystemExit(3)\nC()", nil},
	"repr calls exit()":         {"class C:\n    def _repr_html_(self): exit(3)\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"repr is interrupted":       {"class C:\n    def __repr__(self): raise KeyboardInterrupt\nC()", nil},
	"repr raises BaseException": {"class X(BaseException): pass\nclass C:\n    def __repr__(self): raise X\nC()", nil},
	"repr returns no text":      {"class C:\n    def __repr__(self): return 1\nC()", nil},
	"endless recursion":         {"class C:\n    def __repr__(self): return repr(self)\nC()", nil},
	"deep nesting":              {"x = []\nfor i in range(100_000): x = [x]\nx", nil},
	"recursive value":           {"x = {}\nx['x'] = [x]\nx", []string{"{'x': [{...}]}"}},
	"false class":               {"class C:\n    __class__ = property(lambda self: 1 / 0)\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"hostile attributes":        {"class C:\n    def __getattribute__(self, name): raise SystemExit\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"hostile string type":       {"class T(str):\n    def __len__(self): raise SystemExit\n    def encode(self, *a): raise SystemExit\nclass C:\n    def __repr__(self): return T('C')\nC()", []string{"C"}},
	"too much memory":           {"class C:\n    def __repr__(self): return 'x' * (1 << 30)\nC()", nil},
	"repr clears the globals":   {"class C:\n    def __repr__(self):\n        globals().clear()\n        return 'C'\nC()", []string{"C"}},
	"too many digits":           {"7 ** 9999", []string{"<int: Exceeds the limit (4300 digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit>"}},

	// The run must show a value only if a notebook would also show it.
	"semicolon in a string":                  {"'a;b'", []string{"'a;b'"}},
	"semicolon in a comment":                 {"1  # a;\n# b;\n", []string{"1"}},
	"after another statement":                {"x = 1; x + 1", []string{"2"}},
	"none before a semicolon":                {"x = 1; x ;  # note", nil},
	"none before a semicolon, several lines": {"(1 +\n 2  # three\n);\n\n# end", nil},
	"none before a semicolon, string":        {"'#';", nil},
	"assignment expression":                  {"(x := 5)", []string{"5"}},
	"chained comparison":                     {"x = 5\n1 < x < 3", []string{"False"}},
	"condition":                              {"x = []\nx and 1 or {}", []string{"{}"}},
	"constant":                               {"x = 1\n(1, 'a' 'b', ...)", []string{"(1, 'ab', Ellipsis)"}},
	"docstring":                              {"'''doc'''", []string{"'doc'"}},
	"globals":                                {"sorted(k for k in globals() if k[:2] != '__')", []string{"[]"}},
	"tuple":                                  {"print(1), 5", []string{"(None, 5)"}},

	// Some objects, such as mocks, return a value for every attribute name. Pyth-On
	// must call only real display methods.
	"mock":                      {"from unittest.mock import Mock\nMock(__repr__=lambda self: 'mock')", []string{"mock"}},
	"mock with a specification": {"from unittest.mock import create_autospec, MagicMock\nclass C:\n    def _repr_html_(self): return 'x'\nm = MagicMock(spec=C)\nm.__repr__ = lambda self: 'mock'\nm", []string{"mock"}},
	"module":                    {"import types\nm = types.ModuleType('m')\nm.__getattr__ = lambda name: lambda *a, **k: 'made up'\nm.__repr__ = None\ntype(m.x()) and m", []string{"<module 'm' from <function <lambda>.<locals>.<lambda>>"}},
	"remote object":             {"from xmlrpc.client import ServerProxy\nServerProxy('http://localhost:1')", []string{"<ServerProxy for localhost:1/RPC2>"}},
	"forms of the wrong type":   {"class C:\n    def _repr_html_(self): return 5\n    def _repr_png_(self): return 5\n    def _repr_json_(self): return 5\n    def _repr_mimebundle_(self, **k): return 5\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
	"object with any attribute": {"class C:\n    def __getattr__(self, name): return lambda *a, **k: {'text/html': name}\n    def __repr__(self): return 'C'\nC()", []string{"C"}},
}

// closeSession closes the session before the end of the test, because a user can open
// only a limited number of sessions.
func (s *session) closeSession(t testing.TB) {
	t.Helper()
	s.server.call(t, s.account, "DELETE", s.path(""), nil).want(t, 204, nil)
}

func requireValues(t *testing.T, x *execution, want []string) {
	t.Helper()
	x.ends(t, "succeeded")
	for _, r := range x.Results {
		// Remove memory addresses from the text, because they differ between runs.
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
		if name == "too much memory" || name == "globals" {
			continue // These programs fail in a session, whose runs share one memory limit and one namespace.
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

// TestExecuteTruncatesLargeValues runs programs that show very large values. Their
// complete text would not fit into memory. So Pyth-On's code in the interpreter must
// stop when the text reaches the maximum length.
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
				t.Fatalf("%d results, want 1: %s", len(x.Results), x)
			}
			text, _ := x.Results[0]["text/plain"].(string)
			if !strings.HasPrefix(text, c.begin) || len(text) > 1000 && (len([]rune(text)) != 100_001 || !strings.HasSuffix(text, "…")) {
				t.Errorf("%d characters: %.100s", len(text), text)
			}
		})
	}
	// If the text of a value is short, the run must return exactly the result of repr.
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

// TestExecuteLimitsTimeOfShowing runs programs that show values whose display methods
// never end. Pyth-On's code in the interpreter must stop such a method before the run
// times out.
func TestExecuteLimitsTimeOfShowing(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"a loop":                          "while True: pass",
		"a wait":                          "import time; time.sleep(1000)",
		"one that catches all exceptions": "\n        while True:\n            try:\n                while True: pass\n            except Exception: pass",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{"timeoutMs": 12_000, "code": `
import atexit, signal, time
alarms = []
signal.signal(signal.SIGALRM, lambda *a: alarms.append(print("alarm")))
signal.setitimer(signal.ITIMER_REAL, 1000)
@atexit.register
def last():
    print(round(signal.getitimer(signal.ITIMER_REAL)[0], -2))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not alarms: time.sleep(0.001)
class C:
    def __repr__(self):
        ` + code + `
C()`})
			x.prints(t, "1000.0\nalarm\n")
		})
	}
}

// TestExecuteForkedChildShowsNoValue runs a program that forks at its end. Only the
// parent process may show the value of the last expression.
func TestExecuteForkedChildShowsNoValue(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	x := a.run(t, "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n'end'").ends(t, "succeeded")
	if diff := cmp.Diff(textResults("'end'"), x.Results); diff != "" {
		t.Error(diff)
	}
}
