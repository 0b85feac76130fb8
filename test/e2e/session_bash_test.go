package e2e_test

import (
	"strings"
	"testing"
	"time"
)

// bashStep is one run of a bash session and its expected result.
type bashStep struct {
	code, stdout string
	// stderr is a string that must occur on standard error. If it is "", standard error
	// must be empty.
	stderr string
	// exit is the expected exit code. If it is -1, the signal in the field "signal" must
	// end the run.
	exit   int
	signal string
	// The field "more" contains additional fields of the request.
	more object
}

// runBashSteps runs the steps in a new bash session. No step may end the session.
func (a *account) runBashSteps(t *testing.T, steps ...bashStep) {
	t.Helper()
	s := a.openSession(t, object{"language": "bash"})
	for i, c := range steps {
		more := c.more
		if more == nil {
			more = object{}
		}
		x := s.runCode(t, c.code, more)
		exit := -1
		if x.ExitCode != nil {
			exit = *x.ExitCode
		}
		if x.SessionEnded || exit != c.exit || x.Signal != c.signal || x.Stdout != c.stdout ||
			(c.stderr == "" && x.Stderr != "") || !strings.Contains(x.Stderr, c.stderr) || x.Error != nil || strings.Contains(x.Stderr, "pyth_on") {
			t.Fatalf("step %d, %q: ended %v, got %s, %+v", i, c.code, x.SessionEnded, x, x.Error)
		}
	}
}

func TestSessionBashKeepsState(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	s.call(t, a, "PUT", "/api/v1/secrets/TOKEN", object{"value": "s3cret-value"}).want(t, 201, nil)
	for name, steps := range map[string][]bashStep{
		"variables, functions, directory and options": {
			{code: "x=5; export y='a  b'; arr=(1 '2 3'); declare -A m=([k]=v); declare -i n=3; declare -r ro=1\nf() { echo \"f $x $1\"; }\nmkdir d; cd d; set -u; shopt -s extglob nullglob; umask 077; alias ll='echo aliased'; shopt -s expand_aliases"},
			{code: "f z; echo \"$y|${arr[1]}|${m[k]}|$ro\"; n+=4; echo $n; pwd; umask; ll\n[[ aab == +(a)b ]] && echo *.none extglob\necho ${undefined-} $-", stdout: "f 5 z\na  b|2 3|v|1\n7\n/work/d\n0077\naliased\nextglob\nhuB\n"},
			{code: "echo ${undefined}", exit: 1, stderr: "undefined: unbound variable"},
			{code: "cd ..; set +u; unset -f f; unset x; IFS=,; PATH=$PATH:/work/bin"},
			{code: "type -t f; echo \"[$x]\" ${PATH##*:} ; a='1,2'; printf '%s\\n' $a; echo $OLDPWD", stdout: "[] /work/bin\n1\n2\n/work/d\n"},
		},
		"the end of a run": {
			{code: "x=1; exit 7", exit: 7},
			{code: "echo $? $x; x=2; false", stdout: "7 1\n", exit: 1},
			{code: "echo $x; set -e; x=3; false; x=4", stdout: "2\n", exit: 1},
			{code: "echo $x $-; set +e; (exit 9); echo $?; (exit 9)", stdout: "3 ehB\n9\n", exit: 9},
			{code: "set +e; x=5; if then", exit: 2, stderr: "syntax error near unexpected token `then'"},
			{code: "echo $x; x=6; exec sh -c 'echo replaced; exit 3'", stdout: "3\nreplaced\n", exit: 3},
			{code: "set +e; echo $x; exec > /dev/null; echo lost; x=7", stdout: "3\n"},
			{code: "echo $x; x=8; kill -9 $$", stdout: "7\n", exit: -1, signal: "SIGKILL"},
			{code: "echo $x; x=9; kill -TERM $$", stdout: "7\n", exit: -1, signal: "SIGTERM"},
			{code: "echo $x; f() { local y=inner; x=10; exit 4; }; f", stdout: "9\n", exit: 4},
			{code: "echo $x; trap 'echo bye $?; exit 5' EXIT; x=11; exit 3", stdout: "10\nbye 3\n", exit: 5},
			{code: "echo $x; trap 'echo caught' USR1", stdout: "11\n"},
			{code: "trap; kill -USR1 $$", stdout: "trap -- 'echo caught' SIGUSR1\ncaught\n"},
			{code: "set -x; : traced", stderr: "+ : traced\n"},
			{code: "x=12", stderr: "+ x=12\n"},
		},
		"input, arguments and environment of one run": {
			{code: "read -r a; echo \"$a $1 $# $A ${TOKEN:+secret}\"; A=2; export B=$A", stdout: "in é 1 1 secret\n", more: object{"stdin": "in\n", "args": []string{"é"}, "env": object{"A": "1"}}},
			{code: "echo \"$1|$A|$B|$TOKEN\"; read -r x || echo end; grep -l s3cret ~/.* 2> /dev/null", stdout: "|2|2|[secret:TOKEN]\nend\n", exit: 1},
			{code: "echo $A $B; [[ -v C ]] && echo $C", stdout: "3 2\nc\n", more: object{"env": object{"A": "3", "C": "c"}}},
			{code: "echo ${C-gone}; echo ${BASH_SOURCE[0]} $0; [[ $0 == \"${BASH_SOURCE[0]}\" ]]", stdout: "gone\n/run/main.sh /run/main.sh\n"},
			{code: "\nnosuch", exit: 127, stderr: "/run/main.sh: line 2: nosuch: command not found"},
		},
		"processes in the background continue": {
			{code: "(sleep 0.2; echo later) & pid=$!; mkfifo p; echo started", stdout: "started\n"},
			{code: "while kill -0 $pid 2> /dev/null; do sleep 0.01; done; echo ended", stdout: "later\nended\n"},
			{code: "cat p > got & echo waiting", stdout: "waiting\n"},
			{code: "echo through > p; until [[ -s got ]]; do sleep 0.01; done; cat got", stdout: "through\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a.runBashSteps(t, steps...)
		})
	}
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		x := a.openSession(t, object{"language": "bash"})
		s.call(t, a, "PUT", x.path("/files/in/a.txt"), "content").want(t, 201, nil)
		x.runCode(t, "cat in/a.txt; cd in; echo b > b.txt").prints(t, "content")
		if got := x.runCode(t, "echo c > c.txt", object{"outputFiles": []string{"**/c.txt"}}); len(got.Files) != 1 || got.Files[0].Path != "in/c.txt" {
			t.Errorf("got %v", got.Files)
		}
		var list struct{ Files []struct{ Path string } }
		s.call(t, a, "GET", x.path("/files"), nil).want(t, 200, &list)
		if len(list.Files) != 3 {
			t.Errorf("got %v", list.Files)
		}
	})
}

