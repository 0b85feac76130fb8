package e2e_test

import (
	"strings"
	"testing"
)

// TestSessionFramesMatchFile runs programs that print stack frames. It runs each
// program in a session and as a file. Both outputs must be equal, except for the file
// name. runSteps also checks that no frame shows Pyth-On's code in the interpreter.
func TestSessionFramesMatchFile(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"inspect.stack":    "import inspect\ndef f(): return [(s.function, s.lineno) for s in inspect.stack()]\nprint(f())",
		"no caller":        "import sys\nprint(sys._getframe().f_back, sys._getframe().f_code.co_name)\ntry: sys._getframe(1)\nexcept ValueError as e: print(e)",
		"print_stack":      "import sys, traceback\ntraceback.print_stack(file=sys.stdout)",
		"warnings":         "import sys, warnings\ndef f(n): warnings.warn('w%d' % n, stacklevel=n)\nfor n in range(1, 6): f(n)",
		"findCaller":       "import logging, sys\nlogging.basicConfig(format='%(funcName)s %(lineno)d %(message)s', stream=sys.stdout)\nlogging.warning('m', stacklevel=3)",
		"recursion":        "import sys\ndef depth(n=1):\n    try: return depth(n + 1)\n    except RecursionError: return n\nprint(depth())",
		"a chain":          "def f():\n    try: {}['k']\n    except KeyError as e: raise ValueError('v') from e\ntry: f()\nexcept ValueError: 1 / 0",
		"a hook":           "import sys, traceback\nsys.excepthook = lambda kind, value, trace: print(kind.__name__, [f.lineno for f in traceback.extract_tb(trace)])\ndef f(): 1 / 0\nf()",
		"a thread":         "import threading\ndef f(): 1 / 0\nt = threading.Thread(target=f)\nt.start()\nt.join()",
		"a group":          "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
		"a note":           "e = ValueError('v')\ne.add_note('note')\nraise e",
		"sys.last_exc":     "import sys\nprint(hasattr(sys, 'last_exc'), sys.exc_info())",
		"handled in chain": "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: traceback.print_exc()",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := a.execute(t, object{"code": code, "results": false})
			s := a.openSession(t, object{})
			got := s.runCode(t, code, object{"results": false})
			as := func(text string) string {
				return strings.ReplaceAll(strings.ReplaceAll(text, "<run 1>", "main.py"), "/work/main.py", "main.py")
			}
			if as(got.Stdout) != as(want.Stdout) || as(got.Stderr) != as(want.Stderr) || *got.ExitCode != *want.ExitCode {
				t.Errorf("in a file:\n%s%s\nin a session:\n%s%s", want.Stdout, want.Stderr, got.Stdout, got.Stderr)
			}
		})
	}
}

func TestSessionInterruptTracesShowOnlyProgram(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	for code, want := range map[string]string{
		"import time\n\ntime.sleep(60)": "Traceback (most recent call last):\n  File \"<run>\", line 3, in <module>\n    time.sleep(60)\n    ~~~~~~~~~~^^^^\nKeyboardInterrupt\n",
		"def f():\n    while True: pass\nf()": "Traceback (most recent call last):\n  File \"<run>\", line 3, in <module>\n    f()\n    ~^^\n" +
			"  File \"<run>\", line 2, in f\n    while True: pass\n                ^^^^\nKeyboardInterrupt\n",
		"import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()": "Traceback (most recent call last):\n  File \"<run>\", line 4, in <module>\n    lock.acquire()\n    ~~~~~~~~~~~~^^\nKeyboardInterrupt\n",
	} {
		trace := func(x *execution) string { return runName.ReplaceAllString(x.Stderr, "<run>") }
		x := s.runUntilTimeout(t, code, 700, func(x *execution) bool { return trace(x) == want })
		if x.Status != "timed_out" || x.SessionEnded || trace(x) != want {
			t.Errorf("%q: got %s", code, x)
		}
	}
}
