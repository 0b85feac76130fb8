package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

const mib = 1 << 20

var resourceAttacks = []attack{
	programAttack("001_a_program_that_forks_without_end_gets_EAGAIN", object{
		"code": `
import os, signal
n = 0
try:
    while True:
        if os.fork() == 0:
            signal.pause()
        n += 1
except BlockingIOError as e:
    print(e.errno, n)
`,
		"limits": object{"processes": 32},
	}, checkStdout("11 31\n")),
	exclusive(programAttack("001_a_fork_bomb_ends_in_time", object{
		"code": `
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
`,
		"timeoutMs": 800, "limits": object{"processes": 32},
	}, checkStatus("timed_out"))),
	programAttack("002_a_thread_bomb_gets_an_error", object{
		"code": `
import threading
stop = threading.Event()
n = 0
try:
    while True:
        threading.Thread(target=stop.wait).start()
        n += 1
except RuntimeError:
    print(n)
finally:
    stop.set()
`,
	}, checkStdout("63\n")),
	programAttack("003_more_memory_than_the_limit_is_out_of_memory", object{
		"code":   "import time\nx = b'x' * ((64 << 20) + 1)\ntime.sleep(20)\nprint('alive')",
		"limits": object{"memoryBytes": 64 * mib},
	}, func(t *testing.T, x *execution) {
		x.ends(t, "out_of_memory")
		if x.Usage.MemoryPeakBytes < 64*mib || x.Stdout != "" {
			t.Error(x)
		}
	}),
	programAttack("003_less_memory_than_the_limit_is_granted", object{
		"code":   "x = b'x' * (40 << 20)\nprint('alive')",
		"limits": object{"memoryBytes": 64 * mib},
	}, checkStdout("alive\n")),
	programAttack("004_children_share_the_limit", object{
		"code": `
import os, time
for _ in range(3):
    if os.fork() == 0:
        x = b'x' * (40 << 20)
        time.sleep(20)
        os._exit(0)
for _ in range(3):
    os.wait()
print('alive')
`,
		"limits": object{"memoryBytes": 80 * mib},
	}, checkStatus("out_of_memory")),
	programAttack("005_a_memfd_counts", object{
		"code":   "import ctypes, os, time\nfd = ctypes.CDLL(None).memfd_create(b'x', 0)\nfor _ in range(200):\n    os.write(fd, bytes(b'x') * (1 << 20))\ntime.sleep(20)\nprint('alive')",
		"limits": object{"memoryBytes": 64 * mib},
	}, checkStatus("out_of_memory")),
	programAttack("006_shared_memory_is_bounded", object{"code": fillDiskProgram("/dev/shm/f"), "limits": object{"diskBytes": 8 * mib}}, checkStdout("ENOSPC True\n")),
	programAttack("007_tmp_is_bounded", object{"code": fillDiskProgram("/tmp/f"), "limits": object{"diskBytes": 8 * mib}}, checkStdout("ENOSPC True\n")),
	programAttack("007_the_working_directory_is_bounded", object{"code": fillDiskProgram("f"), "limits": object{"diskBytes": 8 * mib}}, checkStdout("ENOSPC True\n")),
	programAttack("007_the_home_is_bounded", object{"code": fillDiskProgram("/home/sandbox/f"), "limits": object{"diskBytes": 8 * mib}}, checkStdout("ENOSPC True\n")),
	programAttack("008_a_huge_allocation_of_disk_is_refused", object{
		"code": "import os, errno\ntry:\n    os.posix_fallocate(os.open('f', os.O_CREAT | os.O_RDWR), 0, 1 << 40)\nexcept OSError as e:\n    print(errno.errorcode[e.errno])",
	}, checkStdout("ENOSPC\n")),
	programAttack("009_a_sparse_file_is_skipped_unread", object{
		"code":        "open('sparse', 'wb').truncate(1 << 50)\nopen('small', 'w').write('small')",
		"outputFiles": []string{"*"},
	}, func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		if x.skipReason("sparse") == "" || string(x.fileContent(t, "small")) != "small" {
			t.Error(x)
		}
	}),
	exclusive(programAttack("010_a_million_files_are_refused", object{
		"code": `
import os, errno
made = 0
try:
    for i in range(1_000_000):
        os.close(os.open(f'/tmp/{i}', os.O_CREAT | os.O_WRONLY))
        made += 1
except OSError as e:
    print(errno.errorcode[e.errno], made < 100_000)
`,
		"timeoutMs": 60_000,
	}, checkStdout("ENOSPC True\n"))),
	programAttack("011_descriptors_run_out", object{
		"code": "import os, errno\ntry:\n    while True: os.open('/dev/null', 0)\nexcept OSError as e:\n    os.write(1, errno.errorcode[e.errno].encode())",
	}, checkStdout("EMFILE")),
	programAttack("012_hoarded_pipes_count", object{
		"code": `
import os, fcntl, socket, time
kept = []
try:
    while True:
        r, w = os.pipe()
        kept.append((r, w))
        try:
            fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 1 << 20)
        except OSError:
            pass
        os.set_blocking(w, False)
        try:
            while True: os.write(w, bytes(b'x') * 65536)
        except BlockingIOError:
            pass
except OSError:
    time.sleep(3)
`,
		"limits": object{"memoryBytes": 64 * mib},
	}, func(t *testing.T, x *execution) {
		// 500 pipes hold at least 31 MiB. So the run must exceed its memory limit, or
		// the measured memory must include the memory of the pipes.
		if x.Status != "out_of_memory" && x.Usage.MemoryPeakBytes < 30*mib {
			t.Error(x)
		}
	}),
	exclusive(attack{"013_ten_gigabytes_of_output_are_cut", floodAttack("import os\nwhile True: os.write(1, b'x' * 65536)", true, false)}),
	exclusive(attack{"014_floods_of_both_streams_are_cut", floodAttack("import os\nwhile True:\n    os.write(1, b'o' * 4096)\n    os.write(2, b'e' * 4096)", true, true)}),
	exclusive(attack{"015_one_endless_line_is_cut", floodAttack("import sys\nfor _ in range(1 << 10): sys.stdout.write('x' * (1 << 20))", true, false)}),
	programAttack("017_a_loop_ends_in_time", object{"code": "while True: pass", "timeoutMs": 300}, checkStatus("timed_out")),
	programAttack("017_a_loop_ends_when_its_processor_time_is_used_up", object{
		"code": "while True: pass", "timeoutMs": 20_000, "limits": object{"cpuMs": 300},
	}, func(t *testing.T, x *execution) {
		x.ends(t, "timed_out")
		if x.Usage.WallMs > 15_000 || x.Usage.CPUMs < 300 {
			t.Error(x)
		}
	}),
	programAttack("018_a_sleep_ends_in_time", object{"code": "import time\ntime.sleep(60)", "timeoutMs": 500}, checkStatus("timed_out")),
	programAttack("018_a_read_that_blocks_ends_in_time", object{"code": "import os\nos.read(os.pipe()[0], 1)", "timeoutMs": 500}, checkStatus("timed_out")),
	exclusive(programAttack("019_twenty_thousand_output_files_are_capped", object{
		"code":        "for i in range(20_000): open(f'f{i}', 'w').write('x')",
		"outputFiles": []string{"**"}, "timeoutMs": 60_000,
	}, func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		if len(x.Files) != 64 || len(x.FilesSkipped) == 0 || len(x.FilesSkipped) > 128 {
			t.Errorf("%d files, %d skipped", len(x.Files), len(x.FilesSkipped))
		}
	})),
	programAttack("020_directories_a_thousand_deep_are_told", object{
		"code":        "import os\nfor _ in range(1000):\n    os.mkdir('d')\n    os.chdir('d')\nopen('deep', 'w').write('x')",
		"outputFiles": []string{"**"},
	}, func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		if len(x.Files) != 0 || len(x.FilesSkipped) != 1 || !strings.Contains(x.FilesSkipped[0].Reason, "deep") {
			t.Error(x)
		}
	}),
	programAttack("021_a_regular_expression_that_holds_the_interpreter_ends_in_time", object{
		"code": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", "timeoutMs": 300,
	}, checkStatus("timed_out")),
	programAttack("021_a_number_that_holds_the_interpreter_ends_in_time", object{
		"code": "x = 3 ** (3 ** 17)\nx * x * x", "timeoutMs": 300,
	}, checkStatus("timed_out")),
	programAttack("023_a_mapping_of_100_TiB_harms_nobody", object{
		"code": "import mmap\ntry:\n    mmap.mmap(-1, 100 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)\nexcept (OSError, ValueError):\n    pass\nprint('alive')",
	}, checkStdout("alive\n")),
	programAttack("024_a_fault_is_a_failure_by_SIGSEGV", object{
		"code": "import ctypes\nctypes.string_at(0)",
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "failed"); x.Signal != "SIGSEGV" {
			t.Error(x)
		}
	}),
	programAttack("024_a_stack_that_overflows_is_a_failure_by_SIGSEGV", object{
		// The C library parses regular expressions recursively. So many parentheses
		// overflow the stack.
		"code": "import ctypes\nctypes.CDLL(None).regcomp(ctypes.create_string_buffer(256), b'(' * 10_000_000, 1)",
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "failed"); x.Signal != "SIGSEGV" {
			t.Error(x)
		}
	}),
	programAttack("025_no_core_is_written", object{
		"code":        "import os, resource\ntry:\n    resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\nexcept ValueError:\n    pass\nos.abort()",
		"outputFiles": []string{"**"},
	}, func(t *testing.T, x *execution) {
		if x.ends(t, "failed"); x.Signal != "SIGABRT" || len(x.Files)+len(x.FilesSkipped) != 0 {
			t.Error(x)
		}
	}),
}

