package e2e_test

import (
	"strings"
	"testing"
)

// TestSessionLimitsShowing runs programs that show large and slow values. Pyth-On's
// code in the interpreter may use only a part of the remaining memory and time to show
// a value. It must not end the session.
func TestSessionLimitsShowing(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct{ code, begin string }{
		"text":            {"'x' * 150_000_000", "'xxx"},
		"bytes":           {"b'x' * 150_000_000", "b'xxx"},
		"a list":          {"['x' * 1000] * 10_000_000", "['xxx"},
		"a long repr":     {"class C:\n    def __repr__(self): return 'x' * 300_000_000\nC()", ""},
		"a long table":    {"class C:\n    def _repr_html_(self): return '<td>' * 40_000_000\n    def __repr__(self): return 'C'\nC()", "C"},
		"a long picture":  {"class C:\n    def _repr_png_(self): return b'x' * 100_000_000\n    def __repr__(self): return 'C'\nC()", "C"},
		"endless parts":   {"class C:\n    def __repr__(self):\n        parts = []\n        while True: parts.append('y' * 1_000_000)\nC()", ""},
		"an endless loop": {"class C:\n    def __repr__(self):\n        while True: pass\nC()", ""},
		"a long wait":     {"import time\nclass C:\n    def _repr_html_(self): time.sleep(1000)\n    def __repr__(self): return 'C'\nC()", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{})
			x := s.runCode(t, c.code, object{"timeoutMs": 12_000}).ends(t, "succeeded")
			text := ""
			if len(x.Results) > 0 {
				text, _ = x.Results[0]["text/plain"].(string)
			}
			if !strings.HasPrefix(text, c.begin) || c.begin == "" && text != "" {
				t.Errorf("%d results: %.200s", len(x.Results), text)
			}
			requireValues(t, s.runCode(t, "40 + 2"), []string{"42"})
		})
	}
}

