package e2e_test

import "testing"

func TestSessionAllowsTopLevelAwait(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, steps := range map[string][]step{
		"values and state": {
			{code: "import asyncio\nx = await asyncio.sleep(0.01, 5)\nx + 1", shows: "6"},
			{code: "print(x)\nasync def numbers():\n    for i in range(3):\n        yield i\n[n async for n in numbers()]", stdout: "5\n", shows: "[0, 1, 2]"},
			{code: "async for n in numbers(): print(n)\nlock = asyncio.Lock()\nasync with lock: print(lock.locked())", stdout: "0\n1\n2\nTrue\n"},
			{code: "await asyncio.gather(*(asyncio.sleep(0, i) for i in range(2)))", shows: "[0, 1]"},
		},
		"tasks continue with the loop": {
			{code: "import asyncio\nasync def work():\n    for i in range(2):\n        print('work', i)\n        await asyncio.sleep(0.01)\n    return 'done'\nt = asyncio.create_task(work())\nawait asyncio.sleep(0)", stdout: "work 0\n"},
			{code: "print(t.done())", stdout: "False\n"},
			{code: "await t", stdout: "work 1\n", shows: "'done'"},
		},
		"errors": {
			{code: "import asyncio, sys\nasync def fails():\n    await asyncio.sleep(0)\n    raise ValueError('v')\n\nawait fails()", exit: 1, raises: "ValueError", stderr: "Traceback (most recent call last):\n  File \"<run 1>\", line 6, in <module>\n    await fails()\n  File \"<run 1>\", line 4, in fails\n    raise ValueError('v')\nValueError: v\n"},
			{code: "await asyncio.sleep(0)\nsys.exit(3)", exit: 3},
			{code: "asyncio.run(asyncio.sleep(0, 'ran'))", shows: "'ran'"},
			{code: "await asyncio.sleep(0, 'again')", shows: "'again'"},
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
		s.runCode(t, "import asyncio\nkept = 5\nasync def busy():\n    await asyncio.sleep(0)\n    while True: pass").prints(t, "")
		for code, stdout := range map[string]string{
			"try: await asyncio.sleep(60)\nfinally: print('cleaned')": "cleaned\n",
			"await busy()": "",
			"t = asyncio.create_task(busy())\nawait asyncio.sleep(60)": "",
			"import time\nawait asyncio.to_thread(time.sleep, 5)":      "",
		} {
			x := s.runUntilTimeout(t, code, 700, func(x *execution) bool { return x.Stdout == stdout })
			if x.Status != "timed_out" || x.SessionEnded || x.Stdout != stdout {
				t.Errorf("%q: got %s", code, x)
			}
			s.runCode(t, "print(await asyncio.sleep(0, kept))").prints(t, "5\n")
		}
	})
}

func TestSessionKeepsSourceAndFutureImports(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	a.runSteps(t,
		step{code: "# one\nimport inspect\n\nclass First:\n    '''Doc.'''\n    x = 1\n    class Inner:\n        y = 2\ndef f():\n    return 1\nprint(inspect.getsource(First))", stdout: "class First:\n    '''Doc.'''\n    x = 1\n    class Inner:\n        y = 2\n\n"},
		step{code: "import enum, functools\n@functools.total_ordering\nclass Second:\n    def __lt__(self, other): return True\n    def __eq__(self, other): return True\nclass Colour(enum.Enum):\n    RED = 1\nprint(inspect.getsource(Second) + inspect.getsource(Colour))", stdout: "@functools.total_ordering\nclass Second:\n    def __lt__(self, other): return True\n    def __eq__(self, other): return True\nclass Colour(enum.Enum):\n    RED = 1\n\n"},
		step{code: "print(inspect.getsource(f) + inspect.getsource(First.Inner), end='')\nFirst.__doc__, [m.name for m in Colour]", stdout: "def f():\n    return 1\n    class Inner:\n        y = 2\n", shows: "('Doc.', ['RED'])"},
		step{code: "'''Doc.'''\nfrom __future__ import annotations\nprint(__doc__)", stdout: "Doc.\n"},
		step{code: "1 +", exit: 1, raises: "SyntaxError"},
		step{code: "def g(x: missing) -> also.missing: ...\ng.__annotations__", shows: "{'x': 'missing', 'return': 'also.missing'}"},
	)
}

