package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// leaveCanary is a program that leaves a string in as many places as possible, for
// example in files and in memory.
const leaveCanary = `
import ctypes, mmap, multiprocessing.shared_memory as shm, os, socket, subprocess, sys, tempfile
canary = sys.argv[1]
os.environ['LEFT'] = canary
kept = [canary.encode() * 1000 for _ in range(100)]
for place in ('.', '/tmp', '/dev/shm', '/home/sandbox', '/var/tmp'):
    with open(place + '/left', 'w') as f: f.write(canary)
m = shm.SharedMemory('left-memory', create=True, size=65536)
m.buf[:len(canary)] = canary.encode()
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(0x1eff, 65536, 0o1666)
libc.shmat.restype = ctypes.c_void_p
address = libc.shmat(segment, None, 0)
ctypes.memmove(address, canary.encode(), len(canary))
queue = libc.msgget(0x1eff, 0o1666)
s = socket.socket(socket.AF_UNIX)
s.bind('\0left-' + canary)
s.listen()
subprocess.Popen(['sh', '-c', 'exec 2>/dev/null >&2; trap "" TERM HUP; sleep 300', canary], start_new_session=True)
try: open('/run/report', 'w').write(canary)
except OSError: pass
os._exit(0)
`

// findCanary is a program that searches for a string and prints where it found the
// string. The string is split into two arguments, because otherwise the program would
// find the string in its own arguments.
const findCanary = `
import ctypes, os, socket, sys
canary = (sys.argv[1] + sys.argv[2]).encode()
found = []
for root, dirs, names in os.walk('/'):
    if root.startswith(('/proc', '/sys', '/usr', '/dev/pts')):
        dirs[:] = []
        continue
    for name in names:
        path = os.path.join(root, name)
        try:
            if not os.path.isfile(path): continue
            with open(path, 'rb') as f:
                if canary in f.read(1 << 20): found.append(path)
        except OSError: pass
others = [p for p in os.listdir('/proc') if p.isdigit() and p not in ('1', str(os.getpid()))]
found += ['process ' + p for p in others]
for p in os.listdir('/proc'):
    for name in ('environ', 'cmdline'):
        try:
            if p.isdigit() and p != str(os.getpid()) and canary in open(f'/proc/{p}/{name}', 'rb').read(): found.append(name)
        except OSError: pass
if 'LEFT' in os.environ: found.append('environment')
libc = ctypes.CDLL(None, use_errno=True)
for name, got in (('shm', libc.shmget(0x1eff, 0, 0)), ('queue', libc.msgget(0x1eff, 0)), ('semaphore', libc.semget(0x1eff, 0, 0))):
    if got != -1: found.append(name)
try:
    socket.socket(socket.AF_UNIX).connect(b'\0left-' + canary)
    found.append('socket')
except OSError: pass
# New memory must contain only zeros.
libc.malloc.restype = ctypes.c_void_p
for size in (4096, 65536, 1 << 20, 16 << 20):
    address = libc.malloc(ctypes.c_size_t(size))
    if canary in ctypes.string_at(address, size): found.append('memory')
print(found)
`

// randomSources is a program that prints random values. Then it prints two values that
// depend on the interpreter: the hash of a string, and the address of an object.
const randomSources = `import os, random, secrets, ssl, uuid
print(uuid.uuid4(), random.random(), os.urandom(8).hex(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), 'interpreter', hash('x'), id(object()))`

