package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hookWords contains words that must not be visible to a program, because they would
// reveal the hook. The hook is Pyth-On's code in the interpreter.
var hookWords = []string{"/pyth-on/", "usercustomize", "<start>", "<show>", "<value>", "capture.py"}

func findHookWord(text string) string {
	for _, word := range hookWords {
		if strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

// TestExecuteHidesHook runs programs that search for the hook (Pyth-On's code in the
// interpreter). They search in stack frames, modules and other places. The programs
// must not find the hook.
func TestExecuteHidesHook(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"in the stack": `
import inspect, traceback
class C:
    def __repr__(self):
        print([f.filename for f in inspect.stack()], traceback.format_stack(), flush=True)
        return "C"
C()`,
		"in a warning": `
import warnings
class C:
    def __repr__(self):
        for level in range(1, 9): warnings.warn(f"level {level}", stacklevel=level)
        return "C"
C()`,
		"in a warning of display": `
import warnings
class C:
    def _repr_html_(self):
        for level in range(1, 9): warnings.warn(f"level {level}", stacklevel=level)
        return "C"
def f():
    display(C())
f()`,
		"in modules": `
import sys
before = set(sys.modules)
class C:
    def __repr__(self):
        print(set(sys.modules) - before, list(sys.path), sys.meta_path, sorted(sys.path_importer_cache))
        return "C"
C()`,
		"in a trace": `
import sys
def trace(frame, event, arg):
    print(frame.f_code.co_filename, frame.f_code.co_name, event, frame.f_lineno, arg)
    return trace
sys._getframe().f_trace = trace
sys.settrace(trace)
sys.setprofile(trace)
x = 1
{x: 2}`,
		"in a dump": `
import faulthandler
class C:
    def __repr__(self):
        faulthandler.dump_traceback()
        return "C"
C()`,
		"in the memory's trace": `
import tracemalloc
tracemalloc.start(20)
class C:
    def __repr__(self):
        print(tracemalloc.take_snapshot().traces._traces)
        return "C"
C()`,
		"in an exception": `
import sys
class C:
    def __repr__(self):
        try:
            raise ValueError
        except ValueError as e:
            print(sys.exc_info(), repr(e.__context__), [f.f_code.co_filename for f in frames(e.__traceback__.tb_frame)])
        return "C"
def frames(f):
    while f: yield f; f = f.f_back
C()`,
		"in the builtins": `
import builtins, gc, atexit, sys
print([n for n in dir(builtins) if not n.isidentifier() and n != "<show>"], sys._getframe().f_back)
1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.run(t, code).ends(t, "succeeded")
			if word := findHookWord(x.Stdout + x.Stderr); word != "" {
				t.Errorf("%q is in the output: %s", word, x)
			}
			if len(x.Results) != 1 {
				t.Errorf("%d results, want 1: %s", len(x.Results), x)
			}
		})
	}
}

// TestExecuteTraceSeesOnlyProgram runs a program that sets a trace function. From then
// on, this function must see the same events as in plain CPython. It must not see
// events of the hook (Pyth-On's code in the interpreter).
func TestExecuteTraceSeesOnlyProgram(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const code = `import sys
def trace(frame, event, arg):
    if frame.f_code.co_filename == __file__:
        print(frame.f_code.co_name, event, frame.f_lineno, arg)
    return trace
sys._getframe().f_trace = trace
sys.settrace(trace)
x = 1
x + 1`
	a.run(t, code).prints(t, "<module> line 8 None\n<module> line 9 None\n<module> return 9 None\n")
	x := a.run(t, code+"\n1 / 0").ends(t, "failed")
	if !strings.HasSuffix(x.Stdout, "<module> return 10 None\n") || strings.Count(x.Stdout, "exception") != 1 {
		t.Error(x)
	}
}

// TestExecutePrintsCompilerWarningsOnce checks that a run prints each compiler warning
// exactly once, as CPython does.
func TestExecutePrintsCompilerWarningsOnce(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct {
		code  string
		lines []int
	}{
		"an escape":       {"x = '\\d'\nx", []int{1}},
		"of a literal":    {"x = 2\nx is 2", []int{2}},
		"both":            {"x = '\\d'\nx is ()\nx", []int{1, 2}},
		"a finally":       {"import os\ndef f():\n    try:\n        pass\n    finally:\n        return 1\nf()", []int{6}},
		"without a value": {"import os\nx = '\\d'\nprint(x)", []int{2}},
		"without results": {"x = '\\d'\nx", []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{"code": c.code, "results": name != "without results"}).ends(t, "succeeded")
			if got := strings.Count(x.Stderr, "SyntaxWarning"); got != len(c.lines) {
				t.Errorf("%d warnings: %s", got, x)
			}
			for _, line := range c.lines {
				if !strings.Contains(x.Stderr, "/work/main.py:"+string(rune('0'+line))+": SyntaxWarning: ") {
					t.Errorf("no warning for line %d: %s", line, x)
				}
			}
		})
	}
}

// TestExecuteAcceptsFilesNamedLikeLibraryModules adds files that have the names of
// library modules. Error reports need these modules. An error report must still use the
// modules of the library.
func TestExecuteAcceptsFilesNamedLikeLibraryModules(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	names := []string{
		"token", "tokenize", "linecache", "json", "traceback", "binascii", "io", "re", "codeop", "os", "sys", "ast",
		"types", "enum", "functools", "collections", "keyword", "operator", "textwrap", "contextlib", "atexit", "signal", "resource", "marshal",
	}
	contents := []string{"raise RuntimeError('mine')", "MINE = 1", "import sys\nsys.exit(9)"}
	for i, content := range contents {
		for j, name := range names {
			if testing.Short() && j%len(contents) != i {
				continue // With -short, test each file with only one content.
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				files := []object{{"path": name + ".py", "content": content}}
				x := a.execute(t, object{"files": files, "code": "def f():\n    raise ValueError('x')\nf()"}).ends(t, "failed")
				if x.Error == nil || x.Error.Name != "ValueError" || x.Error.Message != "x" || x.Error.Line != 2 || !strings.Contains(x.Error.Traceback, `File "/work/main.py", line 3`) {
					t.Errorf("%s, %+v", x, x.Error)
				}
				x = a.execute(t, object{"files": files, "code": "class C:\n    def _repr_json_(self): return [1]\n    def _repr_png_(self): return b'x'\n    def __repr__(self): return 'C'\nC()"}).ends(t, "succeeded")
				want := richResults{{"application/json": []any{1.0}, "image/png": "eA==", "text/plain": "C"}}
				if diff := cmp.Diff(want, x.Results); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	// When the program imports these names, it must get its own files, both before and
	// after the error report.
	x := a.execute(t, object{
		"files": []object{{"path": "token.py", "content": "MINE = 1"}, {"path": "json.py", "content": "MINE = 2"}},
		"code": `
import atexit, sys
print([m for m in ("token", "json", "traceback") if m in sys.modules])
import token, json
print(token.MINE, json.MINE)
@atexit.register
def last():
    print(sys.modules["json"].MINE, __import__("token").MINE)
raise KeyError(1)`,
	}).ends(t, "failed")
	if x.Stdout != "[]\n1 2\n2 1\n" || x.Error == nil || x.Error.Name != "KeyError" {
		t.Errorf("%s, %+v", x, x.Error)
	}
}

// TestExecuteKeepsFilesNamedLikeHook adds files with names that the hook (Pyth-On's
// code in the interpreter) could use. The hook must not change or run these files.
func TestExecuteKeepsFilesNamedLikeHook(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, name := range []string{".main.py", ".main.0.py", ".main.1.py", ".main", "main.pyc", "__pycache__/main.pyc", "usercustomize.py", "sitecustomize.py", "results.py", "capture.py"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{
				"files": []object{{"path": name, "content": "raise SystemExit('mine')"}},
				"code":  "import os\nnames = sorted(os.path.join(d, f) for d, _, fs in os.walk('.') for f in fs)\nnames, open(" + quotePython(name) + ").read(), open('main.py').read()[:9]",
			}).ends(t, "succeeded")
			first, second := "./"+name, "./main.py"
			if first > second {
				first, second = second, first
			}
			want := textResults("(['" + first + "', '" + second + "'], \"raise SystemExit('mine')\", 'import os')")
			if diff := cmp.Diff(want, x.Results); diff != "" {
				t.Errorf("%s\n%s", x, diff)
			}
		})
	}
}

func quotePython(s string) string { return "'" + s + "'" }

// TestExecuteReportsUnusualExceptions raises exceptions whose methods fail or return
// values of wrong types. The answer must still contain the name and the line of the
// exception.
func TestExecuteReportsUnusualExceptions(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct{ code, name, message string }{
		"whose text fails":               {"class E(Exception):\n    def __str__(self): raise OSError\nraise E", "E", "<exception str() failed>"},
		"whose text exits":               {"class E(Exception):\n    def __str__(self): raise SystemExit(4)\nraise E", "E", "<exception str() failed>"},
		"whose text is a number":         {"class E(Exception):\n    def __str__(self): return 5\nraise E", "E", "<exception str() failed>"},
		"that refuses attributes":        {"class E(Exception):\n    def __getattribute__(self, n): raise SystemExit(n)\nraise E('x')", "E", "x"},
		"with a false class":             {"class E(Exception):\n    __class__ = property(lambda self: 1 / 0)\nraise E('x')", "E", "x"},
		"with a hostile metaclass":       {"class M(type):\n    def __getattribute__(c, n): raise SystemExit\nE = M('E', (Exception,), {})\nraise E('x')", "E", "x"},
		"in a circle":                    {"a, b = KeyError(1), IndexError(2)\na.__cause__, b.__cause__ = b, a\nraise a", "KeyError", "1"},
		"with invalid notes":             {"e = ValueError('x')\ne.__notes__ = 5\nraise e", "ValueError", "x"},
		"with notes that are not text":   {"e = ValueError('x')\ne.__notes__ = [1, object(), None]\nraise e", "ValueError", "x"},
		"in a group":                     {"raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])", "ExceptionGroup", "g (2 sub-exceptions)"},
		"after the modules were deleted": {"import sys\nfor n in list(sys.modules):\n    if n not in ('sys', 'builtins', '__main__'): del sys.modules[n]\nsys.meta_path.clear()\nsys.path = None\nraise ValueError('x')", "ValueError", "x"},
		"after builtins were changed":    {"import builtins\nbuiltins.isinstance = builtins.getattr = builtins.str = None\nraise ValueError('x')", "ValueError", "x"},
		"after handlers were cleared":    {"import atexit\natexit._clear()\nraise ValueError('x')", "ValueError", "x"},
		"when its text is printed":       {"class E(Exception):\n    def __str__(self):\n        print('asked')\n        return 'x'\nraise E", "E", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, results := range []bool{true, false} {
				x := a.execute(t, object{"code": c.code, "results": results}).ends(t, "failed")
				if x.Error == nil || x.Error.Name != c.name || x.Error.Message != c.message || x.Error.Line != 1+strings.Count(c.code, "\n") {
					t.Errorf("results %v: %s, %+v", results, x, x.Error)
				}
				if x.Error == nil {
					continue
				}
				if strings.Count(x.Stdout, "asked") > 1 || *x.ExitCode != 1 {
					t.Error(x)
				}
				if word := findHookWord(x.Stdout + x.Stderr + x.Error.Traceback); word != "" {
					t.Errorf("%q is in the output: %s", word, x)
				}
			}
		})
	}
}

// TestExecuteLargeProgramsInLinearTime runs large programs of different kinds. The runs
// time out if the work of Pyth-On's code in the interpreter does not grow linearly with
// the size of the program.
func TestExecuteLargeProgramsInLinearTime(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"of many lines":            strings.Repeat("x = 1\n", 115_000) + "x",
		"of many lines of a text":  "x = '''\n" + strings.Repeat("1, 2, 3\n", 100_000) + "'''\nlen(x)",
		"of a text as its value":   "'''\n" + strings.Repeat("y = 1\n", 100_000) + "'''.count('y')",
		"of blank lines":           "x = 1\n" + strings.Repeat("\n", 900_000) + "x",
		"of comments":              "x = 1\n" + strings.Repeat("# note; 1\n", 90_000) + "x  # end;",
		"of one long list":         "x = [" + strings.Repeat("1,", 200_000) + "]\nx",
		"that fails in its middle": strings.Repeat("x = 1\n", 30_000) + "1 / 0\n" + strings.Repeat("x = 1\n", 30_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := a.execute(t, object{"code": code, "timeoutMs": 60_000})
			if name == "that fails in its middle" {
				if x.ends(t, "failed"); x.Error == nil || x.Error.Line != 30_001 {
					t.Errorf("%s, %+v", x, x.Error)
				}
				return
			}
			if x.ends(t, "succeeded"); len(x.Results) > 1 {
				t.Errorf("%d results", len(x.Results))
			}
		})
	}
}

func TestExecuteFindsSharedLibraries(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	a.run(t, "from ctypes.util import find_library\nprint(find_library('c'), find_library('m'), find_library('dl'), find_library('nowhere'))").
		prints(t, "libc.so.6 libm.so.6 libdl.so.2 None\n")
	a.run(t, "import ctypes, ctypes.util\nprint(ctypes.CDLL(ctypes.util.find_library('m')).abs(-3))").prints(t, "3\n")
	x := a.run(t, "import subprocess\nprint(subprocess.run(['/sbin/ldconfig', '-p'], capture_output=True, text=True).stdout)").ends(t, "succeeded")
	if !strings.Contains(x.Stdout, "libs found in cache") || !strings.Contains(x.Stdout, "\tlibc.so.6 (libc6,x86-64) => /") {
		t.Error(x)
	}
	x = a.run(t, "import subprocess\nprint(subprocess.run(['/sbin/ldconfig']).returncode)").ends(t, "succeeded")
	if x.Stdout != "1\n" || !strings.Contains(x.Stderr, "use -p") {
		t.Error(x)
	}
}