func fillDiskProgram(path string) string {
	return fmt.Sprintf(`
import os, errno
f = os.open(%q, os.O_CREAT | os.O_WRONLY)
written = 0
try:
    while True:
        written += os.write(f, bytes(64 << 10))
except OSError as e:
    print(errno.errorcode[e.errno], 4 << 20 < written <= 8 << 20)
`, path)
}

// floodAttack returns an attack with endless output. The parameters stdout and stderr
// say to which streams the program writes. The server's memory must not grow with the
// output.
func floodAttack(code string, stdout, stderr bool) func(*testing.T, *server, *account) {
	return func(t *testing.T, s *server, a *account) {
		before := s.peakMemoryBytes(t)
		x := a.execute(t, object{"code": code, "timeoutMs": 20_000}).ends(t, "output_limit")
		if x.StdoutTruncated && len(x.Stdout) != mib || x.StderrTruncated && len(x.Stderr) != mib || !x.StdoutTruncated && !x.StderrTruncated {
			t.Error(x)
		}
		if stdout && len(x.Stdout) < mib/2 || stderr && len(x.Stderr) < mib/2 {
			t.Errorf("%d bytes of stdout, %d of stderr", len(x.Stdout), len(x.Stderr))
		}
		if grown := s.peakMemoryBytes(t) - before; grown > 32*mib {
			t.Errorf("the server's memory grew by %d MiB", grown/mib)
		}
	}
}

func (s *server) peakMemoryBytes(t testing.TB) int {
	t.Helper()
	return s.memoryBytes(t, "VmHWM:")
}

// memoryBytes returns a field of the server's file /proc/PID/status, in bytes (see
// proc(5)).
func (s *server) memoryBytes(t testing.TB, name string) int {
	t.Helper()
	b := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", s.servingPid())))(t)
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return must(strconv.Atoi(strings.Fields(value)[0]))(t) << 10
		}
	}
	t.Fatalf("/proc/PID/status has no %s", name)
	return 0
}