func TestSessionBashInterrupts(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, code := range []string{
		"sleep 60",
		"while :; do sleep 60; done",
		"while :; do :; done",
		"trap '' INT; sleep 60; sleep 60; sleep 60",
		"trap 'echo no' INT; while :; do sleep 60; done",
		"python3 -c 'import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: time.sleep(60)'; sleep 60",
		"read -r x < <(sleep 60)",
		"sleep 60 & wait",
		"exec sleep 60",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": "bash"})
			s.runCode(t, "sleep 300 & server=$!; kept=5").prints(t, "")
			x := s.runUntilTimeout(t, "changed=1; echo begun\n"+code, 500, func(x *execution) bool { return x.Stdout != "" })
			if x.Status != "timed_out" || x.SessionEnded || !strings.HasPrefix(x.Stdout, "begun\n") {
				t.Fatalf("ended %v: %s", x.SessionEnded, x)
			}
			// The process of the first run must still be alive. The processes of the
			// second run must end soon.
			s.runCode(t, "echo $kept; kill -0 $server && until [[ $(pgrep -c sleep) == 1 ]]; do sleep 0.01; done; pgrep -c sleep", object{"timeoutMs": 10_000}).prints(t, "5\n1\n")
		})
	}
	t.Run("state of an interrupted run", func(t *testing.T) {
		t.Parallel()
		s := a.openSession(t, object{"language": "bash"})
		result := make(chan *execution, 1)
		go func() { result <- s.runCode(t, "x=1; : > begun; sleep 60; x=2") }()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			// An interrupt ends a run only after the run has begun. The test cannot read
			// the file "begun" during the run, because such a read waits until the run
			// has ended. So the test sends interrupts until the run ends.
			s.server.call(t, a, "POST", s.path("/interrupt"), nil).want(t, 204, nil)
			select {
			case x := <-result:
				if x.Status != "canceled" || x.SessionEnded {
					t.Fatalf("ended %v: %s", x.SessionEnded, x)
				}
				s.runCode(t, "[[ ! -e begun || $x == 1 ]] && echo kept").prints(t, "kept\n")
				return
			default:
			}
		}
		t.Fatal("the run was not interrupted")
	})
}

