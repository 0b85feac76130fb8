package e2e_test

import (
	"strings"
	"testing"
)

func TestSessionStandardInputMatchesFile(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	programs := []struct{ code, stdin string }{
		{"import sys\nprint(repr(sys.stdin.read()), sys.stdin.fileno(), sys.stdin.encoding, sys.stdin.errors, sys.stdin.newlines, sys.stdin.name, sys.stdin.mode)", "é\r\nb\rc\n"},
		{"import os, stat\nprint(stat.S_ISFIFO(os.fstat(0).st_mode), os.read(0, 2), open(0).read())", "abcdef"},
		{"import subprocess\nfirst = input()\nprint(repr(first))\nprint(subprocess.run(['cat'], capture_output=True, stdin=open('/dev/stdin')).stdout)", "one\r\ntwo\r\n"},
		{"import subprocess\nsubprocess.run(['wc', '-c'])\nNone", strings.Repeat("0123456789abcde\n", 1<<16)},
		{"import os, sys\nif os.fork() == 0:\n    print(sys.stdin.read())\nelse:\n    os.wait()", "for the child"},
		{"import sys\nprint(sys.stdin.buffer.read(), sys.stdin.read() == '')", "\xff\x00 raw"},
		{"import sys\nprint(repr(sys.stdin.read()), sys.stdin.isatty(), sys.stdin.seekable())", ""},
		{"import sys\nprint(sum(len(line) for line in sys.stdin))", strings.Repeat("x\r\n", 100_000)},
	}
	s := a.openSession(t, object{})
	for _, p := range programs {
		want := a.execute(t, object{"code": p.code, "stdin": p.stdin, "results": false}).ends(t, "succeeded")
		s.runCode(t, p.code, object{"stdin": p.stdin, "results": false}).prints(t, want.Stdout)
	}
	a.runSteps(t,
		step{code: "import io, os, sys\nsys.stdin = io.StringIO('mine')\nprint(input())", request: object{"stdin": "not read"}, stdout: "mine\n"},
		step{code: "print(input())\nsys.stdin.close()", request: object{"stdin": "second\n"}, stdout: "second\n"},
		step{code: "input()", exit: 1, raises: "EOFError"},
		step{code: "os.close(0)"},
		step{code: "print(sys.stdin.read(), sys.__stdin__ is sys.stdin)", request: object{"stdin": "third"}, stdout: "third True\n"},
	)
}
