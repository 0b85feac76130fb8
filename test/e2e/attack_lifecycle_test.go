package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

var lifecycleAttacks = []attack{
	programAttack("026_signals_that_are_ignored_do_not_delay_the_end", object{
		"code":      "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
		"timeoutMs": 300,
	}, checkStatus("timed_out")),
	programAttack("027_killing_all_processes_reaches_only_the_run", object{
		"code": "import os, subprocess, time\np = subprocess.Popen(['sleep', '60'])\nos.kill(-1, 9)\nprint(p.wait())",
	}, checkStdout("-9\n")),
	programAttack("027_being_killed_by_a_child_is_reported", object{
		"code": "import subprocess, time\nsubprocess.Popen(['sh', '-c', 'kill -9 -1'])\ntime.sleep(20)",
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "killed"); x.Signal != "SIGKILL" {
			t.Error(x)
		}
	}),
	{"028_a_daemon_does_not_outlive_the_answer", func(t *testing.T, s *server, a *account) {
		x := a.run(t, `
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
os.wait()
print('parent')
`).prints(t, "parent\n")
		if x.Usage.WallMs > 25_000 {
			t.Error(x)
		}
	}},
	programAttack("029_zombies_are_reaped", object{
		"code": "import os\nfor _ in range(40):\n    if os.fork() == 0: os._exit(0)\nprint('done')",
	}, checkStdout("done\n")),
	programAttack("030_a_child_that_keeps_stdout_open_delays_nothing", object{
		"code": "import subprocess\nsubprocess.Popen(['sleep', '60'])\nprint('done')",
	}, func(t *testing.T, x *execution) {
		if x.prints(t, "done\n"); x.Usage.WallMs > 25_000 {
			t.Error(x)
		}
	}),
	programAttack("031_a_child_that_continues_to_write_is_stopped_first", object{
		"code": `
import os, time
if os.fork() == 0:
    n = 0
    while True:
        n += 1
        with open('a', 'w') as f: f.write(str(n))
        os.replace('a', 'first')
        with open('b', 'w') as f: f.write(str(n))
        os.replace('b', 'second')
while not os.path.exists('second'): time.sleep(0.01)
`,
		"outputFiles": []string{"first", "second"},
	}, func(t *testing.T, x *execution) {
		// A process of the program changes the files "first" and "second" all the time.
		// The answer must contain the contents that both files had at the same moment.
		var first, second int
		must(fmt.Sscan(string(x.fileContent(t, "first")), &first))(t)
		must(fmt.Sscan(string(x.fileContent(t, "second")), &second))(t)
		if x.ends(t, "succeeded"); second == 0 || first-second > 1 || first < second {
			t.Errorf("first contains %d, second contains %d", first, second)
		}
	}),
	programAttack("032_a_program_that_stops_itself_times_out", object{
		"code": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", "timeoutMs": 500,
	}, checkStatus("timed_out")),
	exclusive(attack{"036_exit_codes_are_exact", func(t *testing.T, s *server, a *account) {
		edges := []int{0, 1, 2, 3, 63, 64, 125, 126, 127, 128, 129, 130, 137, 143, 192, 254, 255}
		forEachInParallel(256, func(code int) {
			if a.needsShortAttacks() && !slices.Contains(edges, code) {
				return
			}
			x := a.run(t, fmt.Sprintf("import os\nos._exit(%d)", code))
			want := "failed"
			if code == 0 {
				want = "succeeded"
			}
			if x.Status != want || x.ExitCode == nil || *x.ExitCode != code {
				t.Errorf("exit code %d: %s", code, x)
			}
		})
	}}),
	exclusive(attack{"036_signals_are_exact", func(t *testing.T, s *server, a *account) {
		edges := []syscall.Signal{1, syscall.SIGINT, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM, syscall.SIGCHLD, syscall.SIGSTOP, 34, 64}
		forEachInParallel(65, func(n int) {
			if n == 0 || n == 32 || n == 33 {
				return // The number is not a signal, or the C library reserves it.
			}
			if a.needsShortAttacks() && !slices.Contains(edges, syscall.Signal(n)) {
				return
			}
			want, signal, timeout := "failed", signalNames[n], 30_000
			switch syscall.Signal(n) {
			case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH:
				want, signal = "succeeded", "" // These signals are ignored by default.
			case syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
				want, signal, timeout = "timed_out", "SIGKILL", 2000
			case syscall.SIGKILL:
				want = "killed"
			}
			x := a.execute(t, object{"timeoutMs": timeout, "code": fmt.Sprintf(
				"import os, signal\ntry: signal.signal(%d, signal.SIG_DFL)\nexcept OSError: pass\nos.kill(os.getpid(), %d)", n, n)})
			if x.Status != want || x.Signal != signal {
				t.Errorf("signal %d: %s", n, x)
			}
		})
	}}),
	programAttack("037_the_clock_cannot_be_set", object{
		"code": "import time\ntry:\n    time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept PermissionError:\n    print('EPERM')",
	}, checkStdout("EPERM\n")),
	programAttack("038_the_agent_cannot_be_killed_or_stopped_from_inside", object{
		"code": "import os\nfor s in (9, 19, 15):\n    try:\n        os.kill(1, s)\n    except PermissionError:\n        print('EPERM')",
	}, checkStdout("EPERM\nEPERM\nEPERM\n")),
}

