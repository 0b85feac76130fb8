package e2e_test

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sandboxMemory returns the memory of all sandboxes in bytes, as the host measures it.
// This includes the memory of gVisor.
func (s *server) sandboxMemory(t *testing.T) (total int64) {
	t.Helper()
	for _, pid := range s.sandboxPIDs() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				total += must(strconv.ParseInt(strings.Fields(value)[0], 10, 64))(t) << 10
			}
		}
		descriptors, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		for _, d := range descriptors {
			path := fmt.Sprintf("/proc/%d/fd/%s", pid, d.Name())
			var st syscall.Stat_t
			if target, _ := os.Readlink(path); strings.HasPrefix(target, "/memfd:runsc-memory") && syscall.Stat(path, &st) == nil {
				total += st.Blocks * 512
			}
		}
	}
	return total
}

// TestRollbackGivesMemoryBack runs a program that uses much memory. When the
// interpreter is restored, the host must get this memory back.
func TestRollbackGivesMemoryBack(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	for range 20 {
		a.runAndRecycle(t, object{"code": "print(42)"})
	}
	before := s.sandboxMemory(t)
	x, reason := a.runAndRecycle(t, object{"code": `
large = bytearray(512 << 20)
for at in range(0, len(large), 4096): large[at] = 1
small = [bytes([n % 256]) * 600 for n in range(100_000)]`, "limits": object{"memoryBytes": 1024 * mib}, "timeoutMs": 60_000})
	if x.ends(t, "succeeded"); reason != "none" {
		t.Fatalf("the interpreter was not restored: %s", reason)
	}
	if x.Usage.MemoryPeakBytes < 512*mib {
		t.Errorf("the program used only %d bytes", x.Usage.MemoryPeakBytes)
	}
	eventually(t, "the memory is given back", func() bool { return s.sandboxMemory(t) < before+6*mib })
	a.run(t, "print(42)").prints(t, "42\n")
}

// TestRollbackMeasuresEachRun checks the memory and the processor time that the server
// reports for a program. These values must not depend on earlier programs in the same
// interpreter. They must not include the work that restores the interpreter.
func TestRollbackMeasuresEachRun(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	a.prepareInterpreter(t)
	var least, most int64 = 1 << 60, 0
	for range 50 {
		used := a.run(t, "print(42)").ends(t, "succeeded").Usage.MemoryPeakBytes
		least, most = min(least, used), max(most, used)
	}
	if most-least > mib {
		t.Errorf("equal programs used %d to %d bytes", least, most)
	}
	const interpreter = 5 // The reported memory includes the memory of the interpreter, in MiB.
	allocate := func(size int) {
		code := fmt.Sprintf("b = bytearray(%d << 20)\nfor i in range(0, len(b), 4096): b[i] = 1", size)
		used := float64(a.run(t, code).ends(t, "succeeded").Usage.MemoryPeakBytes) / mib
		if want := float64(size + interpreter); math.Abs(used-want) > want/20 {
			t.Errorf("a program with %d MiB used %.1f MiB", size, used)
		}
	}
	compute := func(n int) int64 {
		code := fmt.Sprintf("n = 0\nfor i in range(%d): n += i * i", n)
		return a.run(t, code).ends(t, "succeeded").Usage.CPUMs
	}
	// The two programs need about 100 ms and 250 ms of processor time.
	sizes := []int{1_000_000, 2_500_000}
	before := make([]int64, len(sizes))
	for i, n := range sizes {
		before[i] = compute(n)
		for range 9 {
			before[i] = min(before[i], compute(n))
		}
	}
	// The processor time of equal programs differs by more than 5 % between busy moments of
	// a machine. So only the deep test, which runs alone, checks the exact limit. Processor
	// time of another program would be a larger error than 20 %.
	rounds, percent := 25, int64(5)
	if testing.Short() {
		rounds, percent = 10, 20
	}
	for range rounds {
		allocate(50)
		a.run(t, "print(42)").prints(t, "42\n")
		allocate(200)
		a.run(t, "import json, logging").ends(t, "succeeded")
	}
	for i, n := range sizes {
		// Other processes on the host can slow a program down. So use the shortest time
		// of several runs.
		now := compute(n)
		for run := 0; run < 50 && now > before[i]*(100+percent)/100; run++ {
			now = min(now, compute(n))
		}
		if now > before[i]*(100+percent)/100 || now < before[i]*80/100 {
			t.Errorf("a program used %d ms of processor time, and %d ms after %d other programs", before[i], now, 4*rounds)
		}
	}
}

// soakPrograms contains programs that use different parts of an interpreter.
var soakPrograms = []string{
	"print(42)",
	"import json, re, datetime, random\nprint(json.dumps([random.random() for _ in range(100)])[:0] + '42')",
	"b = bytearray(5 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nprint(42)",
	"import os\nfor n in range(20): open(f'f{n}', 'w').write('x' * 10_000)\nprint(42)",
	"import mmap, os\nfd = os.open('/dev/shm/m', os.O_RDWR | os.O_CREAT)\nos.ftruncate(fd, 1 << 20)\nm = mmap.mmap(fd, 1 << 20)\nm[:5] = b'12345'\nprint(42, flush=True)\nos._exit(0)",
	"import threading\nt = [threading.Thread(target=print, args=(42,)) for _ in range(1)]\nfor x in t: x.start()\nfor x in t: x.join()",
	"import socket\na, b = socket.socketpair()\na.send(b'42')\nprint(int(b.recv(2)))",
}

// TestRollbackSoak runs many programs in one interpreter. The memory of the sandbox
// must not grow. The environment variable SOAK_RUNS sets the number of programs.
func TestRollbackSoak(t *testing.T) {
	t.Parallel()
	runs := 1000
	if testing.Short() {
		runs = 300
	}
	if s := os.Getenv("SOAK_RUNS"); s != "" {
		runs = must(strconv.Atoi(s))(t)
	}
	s, a := rollbackServer(t)
	before := s.interpreters(t)
	early, started := int64(0), time.Now()
	for run := range runs {
		x := a.execute(t, object{"code": soakPrograms[run%len(soakPrograms)]})
		if x.ends(t, "succeeded"); x.Stdout != "42\n" {
			t.Fatalf("run %d printed %q", run, x.Stdout)
		}
		if run == max(runs/10, 200) {
			early = s.sandboxMemory(t)
		}
	}
	took := time.Since(started)
	// The sandbox returns the memory of the last program after it has sent the answer.
	// So wait until the memory is returned.
	late := s.sandboxMemory(t)
	eventually(t, "the memory has not grown", func() bool {
		late = min(late, s.sandboxMemory(t))
		return late <= early+8*mib
	})
	t.Logf("%d runs, %.0f a second; %.1f MiB after a tenth, %.1f MiB at the end", runs, float64(runs)/took.Seconds(), float64(early)/mib, float64(late)/mib)
	a.runAndRecycle(t, object{"code": "print(42)"})
	for reason, count := range s.interpreters(t) {
		if reason != "none" && count != before[reason] {
			t.Errorf("interpreters were replaced for the reason %s", reason)
		}
	}
}