// TestAttackBashSession runs scripts that try to break the session's own commands. They may
// damage the state of their own session, but no run may get a wrong exit code, and later
// runs must still be possible.
func TestAttackBashSession(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, code := range []string{
		"for f in {0..255}; do eval \"exec $f>&-\"; done",
		"exec 0<&- 1>&- 2>&- 3>&-",
		"trap '' EXIT HUP INT TERM; trap 'kill -9 $$' DEBUG",
		"builtin() { exit 0; }; printf() { :; }; declare() { :; }; eval() { :; }; read() { :; }; unset() { :; }; trap() { :; }; exit() { :; }; local() { :; }; set() { :; }; compgen() { :; }; mapfile() { :; }",
		"for c in builtin printf declare eval read unset set trap local mapfile compgen; do alias $c='exit 0;'; done; shopt -s expand_aliases",
		"enable -n builtin printf declare eval read unset trap local compgen mapfile",
		"unset PATH HOME IFS; PROMPT_COMMAND='exit 0'; PS4='$(exit 0)'; BASH_ENV=/work/x; ENV=/work/x; export BASH_ENV ENV; echo 'exit 0' > x",
		"readonly __pyth_on_status=0 __pyth_on_state= __pyth_on_number=1; readonly -f trap",
		"IFS=0123456789; set -- a b; set -o posix; POSIXLY_CORRECT=1; readonly POSIXLY_CORRECT",
		"trap 'exit 0' DEBUG ERR RETURN; set -T -E",
		"rm -rf ~ /tmp/* /work/* /dev/shm/*; mkdir ~/.pyth-on-shell.0 ~/.pyth-on-shell.1",
		"for i in 0 1; do rm -f ~/.pyth-on-shell.$i; ln -s /dev/zero ~/.pyth-on-shell.$i; done",
		"printf 'exit 0\\n# end 999999\\n' > ~/.pyth-on-shell.0; printf 'kill -9 $$\\n# end 99\\n' > ~/.pyth-on-shell.1",
		"exec > /dev/null 2>&1; set -n",
		"head -c 200M /dev/zero > ~/full; x=1",
		"exec python3 -c 'import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, bytes(100))' > /dev/null",
		"(trap '' HUP INT TERM; while :; do : > /run/report; echo x >> /run/main.sh; ln -sf /etc/passwd /run/main.sh; sleep 0.01; done) > /dev/null 2>&1 &",
		"kill -9 -1",
		"ulimit -f 0; ulimit -n 8; ulimit -v 100000",
		"set -euo pipefail; shopt -s failglob inherit_errexit; set -f -C -a -v",
	} {
		t.Run("060_"+code[:min(len(code), 40)], func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": "bash"})
			s.runCode(t, "kept=5").prints(t, "")
			if x := s.runCode(t, code, object{"timeoutMs": 10_000}); x.SessionEnded || x.Status == "timed_out" {
				t.Fatalf("ended %v: %s", x.SessionEnded, x)
			}
			// The script may end the next runs early, but only with its own exit status.
			for range 2 {
				x := s.runCode(t, "exec /bin/bash -c 'exit 42'", object{"timeoutMs": 10_000})
				if x.SessionEnded || x.Status == "timed_out" {
					t.Fatalf("ended %v: %s", x.SessionEnded, x)
				}
			}
			s.runCode(t, "true", object{"timeoutMs": 10_000})
			// Another session and another run of the account are not affected.
			a.runBash(t, "echo other", nil).prints(t, "other\n")
		})
	}
}
