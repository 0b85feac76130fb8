package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// runBash runs a bash script outside a session.
func (a *account) runBash(t testing.TB, code string, more object) *execution {
	t.Helper()
	request := object{"language": "bash", "code": code}
	for k, v := range more {
		request[k] = v
	}
	return a.execute(t, request)
}

func TestBashRunsLikeOtherLanguages(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	s.call(t, a, "PUT", "/api/v1/secrets/TOKEN", object{"value": "s3cret-value"}).want(t, 201, nil)
	x := a.runBash(t, `read -r line; echo "$line|$1|$#|$A|$0|$PWD|$HOME|$(cat in/x)|${#TOKEN}|$TOKEN"
mkdir out; printf 'content' > out/y; echo error >&2; exit 7`, object{
		"stdin": "first\nsecond\n", "args": []string{"é x", "-c"}, "env": object{"A": "1"}, "secrets": []string{"TOKEN"},
		"files": []object{{"path": "in/x", "content": "given"}}, "outputFiles": []string{"**"},
	}).ends(t, "failed")
	const want = "first|é x|2|1|/work/main.sh|/work|/home/sandbox|given|12|[secret:TOKEN]\n"
	if x.Language != "bash" || x.Stdout != want || x.Stderr != "error\n" || *x.ExitCode != 7 || x.Error != nil {
		t.Errorf("got %s, %+v", x, x.Error)
	}
	if len(x.Files) != 2 || string(x.fileContent(t, "out/y")) != "content" {
		t.Errorf("got the files %v", x.Files)
	}
	for code, c := range map[string]struct{ status, signal, stderr string }{
		"exit 300":            {"failed", "", ""},
		"kill -SEGV $$":       {"failed", "SIGSEGV", ""},
		"kill -9 $$":          {"killed", "SIGKILL", ""},
		"if then":             {"failed", "", "/work/main.sh: line 1: syntax error"},
		"\nnosuch":            {"failed", "", "/work/main.sh: line 2: nosuch: command not found"},
		"set -e; false; true": {"failed", "", ""},
		"exec sh -c 'exit 4'": {"failed", "", ""},
		"true & sleep 300 &":  {"succeeded", "", ""},
	} {
		x := a.runBash(t, code, nil)
		if x.Status != c.status || x.Signal != c.signal || !strings.Contains(x.Stderr, c.stderr) || x.Error != nil {
			t.Errorf("%q: got %s", code, x)
		}
	}
	a.runBash(t, "while :; do :; done", object{"timeoutMs": 300}).ends(t, "timed_out")
	a.runBash(t, "x=$(head -c 400000000 /dev/zero | tr '\\0' x); echo ${#x}", object{"limits": object{"memoryBytes": 64 << 20}}).ends(t, "out_of_memory")
	a.runBash(t, "yes", object{"limits": object{"outputBytes": 1000}}).ends(t, "output_limit")
	large := "echo begin\n" + strings.Repeat("# comment\n", 50_000) + "echo end"
	a.runBash(t, large, nil).prints(t, "begin\nend\n")
	// The files and processes of the previous run must be gone. Python must then run in
	// the same sandbox.
	a.runBash(t, "ls -A /work /home/sandbox /tmp; pgrep -c sleep", nil).ends(t, "failed")
	a.run(t, "import os; print(os.listdir('/work'))").prints(t, "['main.py']\n")
}

func TestBashHasTheUsualCommands(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	a.runBash(t, `set -e
cd /home/user; [[ $(pwd -P) == /work ]]
for c in bash curl git jq less ps top vmstat xz; do type -P $c > /dev/null || echo "no $c"; done
git init -q repo 2>&1; cd repo; git config user.email a@example.org; git config user.name A
echo 1 > f; git add f; git commit -qm first; git clone -q . ../copy; git -C ../copy log --format=%s
echo '{"a": [1, 2]}' | jq -c .a
git ls-remote https://example.invalid/x 2>&1 | grep -c 'not a git command' || true
curl -sS https://example.invalid 2>&1 | grep -c 'curl: (' || true
ps -o comm= -p $$
printf 'a\nb\n' | less
python3 -c 'print(6 * 7)' | tee ~/t`, nil).prints(t, "first\n[1,2]\n0\n1\nbash\na\nb\n42\n")
}

// TestAttackBash checks the limits of bash scripts. The agent starts the scripts
// directly. There is no waiting interpreter whose limits were set earlier.
func TestAttackBash(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	t.Run("001_fork_bomb", func(t *testing.T) {
		t.Parallel()
		x := a.runBash(t, ":(){ :|:& };:\nsleep 1\nwait", object{"timeoutMs": 5000})
		if !strings.Contains(x.Stderr, "Resource temporarily unavailable") {
			t.Errorf("got %s", x)
		}
		a.runBash(t, "echo alive", nil).prints(t, "alive\n")
	})
	t.Run("limits", func(t *testing.T) {
		t.Parallel()
		a.runBash(t, "ulimit -n; ulimit -Hn; ulimit -c; id -u; grep -c . /proc/self/status > /dev/null; grep CapEff /proc/self/status | tr -d '\\t'",
			object{"limits": object{"processes": 5}}).prints(t, "1024\n1024\n0\n1000\nCapEff:0000000000000000\n")
		x := a.runBash(t, "for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done", object{"limits": object{"processes": 5}, "timeoutMs": 20_000})
		if !strings.Contains(x.Stderr, "Resource temporarily unavailable") {
			t.Errorf("got %s", x)
		}
	})
	t.Run("044_descriptors", func(t *testing.T) {
		t.Parallel()
		const list = "ls /proc/self/fd | tr '\\n' ' '"
		a.runBash(t, list, nil).prints(t, "0 1 2 3 ")
		a.openSession(t, object{"language": "bash"}).runCode(t, list).prints(t, "0 1 2 3 ")
	})
	t.Run("encrypted", func(t *testing.T) {
		t.Parallel()
		server := sharedServer(t)
		payload := object{}
		server.call(t, a, "POST", "/api/v1/zk/encrypt", object{"code": "echo secret $((6 * 7)); exit 3", "masterPassword": "correct horse", "language": "bash"}).want(t, 200, &payload)
		server.call(t, a, "PUT", "/api/v1/zk/code/script", payload).want(t, 201, nil)
		var x execution
		server.call(t, a, "POST", "/api/v1/zk/execute/script", object{"masterPassword": "correct horse"}).want(t, 200, &x)
		if x.Stdout != "secret 42\n" || *x.ExitCode != 3 || x.Language != "bash" {
			t.Errorf("got %s", &x)
		}
	})
	t.Run("067_bytes", func(t *testing.T) {
		t.Parallel()
		x := a.runBash(t, `printf '\377\000ok' > f`, object{"outputFiles": []string{"f"}})
		if len(x.Files) != 1 || x.Files[0].Content != base64.StdEncoding.EncodeToString([]byte("\xff\x00ok")) {
			t.Errorf("got %v", x.Files)
		}
	})
}