func TestSessionRunsNotebookCommands(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, steps := range map[string][]step{
		"commands": {
			{code: "x = 3\nprint('before')\n!echo shell $x {x + 1} $$HOME; echo error >&2; exit 4\nprint('after', _exit_code)", stdout: "before\nshell 3 4 /home/sandbox\nafter 4\n", stderr: "error\n"},
			{code: "files = !printf 'a\\nb\\n'\nfor f in files:\n    !echo {f} \\\n      twice\nlen(files)", stdout: "a twice\nb twice\n", shows: "2"},
			{code: "def f():\n    !echo inside\nf()", stdout: "inside\n"},
			{code: "!cat", request: object{"stdin": "input"}, stdout: "input"},
			{code: "f()\nclass C:\n    y = 1\nprint(C.__name__)", stdout: "inside\nC\n"},
			{code: "import os\nos.environ['V'] = 'set'\n!echo $V\nawaited = await __import__('asyncio').sleep(0, 1)\n!echo {awaited}", stdout: "set\n1\n"},
		},
		"line and cell commands": {
			{code: "!mkdir d\n%cd d\n!pwd", stdout: "/work/d\n/work/d\n"},
			{code: "%cd -\n%pwd", stdout: "/work\n", shows: "'/work'"},
			{code: "%env A=1\n!echo $A\n%matplotlib inline", stdout: "env: A=1\n1\n"},
			{code: "%%bash\nfor i in 1 2; do\n  echo \"$i\"\ndone\n", stdout: "1\n2\n"},
			{code: "%%writefile new.txt\nline $x\n"},
			{code: "open('new.txt').read()", shows: "'line $x\\n'"},
			{code: "%pip install requests", exit: 1, raises: "UsageError", line: 1, stderr: "POST /api/v1/packages"},
			{code: "y = 1\n\n%nosuch z", exit: 1, raises: "UsageError", line: 3, stderr: "Line magic function `%nosuch` not found"},
			{code: "!pip install x; npm install y", stderr: "POST /api/v1/packages"},
		},
		"Python keeps its meaning": {
			{code: "s = '''\n!no\n%cd /\n'''\na = 7 \\\n% 4\nb = (7\n% 4)\nprint(s, a, b)", stdout: "\n!no\n%cd /\n 3 3\n"},
			{code: "a = 1\n!echo no\nb = = 2", exit: 1, raises: "SyntaxError", line: 3, stderr: "b = = 2"},
			{code: "print(1)\n1 !", exit: 1, raises: "SyntaxError", line: 2},
			{code: "%cd /nosuch", exit: 1, raises: "FileNotFoundError", line: 1},
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
		s.runCode(t, "kept = 5").prints(t, "")
		for _, code := range []string{"!sleep 60", "x = !sleep 60", "!trap '' INT; sleep 60; sleep 60", "%%bash\nsleep 60 & wait"} {
			x := s.runCode(t, code, object{"timeoutMs": 1000})
			if x.Status != "timed_out" || x.SessionEnded || x.Error != nil && x.Error.Name != "KeyboardInterrupt" {
				t.Errorf("%q: ended %v: %s", code, x.SessionEnded, x)
			}
			s.runCode(t, "!while pgrep -x sleep > /dev/null; do :; done\nprint(kept)").prints(t, "5\n")
		}
	})
}

// TestSessionNotebookCommandsEndWithInterrupts interrupts commands at about the time at
// which their output or they themselves end.
func TestSessionNotebookCommandsEndWithInterrupts(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"output":    "x = !exec >&-; kill -INT $PPID; sleep 60",
		"process":   "!kill -INT $PPID",
		"both":      "x = !kill -INT $PPID",
		"not ended": "!kill -INT $PPID; sleep 60",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sharedServer(t).register(t).openSession(t, object{})
			left := "import os\ntry:\n    print(os.waitpid(-1, os.WNOHANG))\nexcept ChildProcessError:\n    print(len(os.listdir('/proc/self/fd')) - before)"
			s.runCode(t, "import os\nbefore = len(os.listdir('/proc/self/fd'))\n!true").prints(t, "")
			for range 40 {
				s.runCode(t, command)
				s.runCode(t, left).prints(t, "0\n")
			}
		})
	}
}
