package e2e_test

import (
	"strings"
	"testing"
)

// namedStreams contains programs that open their standard streams by name. Each program
// prints its input in capital letters. It also prints "err" to standard error.
var namedStreams = map[string]struct{ language, code string }{
	"Python by /dev/stdin": {"python", `
with open('/dev/stdin') as f, open('/dev/stdout', 'w') as o, open('/dev/stderr', 'w') as e:
    o.write(f.read().upper()); e.write('err\n'); None`},
	"Python by /proc/self/fd": {"python", `
import os
i = os.open('/proc/self/fd/0', os.O_RDONLY)
o = os.open('/proc/self/fd/1', os.O_WRONLY | os.O_APPEND)
e = os.open('/proc/self/fd/2', os.O_WRONLY | os.O_TRUNC)
while b := os.read(i, 3): os.write(o, b.upper())
os.write(e, b'err\n'); None`},
	"Python by /dev/fd": {"python", `
import fileinput
with open('/dev/fd/1', 'w') as o, open('/dev/fd/2', 'wb', 0) as e:
    for line in fileinput.input('/dev/fd/0'): o.write(line.upper())
    e.write(b'err\n'); None`},
	"a shell of Python": {"python", `
import subprocess
subprocess.run(['bash', '-c', 'tr a-z A-Z < /dev/stdin > /dev/stdout; echo err > /dev/stderr'], check=True); None`},
	"files of a shell": {"python", `
import subprocess
subprocess.run('cat /dev/stdin | tr a-z A-Z | tee /dev/fd/3 3>&1 >/dev/null; echo err | tee /proc/self/fd/3 3>&2 >/dev/null', shell=True, check=True); None`},
	"Node by /dev/stdin": {"javascript", `
const fs = require('fs');
fs.writeFileSync('/dev/stdout', fs.readFileSync('/dev/stdin', 'utf8').toUpperCase());
fs.appendFileSync('/dev/stderr', 'err\n');`},
	"Node by descriptors": {"javascript", `
const fs = require('fs');
const text = fs.readFileSync('/proc/self/fd/0', 'utf8').toUpperCase();
const out = fs.openSync('/dev/fd/1', 'w');
fs.writeSync(out, text); fs.closeSync(out);
fs.writeFileSync('/proc/self/fd/2', 'err\n');`},
	"a stream of Node": {"javascript", `
const fs = require('fs');
let text = '';
const f = fs.createReadStream('/dev/stdin', 'utf8');
f.on('data', s => text += s);
f.on('end', () => { fs.writeFileSync('/dev/stdout', text.toUpperCase()); fs.writeFileSync('/dev/stderr', 'err\n'); });`},
	"a shell of Node": {"javascript", `
require('child_process').execSync('cat /dev/stdin | tr a-z A-Z > /dev/stdout; echo err > /dev/stderr', {stdio: 'inherit'});`},
	"TypeScript": {"typescript", `
import { readFileSync, writeFileSync } from 'node:fs';
const text: string = readFileSync('/dev/stdin', 'utf8');
writeFileSync('/dev/stdout', text.toUpperCase());
writeFileSync('/dev/stderr', 'err\n');`},
}

func TestExecuteOpensStreamsByName(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range namedStreams {
		for _, results := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				stdin := "one\ntwo\n" + strings.Repeat("three ", 10_000)
				x := a.execute(t, object{"language": c.language, "code": c.code, "stdin": stdin, "results": results}).prints(t, strings.ToUpper(stdin))
				if x.Stderr != "err\n" {
					t.Error(x)
				}
				a.execute(t, object{"language": c.language, "code": c.code, "results": results}).prints(t, "")
			})
		}
	}
}

func TestExecuteOpensStreamsByNameAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	a := startServerIn(t, data, attr).register(t)
	for name, c := range namedStreams {
		x := a.execute(t, object{"language": c.language, "code": c.code, "stdin": "one\n"})
		if x.Stdout != "ONE\n" || x.Stderr != "err\n" {
			t.Errorf("%s: %s", name, x)
		}
	}
}

func TestSessionOpensStreamsByName(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, programs := range map[string][]string{
		"python": {
			"with open('/dev/stdout', 'w') as o, open('/dev/stderr', 'w') as e: o.write('out'); e.write('err'); None",
			"import os\nfor n in 1, 2:\n    fd = os.open(f'/proc/self/fd/{n}', os.O_WRONLY); os.write(fd, [b'out', b'err'][n - 1]); os.close(fd)\nNone",
			"import subprocess; subprocess.run(['sh', '-c', 'printf out > /dev/stdout; printf err > /dev/fd/2']); None",
		},
		"javascript": {
			"fs = require('fs'); fs.writeFileSync('/dev/stdout', 'out'); fs.writeFileSync('/dev/stderr', 'err');",
			"fs.appendFileSync('/proc/self/fd/1', 'out'); fs.appendFileSync('/dev/fd/2', 'err');",
			"require('child_process').execSync('printf out > /dev/stdout; printf err > /dev/stderr', {stdio: 'inherit'});",
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			for i, code := range programs {
				x := s.runCode(t, code, object{"language": language, "results": false}).prints(t, "out")
				if x.Stderr != "err" {
					t.Errorf("program %d: %s", i, x)
				}
			}
		})
	}
}

// TestAttackStreamNamesReachOnlyOwnRun tries to open the file descriptors of all other
// processes in the sandbox. The names of the standard streams must lead only to the
// streams of the program itself.
func TestAttackStreamNamesReachOnlyOwnRun(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const code = `
import os
for pid in [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]:
    for fd in range(64):
        for flags in os.O_RDONLY, os.O_WRONLY, os.O_RDWR:
            try:
                os.open(f'/proc/{pid}/fd/{fd}', flags | os.O_NONBLOCK)
                print('opened', pid, fd)
            except OSError:
                pass
import stat
for name in 'stdin', 'stdout', 'stderr', 'fd':
    print(name, os.readlink('/dev/' + name))
print([oct(os.fstat(n).st_mode) for n in range(3)], {os.fstat(n).st_uid for n in range(3)})
`
	want := "stdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nfd /proc/self/fd\n['0o10600', '0o10600', '0o10600'] {1000}\n"
	for range 2 {
		a.run(t, code).prints(t, want)
	}
}
