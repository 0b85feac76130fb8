package e2e_test

import "testing"

// TestExecuteHasCommonCommands runs common Unix commands in the sandbox. Each command
// must succeed and must print nothing to standard error.
func TestExecuteHasCommonCommands(t *testing.T) {
	t.Parallel()
	const code = `
import subprocess
for c in ('ps', 'ps aux', 'ps -o pid,comm', 'pgrep -f python3', 'free -m', 'sha256sum /dev/null', 'basename a/b', 'dirname a/b', 'readlink /proc/self/exe',
          'expr 1 + 1', 'printf x', 'head -c 1 /dev/zero', 'sort -n /dev/null', 'comm /dev/null /dev/null', 'cut -c1 /dev/null', 'du -s .',
          'test -d .', 'sleep 0', 'nl /dev/null', 'od /dev/null', 'uniq /dev/null', 'zcat --version', 'getent passwd sandbox', 'egrep --version'):
    r = subprocess.run(c, shell=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if r.returncode or r.stderr and 'egrep' not in c: print(c, r.returncode, r.stderr.strip()[:80])
processes = subprocess.run(['ps', '-eo', 'args='], capture_output=True, text=True).stdout.split('\n')
print([p for p in processes if 'pyth-on' in p or 'guest' in p])
`
	a := sharedServer(t).register(t)
	a.run(t, code).prints(t, "[]\n")
	a.openSession(t, object{}).runCode(t, code).prints(t, "[]\n")
	js := "const { execSync } = require('child_process'); for (const c of ['ps -ef', 'pgrep -f node', 'free', 'seq 2']) execSync(c);"
	a.execute(t, object{"language": "javascript", "code": js}).prints(t, "")
}
