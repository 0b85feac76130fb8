package e2e_test

import (
	"fmt"
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

// TestSessionNodeReadsInputBesideThreads runs programs with threads that open files all
// the time. Before each run, Node replaces file descriptor 0 in two steps. Between
// these steps, a file of a thread may get the number 0.
func TestSessionNodeReadsInputBesideThreads(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "javascript"})
	s.runCode(t, `const fs = require('fs');
const { Worker } = require('worker_threads');
const code = "const fs = require('fs'); for (;;) fs.closeSync(fs.openSync('/dev/zero'))";
const workers = [];
for (let i = 0; i < 2; i++) workers.push(new Worker(code, { eval: true }));
await Promise.all(workers.map((worker) => new Promise((online) => worker.on('online', online))));`).prints(t, "")
	for i := range 40 {
		input := fmt.Sprint("input ", i)
		s.runCode(t, "console.log(fs.readFileSync(process.stdin.fd, 'utf8'))", object{"stdin": input}).prints(t, input+"\n")
	}
	s.runCode(t, `for (const worker of workers) await worker.terminate();
const open = fs.readdirSync('/proc/self/fd').filter((fd) => fs.existsSync('/proc/self/fd/' + fd));
console.log(open.filter((fd) => fs.readlinkSync('/proc/self/fd/' + fd).includes('.stdin-')).length);`,
		object{"stdin": "last"}).prints(t, "1\n")
}