// ownServerAttacks contains attacks that start a separate server. Their results are the
// same for each isolation, and for each user who runs the server of the other attacks. So
// only TestAttack runs these attacks.
var ownServerAttacks = []attack{
	{"033_a_client_that_goes_away_frees_its_place_at_once", func(t *testing.T, _ *server, _ *account) {
		s := startServer(t, "--max-running=1", "--max-queued=0")
		a := s.register(t)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = s.tryCall(ctx, http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", object{"code": "import time\ntime.sleep(60)"})
		}()
		eventually(t, "the run slot is in use", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
		s.call(t, a, "POST", "/api/v1/execute", object{"code": "1"}).refused(t, 503, "overloaded")
		cancel()
		<-gone
		eventually(t, "the run slot is free", func() bool {
			return s.call(t, a, "POST", "/api/v1/execute", object{"code": "1"}).status == 200
		})
	}},
	{"034_a_server_that_is_killed_leaves_nothing_to_the_next", func(t *testing.T, _ *server, _ *account) {
		killAndRestart(t, newDataDir(t), nil)
	}},
	{"038_a_sandbox_that_is_killed_from_outside_is_noticed", func(t *testing.T, _ *server, _ *account) {
		s := startServer(t, "--warm=0")
		a := s.register(t)
		var x *execution
		var wg sync.WaitGroup
		wg.Go(func() { x = a.run(t, "import time\ntime.sleep(60)") })
		eventually(t, "the program runs", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
		for _, pid := range s.sandboxPIDs() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		wg.Wait()
		if x != nil && (x.Status != "killed" || x.Signal != "SIGKILL") {
			t.Error(x)
		}
	}},
}

// forEachInParallel calls f for each number from 0 to n-1. It makes four calls in
// parallel.
func forEachInParallel(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// killAndRestart kills a server while it runs programs and boots sandboxes. Then it
// starts a new server in the same data directory. The new server must remove all
// processes, cgroups and files that the killed server has left on the host.
func killAndRestart(t *testing.T, data string, attr *syscall.SysProcAttr) {
	t.Helper()
	s := startServerIn(t, data, attr, defaultStock...)
	a := s.register(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, _ = s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute",
				object{"code": "import os, time\nos.fork()\ntime.sleep(60)"})
		})
	}
	eventually(t, "programs run", func() bool { return s.metric(t, "pyth_on_executions_running") == 3 })
	left := s.cgroups()
	s.kill(t)
	wg.Wait()
	next := startServerIn(t, data, attr, defaultStock...)
	next.waitUntilPoolFull(t)
	for _, pid := range processesMentioning(data) {
		var st syscall.Stat_t
		if syscall.Stat(fmt.Sprintf("/proc/%d", pid), &st) == nil && time.Unix(st.Ctim.Sec, 0).Before(next.started.Add(-time.Second)) {
			t.Errorf("process %d of the killed server still runs", pid)
		}
	}
	for _, group := range left {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("cgroup %s of the killed server still exists", group)
		}
	}
	next.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"}).want(t, 200, nil)
}

var signalNames = func() map[int]string {
	names := map[int]string{}
	for n := 34; n <= 64; n++ {
		names[n] = fmt.Sprintf("SIGRTMIN+%d", n-34)
	}
	for n, name := range map[int]string{
		1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
		9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
		16: "SIGSTKFLT", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
	} {
		names[n] = name
	}
	return names
}()
