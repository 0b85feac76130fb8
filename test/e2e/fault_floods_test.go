package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// floods contains Python code that defines the function write(). This function writes
// forever, either to the results or to standard output.
var floods = map[string]string{
	"frames that are whole": `
import os
def write():
    d = os.open("/run/results", os.O_WRONLY)
    m = (b"\0\0\x40\0" + b"\0" * 16384) * 64
    while True: os.write(d, m)
`,
	"a frame that cannot be": `
import os
def write():
    d = os.open("/run/results", os.O_WRONLY)
    while True: os.write(d, b"\xff" * 65536)
`,
	"frames that are empty": `
import os
def write():
    d = os.open("/run/results", os.O_WRONLY)
    while True: os.write(d, b"\0" * 65536)
`,
	"frames that are tiny": `
import os
def write():
    d = os.open("/run/results", os.O_WRONLY)
    m = b"\0\0\0\2{}" * 10000
    while True: os.write(d, m)
`,
	"bytes one by one": `
import os
def write():
    d = os.open("/run/results", os.O_WRONLY)
    while True: os.write(d, b"\0")
`,
	"standard output": `
import os
def write():
    while True: os.write(1, b"")
`,
}

const forkedWriters = `
def flood():
    for i in range(2):
        if os.fork() == 0: write()
`

func TestExecuteEndsFloodOfResults(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withResults := []bool{true, false}
			if testing.Short() && name != "frames that are whole" && name != "standard output" {
				// Some programs write result frames. If a request disables results, the
				// server does not read these frames. So with -short, run only one of
				// these programs without results.
				withResults = []bool{true}
			}
			for _, results := range withResults {
				// The run must end as soon as the program's first process ends. It must
				// not wait for the time-out.
				a.execute(t, object{"code": code + forkedWriters + "print('kept', flush=True)\nflood()\nos._exit(0)", "timeoutMs": 60_000, "results": results}).prints(t, "kept\n")
				// A run that times out must return the output that the program printed
				// before the endless output.
				x := untilTimeout(800, func(milliseconds int) *execution {
					return a.execute(t, object{"code": code + forkedWriters + "print('kept', flush=True)\nflood()\nwhile True: pass", "timeoutMs": milliseconds, "results": results})
				}, func(x *execution) bool { return x.Stdout != "" }).ends(t, "timed_out")
				if x.Stdout != "kept\n" {
					t.Error(x)
				}
				x = untilTimeout(400, func(milliseconds int) *execution {
					return a.execute(t, object{"code": code + forkedWriters + "print('kept', flush=True)\nflood()\nwhile True: pass", "limits": object{"cpuMs": milliseconds}, "timeoutMs": 60_000, "results": results})
				}, func(x *execution) bool { return x.Stdout != "" }).ends(t, "timed_out")
				if x.Stdout != "kept\n" || x.Usage.WallMs > 60_000 {
					t.Error(x)
				}
			}
		})
	}
	js := `
const { spawn } = require('child_process');
for (let i = 0; i < 3; i++) spawn('sh', ['-c', 'cat /dev/zero > /run/results'], { stdio: 'ignore', detached: true }).on('spawn', () => { if (++n === 3) { console.log('kept'); process.exit(0); } });
let n = 0;`
	a.execute(t, object{"language": "javascript", "code": js, "timeoutMs": 20_000}).prints(t, "kept\n")
}

func TestSessionFloodDelaysNoRun(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{})
			s.runCode(t, code+"import threading\nfor i in range(2): threading.Thread(target=write, daemon=True).start()\nprint('begun')", object{"timeoutMs": 60_000}).prints(t, "begun\n")
			for i := range 3 {
				x := s.runCode(t, fmt.Sprintf("print(%d)", i), object{"timeoutMs": 60_000}).ends(t, "succeeded")
				if x.Stdout != fmt.Sprintf("%d\n", i) {
					t.Error(x)
				}
			}
			if x := s.runCode(t, "while True: pass", object{"timeoutMs": 1000}).ends(t, "timed_out"); x.SessionEnded {
				t.Error(x)
			}
		})
	}
	t.Run("values after a flood are complete", func(t *testing.T) {
		t.Parallel()
		s := a.openSession(t, object{})
		for _, junk := range []string{`b"\xff" * 10`, `b"\0\0\1"`, `b"\0\0\1\0abc"`, `(b"\0\0\x40\0" + b"\0" * 16384) * 2000`} {
			s.runCode(t, "import os\nd = os.open('/run/results', os.O_WRONLY)\nos.write(d, "+junk+")\nos.close(d)").ends(t, "succeeded")
			if x := s.runCode(t, "display('whole')\n[1, 2]").ends(t, "succeeded"); len(x.Results) != 2 || x.Results[1]["text/plain"] != "[1, 2]" {
				t.Errorf("after %s: %v", junk, x.Results)
			}
		}
	})
	t.Run("output without end", func(t *testing.T) {
		t.Parallel()
		s := a.openSession(t, object{})
		x := s.runCode(t, "import os, threading\ndef f():\n    while True: os.write(1, b'x' * 100)\nthreading.Thread(target=f, daemon=True).start()\nNone", object{"timeoutMs": 30_000})
		if x.Status != "succeeded" && x.Status != "output_limit" {
			t.Error(x)
		}
		if x := s.runCode(t, "while True: pass", object{"timeoutMs": 30_000, "limits": object{"outputBytes": 100_000}}); x.Status != "output_limit" || strings.Trim(x.Stdout, "x") != "" {
			t.Error(x)
		}
	})
}
