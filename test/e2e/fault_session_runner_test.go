package e2e_test

import "testing"

func TestSessionSurvivesHostilePrograms(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, steps := range map[string][]step{
		"invalid text": {
			{code: "import sys\nclass Text:\n    def __str__(self): return 5\nsys.exit(Text())", exit: 1},
			{code: "class Code(SystemExit):\n    code = property(lambda self: 1 / 0)\nraise Code('shown')", exit: 1, stderr: "shown\n"},
			{code: "def deep(n):\n    if n: deep(n - 1)\n    sys.exit(n - 1)\ndeep(50)", exit: 255},
			{code: "sys.exit(1 << 70)", exit: 255},
			{code: "sys.exit(True)", exit: 1},
		},
		"unusual exceptions": {
			{code: "class Odd(BaseException):\n    def __getattribute__(self, name): raise RuntimeError(name)\n    __class__ = property(lambda self: int)\nraise Odd('x')", exit: 1, raises: "Odd", line: 4, stderr: "Odd: x\n"},
			{code: "class Odd(Exception):\n    __traceback__ = property(lambda self: 1 / 0)\n    def __str__(self): raise SystemExit(3)\nraise Odd('x')", exit: 1, raises: "Odd"},
			{code: "class Meta(type):\n    def __getattribute__(self, name): raise RuntimeError(name)\nclass Odd(Exception, metaclass=Meta): pass\nraise Odd", exit: 1, raises: "Odd"},
			{code: "raise KeyboardInterrupt", exit: 1, raises: "KeyboardInterrupt"},
			{code: "raise GeneratorExit('g')", exit: 1, raises: "GeneratorExit", stderr: "GeneratorExit: g\n"},
			{code: "raise BaseExceptionGroup('g', [KeyboardInterrupt()])", exit: 1, raises: "BaseExceptionGroup"},
			{code: "def f(): f()\nf()", exit: 1, raises: "RecursionError"},
		},
		"streams": {
			{code: "import io, sys\nsys.stdout, sys.stderr = None, 5\n1 / 0", exit: 1, raises: "ZeroDivisionError", line: 3},
			{code: "del sys.stderr\n1 / 0", exit: 1, raises: "ZeroDivisionError"},
			{code: "class Raises:\n    def write(*_): raise KeyboardInterrupt\n    flush = write\nsys.stdout = sys.stderr = Raises()\nsys.exit('text')", exit: 1},
			{code: "sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__\nprint('back')", stdout: "back\n"},
			{code: "import os\nos.closerange(3, 1000)\nos.close(0)\nprint('open')", stdout: "open\n"},
			{code: "print(sys.stdin.read())", request: object{"stdin": "in"}, stdout: "in\n"},
			{code: "os.close(2)\n1 / 0", exit: 1, raises: "ZeroDivisionError"},
		},
		"builtins": {
			{code: "import builtins\nbuiltins.len = lambda x: 1 / 0\nbuiltins.isinstance = 5\ndel builtins.dict"},
			{code: "1 / 0", exit: 1, raises: "ZeroDivisionError", stderr: "1 / 0\n    ~~^~~"},
			{code: "print(isinstance)", stdout: "5\n"},
			{code: "vars(builtins).clear()"},
			{code: "1", shows: "1"},
			{code: "len", exit: 1, raises: "NameError"},
		},
		"modules": {
			{code: "import sys\nsys.modules.clear()"},
			{code: "import json, traceback\nprint(json.dumps([1]))\n1 / 0", stdout: "[1]\n", exit: 1, raises: "ZeroDivisionError"},
			{code: "globals().clear()"},
			{code: "print(__name__)\nimport sys\nsys.path = None\n1 / 0", stdout: "__main__\n", exit: 1, raises: "ZeroDivisionError", line: 4},
			{code: "__builtins__ = {}"},
			{code: "print(1)", stdout: "1\n"},
		},
		"hooks": {
			{code: "import sys\nsys.excepthook = 5\n1 / 0", exit: 1, raises: "ZeroDivisionError", stderr: "Error in sys.excepthook:\nTypeError: 'int' object is not callable\n\nOriginal exception was:\n"},
			{code: "def hook(*_): sys.exit(4)\nsys.excepthook = hook\n1 / 0", exit: 4},
			{code: "sys.excepthook = sys.__excepthook__\ndef trace(*a): raise ValueError(a[1])\nsys.settrace(trace)\nsys.setprofile(trace)", exit: 1, raises: "ValueError"},
			{code: "sys.setprofile(lambda *_: None)\nsys.settrace(trace)"},
			{code: "sys.gettrace(), sys.getprofile()", shows: "(None, None)"},
		},
		"the recursion limit": {
			{code: "import sys\nsys.setrecursionlimit(2)"},
			{code: "def f(n): return n and f(n - 1)"},
			{code: "f(30)", exit: 1, raises: "RecursionError"},
			{code: "sys.setrecursionlimit(100_000)\nf(5000)", shows: "0"},
			{code: "f(5000)", shows: "0"},
		},
		"other objects": {
			{code: "import gc, os, signal\ngc.disable()\nos.environ.clear()\nos.mkdir('d')\nos.chdir('d')\nos.rmdir('../d')"},
			{code: "print(os.environ['A'])", request: object{"env": object{"A": "1"}}, stdout: "1\n"},
			{code: "os.getpid = os.write = os.read = None\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"},
			{code: "print(signal.getsignal(signal.SIGINT))", stdout: "<built-in function default_int_handler>\n"},
			{code: "class Exits:\n    def __repr__(self): raise SystemExit(3)\nExits()"},
			{code: nestedLoops(21) + "print('deep'); 1 / 0", stdout: "deep\n", exit: 1, raises: "ZeroDivisionError", line: 22},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
	t.Run("a program that closes everything", func(t *testing.T) {
		t.Parallel()
		s := a.openSession(t, object{})
		x := s.runCode(t, "import os\nprint('begun', flush=True)\nos.closerange(3, 1024)\nprint('to the end', flush=True)").ends(t, "failed")
		const reason = "The session ends: the program has closed the descriptor by which the session gets its runs.\n"
		if !x.SessionEnded || x.Stdout != "begun\nto the end\n" || x.Stderr != reason {
			t.Errorf("got %s, ended %v", x, x.SessionEnded)
		}
	})
}

// nestedLoops returns the first lines of n nested loops. The last line contains only
// the indentation for the body of the innermost loop.
func nestedLoops(n int) string {
	code, indent := "", ""
	for range n {
		code += indent + "for _ in [1]:\n"
		indent += " "
	}
	return code + indent
}
