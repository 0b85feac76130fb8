package e2e_test

import "testing"

func TestSessionForkedChildrenEndWithProgram(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, steps := range map[string][]step{
		"an exception": {
			{code: "import os\nkept = 1\nif os.fork() == 0:\n    raise ValueError('child')\nprint(os.waitstatus_to_exitcode(os.wait()[1]))", stdout: "1\n", stderr: "ValueError: child\n"},
			{code: "print(kept)", stdout: "1\n"},
		},
		"handlers, files and text": {
			{
				code:   "import atexit, os, sys\nif os.fork() == 0:\n    atexit.register(print, 'bye')\n    f = open('f', 'w')\n    f.write('buffered')\n    sys.exit('text')\nprint(os.waitstatus_to_exitcode(os.wait()[1]), open('f').read())",
				stdout: "bye\n1 buffered\n", stderr: "text\n",
			},
		},
		"os._exit": {
			{code: "import os\nif os.fork() == 0:\n    os._exit(9)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))", stdout: "9\n"},
		},
		"a grandchild": {
			{
				code:   "import os\nif os.fork() == 0:\n    if os.fork() == 0:\n        raise SystemExit(7)\n    print(os.waitstatus_to_exitcode(os.wait()[1]))\nelse:\n    print(os.waitstatus_to_exitcode(os.wait()[1]))",
				stdout: "7\n0\n",
			},
		},
		"a thread": {
			{
				code:   "import os, threading\ndef work():\n    if (pid := os.fork()) == 0:\n        print('child', flush=True)\n    else:\n        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nt = threading.Thread(target=work)\nt.start()\nt.join()",
				stdout: "child\n0\n",
			},
		},
		"a terminal": {
			{code: "import os, pty, sys\npid, fd = pty.fork()\nif pid == 0:\n    print(sys.stdin.isatty(), flush=True)\nelse:\n    print(os.read(fd, 100), os.waitpid(pid, 0)[1])", stdout: "b'True\\r\\n' 0\n"},
		},
		"a signal": {
			{code: "import os\nif os.fork() == 0:\n    raise KeyboardInterrupt\nprint(os.waitstatus_to_exitcode(os.wait()[1]))", stdout: "-2\n", stderr: "KeyboardInterrupt\n"},
		},
		"a value that forks": {
			{code: "import os\nclass Forks:\n    def __repr__(self):\n        os.fork()\n        return 'shown'\nForks()"},
			{code: "print(os.waitstatus_to_exitcode(os.wait()[1]))", stdout: "0\n"},
		},
		"nobody waits": {
			{code: "import os, time\nkept = [os.getpid()]\nfor _ in range(3):\n    if os.fork() == 0:\n        time.sleep(0.2)\n        break"},
			{code: "print(kept == [os.getpid()])", stdout: "True\n"},
			{code: "for _ in range(3): os.wait()\nprint(kept == [os.getpid()])", stdout: "True\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runSteps(t, steps...)
		})
	}
}