// reuseAttacks contains attacks that search the sandbox for data of earlier runs in the
// same sandbox.
var reuseAttacks = []attack{
	exclusive(attack{"035_many_runs_leave_nothing", func(t *testing.T, s *server, a *account) {
		runs := 200
		if a.needsShortAttacks() {
			runs = 20
		}
		forEachInParallel(runs, func(i int) { a.run(t, fmt.Sprintf("print(%d)", i)).prints(t, fmt.Sprintf("%d\n", i)) })
	}}),
	{"038_a_sandbox_that_is_stopped_from_outside_is_noticed", func(t *testing.T, s *server, a *account) {
		before := s.sandboxPIDs()
		var x *execution
		var wg sync.WaitGroup
		wg.Go(func() { x = a.execute(t, object{"code": "import time\ntime.sleep(60)", "timeoutMs": 5000}) })
		eventually(t, "the program runs", func() bool { return s.metric(t, "pyth_on_executions_running") == 1 })
		for _, pid := range before {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		wg.Wait()
		if x.ends(t, "timed_out"); x.Usage.WallMs > 40_000 {
			t.Error(x)
		}
		// The test has stopped the sandboxes with SIGSTOP. Continue them, because later
		// attacks need them.
		for _, pid := range before {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}},
	{"056_what_one_user_leaves_another_never_finds", func(t *testing.T, s *server, a *account) {
		b := s.register(t)
		b.isolation = a.isolation
		requireNoCanary(t, a, b)
	}},
	{"057_what_a_user_leaves_the_next_run_never_finds", func(t *testing.T, s *server, a *account) {
		requireNoCanary(t, a, a)
	}},
	{"058_runs_do_not_share_randomness", func(t *testing.T, s *server, a *account) {
		b := s.register(t)
		b.isolation = a.isolation
		// Runs of one user can share an interpreter, unless the server boots a new
		// sandbox for each run.
		shared := a.isolation != "execution"
		seen := make(map[string]int)
		for i := range 12 {
			x := []*account{a, b}[i%2].run(t, randomSources).ends(t, "succeeded")
			ofRun, ofInterpreter, _ := strings.Cut(x.Stdout, "interpreter")
			for source, value := range strings.Fields(ofRun) {
				if _, found := seen[fmt.Sprint(source, value)]; found {
					t.Errorf("source %d gave %s twice", source, value)
				}
				seen[fmt.Sprint(source, value)] = i
			}
			for _, value := range strings.Fields(ofInterpreter) {
				if before, found := seen[value]; found && (!shared || before%2 != i%2) {
					t.Errorf("runs %d and %d both printed %s", before, i, value)
				}
				seen[value] = i
			}
		}
	}},
	{"059_what_is_anothers_has_no_name", func(t *testing.T, s *server, a *account) {
		x := a.run(t, "print(42)")
		b := s.register(t)
		for _, path := range []string{"executions/" + x.ID, "sessions/" + x.ID, "sandboxes/" + x.ID, "execute/" + x.ID} {
			s.call(t, b, "GET", "/api/v1/"+path, nil).refused(t, 404, "not_found")
		}
	}},
	{"080_nothing_can_be_reached_from_a_sandbox_that_was_used", func(t *testing.T, s *server, a *account) {
		for range 5 {
			a.run(t, "import socket\nfor where in (('1.1.1.1', 443), ('169.254.169.254', 80), ('10.0.0.1', 80)):\n"+
				"    try: socket.create_connection(where, 3); print('REACHED')\n    except OSError: pass\n"+
				"l = socket.create_server(('127.0.0.1', 4711))\nprint('ok')").prints(t, "ok\n")
		}
	}},
	{"111_what_a_program_does_to_its_interpreter_the_next_run_never_sees", attackInterpreter},
	{"112_what_a_program_does_to_node_the_next_run_never_sees", attackNode},
}

// overloadAttacks contains an attack that starts a separate server as root. The result of
// the attack depends on the isolation, but not on the user who runs the server of the
// other attacks.
var overloadAttacks = []attack{
	exclusive(attack{"105_ten_times_what_it_can_do_leaves_the_server_well", attackByOverload}),
}

// requireNoCanary runs leaveCanary with the first account and then findCanary with the
// second account. The number of repetitions is larger than the number of warm
// sandboxes, so the server must reuse sandboxes.
func requireNoCanary(t *testing.T, leaves, looks *account) {
	t.Helper()
	rounds := 3*defaultWarm + 1
	if leaves.needsShortAttacks() {
		rounds = defaultWarm + 1
	}
	for i := range rounds {
		one, two := fmt.Sprintf("canary-%d-", i), fmt.Sprintf("of-%d", time.Now().UnixNano())
		leaves.execute(t, object{"code": leaveCanary, "args": []string{one + two}}).ends(t, "succeeded")
		looks.execute(t, object{"code": findCanary, "args": []string{one, two}}).prints(t, "[]\n")
	}
}

// interpreterAttacks contains names of spoilers (programs that change their
// interpreter). These spoilers change memory or the checkpoint in unusual ways, or they
// end in an unusual way.
var interpreterAttacks = []string{
	"code_through_the_memory_file", "memory_file_of_a_thread", "child_with_shared_memory_and_files", "thread_that_outlives_main",
	"signal_handler_that_writes_memory_at_the_end", "timer_that_expires_after_the_end", "advice_of_the_checkpoint",
	"system_call_of_the_agent", "exit_while_a_thread_forks", "exit_group_in_a_vfork_child", "mapping_over_the_checkpoint",
	"flags_of_standard_streams", "locks_of_standard_streams", "filter_that_forbids_exit", "memory_written_by_a_child",
	"write_to_own_memory", "calls_of_the_agent_and_of_hooks",
}

// nodeAttacks contains names of spoilers (programs that change their interpreter) for
// Node. There are fewer spoilers than for Python, because JavaScript cannot map memory
// over other memory, cannot lock files, and cannot install a filter for system calls.
var nodeAttacks = []string{
	"code_through_the_memory_file", "memory_written_by_a_child", "worker_computes", "signals_at_the_end", "call_of_the_hook",
	"exit_while_a_thread_forks", "child_that_cannot_start", "library_outside_of_the_image", "flags_of_standard_streams",
}

// attackInterpreter runs the programs in interpreterAttacks. After each program, it
// runs the probe, which prints the state of its interpreter. The output of the probe
// must always be the same.
func attackInterpreter(t *testing.T, _ *server, a *account) {
	var all []spoiler
	for _, sp := range spoilers(t) {
		if slices.Contains(interpreterAttacks, sp.name) {
			all = append(all, sp)
		}
	}
	if len(all) != len(interpreterAttacks) {
		t.Errorf("%d of %d attacks exist", len(all), len(interpreterAttacks))
	}
	attackAndLook(t, a, all, func() string { return withoutMaps(a.execute(t, probe(t)).ends(t, "succeeded").Stdout) })
}

// attackNode runs the Node programs in nodeAttacks. After each program, it runs a
// probe, which prints the state of its interpreter. The output of the probe must always
// be the same.
func attackNode(t *testing.T, _ *server, a *account) {
	var all []spoiler
	for _, file := range must(txtar.ParseFile("testdata/rollback/spoilers_javascript.txtar"))(t).Files {
		if _, name, _ := strings.Cut(file.Name, "/"); slices.Contains(nodeAttacks, name) {
			all = append(all, spoiler{name: name, request: javascript(string(file.Data))})
		}
	}
	if len(all) != len(nodeAttacks) {
		t.Errorf("%d of %d attacks exist", len(all), len(nodeAttacks))
	}
	look := javascript(string(must(os.ReadFile("testdata/rollback/probe.js"))(t)))
	attackAndLook(t, a, all, func() string { return a.execute(t, look).ends(t, "succeeded").Stdout })
}

// attackAndLook runs the attacks. It calls the function "look" before the first attack
// and after each attack. The function must always return the same text.
func attackAndLook(t *testing.T, a *account, attacks []spoiler, look func() string) {
	t.Helper()
	if a.needsShortAttacks() {
		attacks = attacks[:4]
	}
	want := look()
	for _, sp := range attacks {
		a.execute(t, sp.request)
		if diff := diffLines(want, look()); diff != "" {
			t.Errorf("after %s the state before (-) and after (+) differs:\n%s", sp.name, diff)
		}
	}
}

// attackByOverload sends ten times as many requests as the server can run. It checks
// the answers to accepted requests and to refused requests.
func attackByOverload(t *testing.T, _ *server, a *account) {
	s := startServer(t, "--max-running=2", "--max-queued=8", "--max-queued-per-user=8")
	b := s.register(t)
	b.isolation = a.isolation
	b.run(t, "print(42)").prints(t, "42\n")
	before := s.peakMemoryBytes(t)
	var answered, refused atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			res, err := s.tryCall(t.Context(), http.Header{"X-Api-Key": {b.APIKey}}, "POST", "/api/v1/execute",
				b.withIsolation(object{"code": "import time\ntime.sleep(0.5)"}))
			switch {
			case err != nil:
				t.Error(err)
			case res.status == 200:
				answered.Add(1)
			default:
				refused.Add(1)
				res.refused(t, 429, "too_many_executions")
				if res.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
		})
	}
	wg.Wait()
	if answered.Load() < 8 || refused.Load() == 0 {
		t.Errorf("%d were answered, %d refused", answered.Load(), refused.Load())
	}
	if grown := s.peakMemoryBytes(t) - before; grown > 64*mib {
		t.Errorf("the server's memory grew by %d MiB", grown/mib)
	}
	// A server that has no free capacity must still report that it is healthy.
	s.call(t, nil, "GET", "/api/health", nil).want(t, 200, nil)
	b.run(t, "print(42)").prints(t, "42\n")
}