// TestSessionCompilesLargePrograms runs large programs in a session. Their compilation
// must not need more memory than in CPython. The programs must behave like small
// programs.
func TestSessionCompilesLargePrograms(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	large := strings.Repeat("# line\n", 20_000)
	for name, steps := range map[string][]step{
		"many lines": {
			{code: strings.Repeat("x = 1\n", 120_000) + "print(x)\nx", stdout: "1\n", shows: "1"},
			{code: strings.Repeat("y = 2\n", 100_000) + "y / 0", exit: 1, raises: "ZeroDivisionError", line: 100_001, stderr: "Traceback (most recent call last):\n  File \"<run 2>\", line 100001, in <module>\n    y / 0\n    ~~^~~\nZeroDivisionError: division by zero\n"},
			{code: "x + y", shows: "3"},
		},
		"values": {
			{code: large + "x = [1]\n(x,\n 2)", shows: "([1], 2)"},
			{code: large + "x", shows: "[1]"},
			{code: large + "x;"},
			{code: large + "x", request: object{"results": false}},
			{code: large + "import asyncio\nawait asyncio.sleep(0, 5)", shows: "5"},
		},
		"ends": {
			{code: large + "import sys\nsys.exit(4)", exit: 4},
			{code: large + "try:\n    1 / 0\nfinally:\n    print('finally')", stdout: "finally\n", exit: 1, raises: "ZeroDivisionError"},
			{code: large + "if sys:\n    print('if')\nelse:\n    print('else')", stdout: "if\n"},
			{code: large + "for i in range(2):\n    try: [][i]\n    except IndexError as e: print(e)", stdout: "list index out of range\nlist index out of range\n"},
			{code: large + "raise SystemExit", exit: 0},
			{code: "print(1)\n" + large + "(", exit: 1, raises: "SyntaxError", line: 20_002},
			{code: large + "import os\npid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1])\nelse: sys.exit(3)", stdout: "768\n"},
			{code: "print(sys.exc_info(), i)", stdout: "(None, None, None) 1\n"},
		},
		"frames": {
			{code: large + "import inspect\ndef f(): return [(s.function, s.lineno, s.filename) for s in inspect.stack()]\nprint(f())", stdout: "[('f', 20002, '<run 1>'), ('<module>', 20003, '<run 1>')]\n"},
			{code: "'''Doc.'''\nfrom __future__ import annotations\n" + large + "def f(a: b): pass\nprint(__doc__, f.__annotations__)", stdout: "Doc. {'a': 'b'}\n"},
			{code: large + "import sys\nL = []\nsys.setprofile(lambda f, event, arg: L.append((event, f.f_code.co_name, getattr(arg, '__name__', arg))))\nlen('')"},
			{code: "print(L, sys.getprofile())", stdout: "[('c_call', '<module>', 'len'), ('c_return', '<module>', 'len')] None\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
	t.Run("interrupts", func(t *testing.T) {
		t.Parallel()
		s := a.openSession(t, object{})
		for code, want := range map[string]string{
			"while True: pass":                      "line 20001, in <module>\n    while True: pass\n                ^^^^\nKeyboardInterrupt\n",
			"import time\ntime.sleep(60)":           "line 20002, in <module>\n    time.sleep(60)\n    ~~~~~~~~~~^^^^\nKeyboardInterrupt\n",
			"def f():\n    while True: pass\nf()\n": "line 20002, in f\n    while True: pass\n                ^^^^\nKeyboardInterrupt\n",
		} {
			x := s.runUntilTimeout(t, large+code, 1000, func(x *execution) bool { return strings.HasSuffix(x.Stderr, want) })
			if x.Status != "timed_out" || x.SessionEnded || !strings.HasSuffix(x.Stderr, want) {
				t.Errorf("%q: got %s", code, x)
			}
			requireValues(t, s.runCode(t, "40 + 2"), []string{"42"})
		}
	})
	t.Run("a single run", func(t *testing.T) {
		t.Parallel()
		x := a.run(t, strings.Repeat("x = 1\n", 120_000)+"print(x)\nx").prints(t, "1\n")
		requireValues(t, x, []string{"1"})
	})
}

// TestSessionDestructorsSeeNoHookFrames runs programs with destructors that Python
// calls after the run has ended. The destructors must see the same stack frames as in a
// program file.
func TestSessionDestructorsSeeNoHookFrames(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const class = "import sys\nclass Drop:\n    def __init__(self, name): self.name = name\n    def __del__(self):\n        frame = sys._getframe(1)\n        print(self.name, frame.f_code.co_filename, frame.f_lineno, frame.f_back)\n"
	for name, steps := range map[string][]step{
		"a coroutine that was never awaited": {
			{code: "async def never(): pass\n\nnever()", stderr: "<run 1>:3: RuntimeWarning: coroutine 'never' was never awaited\n  never()\n"},
			{code: "1;\n(never(),\n 1)", stderr: "<run 2>:2: RuntimeWarning: coroutine 'never' was never awaited\n"},
			{code: "def f(x): 1 / 0\nf(never())", exit: 1, raises: "ZeroDivisionError"},
			{code: "1 / 0", exit: 1, raises: "ZeroDivisionError", stderr: "<sys>:0: RuntimeWarning: coroutine 'never' was never awaited\n"},
		},
		"values": {
			{code: class},
			{code: "class Small(Drop):\n    def __repr__(self): return 'S'\n\nSmall('value')", stdout: "value <run 2> 4 None\n", shows: "S"},
			{code: "[\n Small('element')]", stdout: "element <run 3> 1 None\n", shows: "[S]"},
			{code: "class Fails(Small):\n    def __del__(self): raise ValueError(self.name)\nFails('lost')", stderr: "ValueError: lost\n", shows: "S"},
		},
		"errors and streams": {
			{code: class + "def f(d): 1 / 0\nf(Drop('local'))", exit: 1, raises: "ZeroDivisionError"},
			{code: "raise KeyError", exit: 1, raises: "KeyError", stdout: "local <sys> 0 None\n"},
			{code: "sys.stdin = Drop('stream')"},
			{code: "print(1)", stdout: "1\nstream <sys> 0 None\n"},
		},
		"a module named like a module that prints errors": {
			{code: "for name in 'traceback', 'linecache': open(name + '.py', 'w').write('raise SystemError')\ndef f():\n    1 / 0\nf()", exit: 1, raises: "ZeroDivisionError", stderr: "    f()\n    ~^^\n  File \"<run 1>\", line 3, in f\n    1 / 0\n    ~~^~~\n"},
			{code: "import linecache", exit: 1, raises: "SystemError", stderr: "    import linecache\n"},
			{code: "import os\nos.remove('linecache.py')\nimport linecache\nprint(linecache.getline('<run 1>', 2))", stdout: "def f():\n\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
}
