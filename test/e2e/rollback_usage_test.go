package e2e_test

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns the processor time of all processes of the server's sandboxes,
// in nanoseconds. It reads the clock of each process. So the result does not depend on
// the measurements of the server.
func (s *server) processorTime(t *testing.T) (sum time.Duration) {
	t.Helper()
	for next := s.sandboxPIDs(); len(next) > 0; next = next[1:] {
		next = append(next, childrenOf(next[0])...)
		const scheduled = 2 // CPUCLOCK_SCHED in Linux
		var clock unix.Timespec
		if err := unix.ClockGettime(int32(^next[0])<<3|scheduled, &clock); err != nil {
			t.Errorf("the process %d has ended: %v", next[0], err)
		}
		sum += time.Duration(clock.Nano())
	}
	return sum
}

// keepProcessorsBusy makes all processors busy until the test ends.
func keepProcessorsBusy(t *testing.T) {
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for t.Context().Err() == nil {
				continue
			}
		})
	}
	t.Cleanup(wg.Wait)
}

// TestRollbackUsageIsOfTheRun runs many programs in one interpreter and checks the
// usage that the server reports. The reported memory must equal the memory that the
// program allocates. The reported processor time must equal the time that the host has
// measured for the processes of the sandbox, even if all processors are busy.
func TestRollbackUsageIsOfTheRun(t *testing.T) {
	t.Parallel()
	t.Run("as root", func(t *testing.T) {
		s, a := rollbackServer(t)
		checkUsage(t, s, a)
	})
	t.Run("as an ordinary user", func(t *testing.T) {
		attr, data := ordinaryUser(t)
		s := startServerIn(t, data, attr, rollbackFlags...)
		checkUsage(t, s, s.register(t))
	})
}

// withMemory returns a request that runs a program with a higher memory limit than
// usual.
func withMemory(code string) object {
	return object{"code": code, "limits": object{"memoryBytes": 512 * mib}, "timeoutMs": 60_000}
}

func checkUsage(t *testing.T, s *server, a *account) {
	earlier := append([]string{
		"b = bytearray(300 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nprint(42)",
		"n = 0\nfor i in range(1_000_000): n += i * i\nprint(42)",
		"small = [bytes([n % 256]) * 600 for n in range(50_000)]\nprint(42)",
	}, soakPrograms...)
	runs := 100
	if testing.Short() {
		runs = 10
	}
	a.prepareInterpreter(t)
	for run := range runs {
		a.execute(t, withMemory(earlier[run%len(earlier)])).prints(t, "42\n")
	}
	if s.interpreters(t)["removed"] != "0" {
		t.Error("the sandbox was removed")
	}
	const (
		ending     = "\nimport time; print(42, flush=True); time.sleep(2)"
		endingNode = "console.log(42); setTimeout(() => {}, 2000)"
	)
	programs := map[string]object{
		"a program that computes": withMemory("n = 0\nfor i in range(5_000_000): n += i * i" + ending),
		"two threads":             withMemory("import threading\nt = [threading.Thread(target=sum, args=(range(10_000_000),)) for _ in range(2)]\nfor x in t: x.start()\nfor x in t: x.join()" + ending),
		"a program that sleeps":   withMemory("import time; time.sleep(0.5)" + ending),
		"a small program":         withMemory("pass" + ending),
	}
	t.Run("memory", func(t *testing.T) { checkMemoryUsage(t, a) })
	t.Run("processor time", func(t *testing.T) { checkProcessorUsage(t, s, a, programs) })
	// With -short, other tests already keep the processors busy, because they run at
	// the same time.
	if !testing.Short() {
		t.Run("processor time on busy processors", func(t *testing.T) {
			// Wait until no other test uses all processors, because such tests have
			// time limits.
			exclusiveAttack.Lock()
			defer exclusiveAttack.Unlock()
			keepProcessorsBusy(t)
			checkProcessorUsage(t, s, a, programs)
		})
	}
	t.Run("processor time of Node", func(t *testing.T) {
		for range runs {
			a.execute(t, javascript("console.log(42)")).prints(t, "42\n")
		}
		checkProcessorUsage(t, s, a, map[string]object{
			"a program that computes": javascript("let s = 0; for (let i = 0; i < 2e8; i++) s += i % 7; " + endingNode),
			"a program that sleeps":   javascript("setTimeout(() => { " + endingNode + " }, 500)"),
			"a small program":         javascript(endingNode),
		})
	})
}

// checkMemoryUsage runs programs that allocate memory of a known size. It compares this
// size with two values: the peak that the server reports, and the peak that the program
// reads.
func checkMemoryUsage(t *testing.T, a *account) {
	peak := func(size int) (server, own float64) {
		x, reason := a.runAndRecycle(t, withMemory(fmt.Sprintf(`import resource
b = bytearray(%d << 20)
for i in range(0, len(b), 4096): b[i] = 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)`, size)))
		if reason != "none" {
			t.Errorf("the interpreter was not restored: %s", reason)
		}
		var kib float64
		if err := json.Unmarshal([]byte(x.ends(t, "succeeded").Stdout), &kib); err != nil {
			t.Fatal(err)
		}
		return float64(x.Usage.MemoryPeakBytes) / mib, kib / 1024
	}
	const interpreter = 5 // The reported memory includes the memory of the interpreter, in MiB.
	_, without := peak(0)
	for _, size := range []int{200, 50, 300, 100} {
		server, own := peak(size)
		if want := float64(size + interpreter); math.Abs(server-want) > want/20 {
			t.Errorf("the server says that a program with %d MiB used %.1f MiB", size, server)
		}
		if math.Abs(own-without-float64(size)) > float64(size)/20 {
			t.Errorf("a program with %d MiB sees %.1f MiB, and %.1f MiB without the allocation", size, own, without)
		}
	}
}

// checkProcessorUsage compares the processor time that the server reports with the time
// that the host has measured. Each program prints a line after its work and then sleeps
// for a short time. When the test reads this line, the time of the host does not yet
// include the work after the run. This work can take a long time: on some virtual
// machines, the first use of each page of memory is slow.
func checkProcessorUsage(t *testing.T, s *server, a *account, programs map[string]object) {
	const tolerance = 10 * time.Millisecond
	for name, program := range programs {
		var tries []string
		for isEqual := false; !isEqual && len(tries) < 5; {
			s.waitUntilRecycled(t)
			before := s.processorTime(t)
			stream := a.openStream(t.Context(), t, program)
			for e, ok := stream.next(t); e.name != "stdout"; e, ok = stream.next(t) {
				if !ok {
					t.Fatalf("%s printed nothing", name)
				}
			}
			least := s.processorTime(t) - before
			_, _, end := stream.readAll(t)
			server := time.Duration(end.ends(t, "succeeded").Usage.CPUMs) * time.Millisecond
			most := s.processorTime(t) - before
			isEqual = server >= least-max(least/20, tolerance) && server <= most+most/20+time.Millisecond
			tries = append(tries, fmt.Sprintf("%v instead of %v to %v", server, least.Round(time.Millisecond), most.Round(time.Millisecond)))
		}
		if t.Logf("%s: %v", name, tries); len(tries) == 5 {
			t.Errorf("the processor time of %s is wrong", name)
		}
	}
}
