package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// The type "meter" measures the memory and processor time of the program, from the
// host. It reads the files of the sandbox's cgroup or, without a cgroup, the files in
// /proc of its processes. Memory does not include the overhead of the sandbox itself.
type meter struct {
	sandbox *Sandbox
	// overhead is the memory in bytes of gVisor and the agent, without the
	// interpreter. The field "first" is the overhead after the boot.
	overhead, first int64
}

// interpreterMemory is the memory in bytes that belongs to an interpreter that waits for
// a job. To measure these numbers, one more interpreter was started, and the guest's
// memory grew by this amount. The numbers do not include the interpreter's code, because
// the memory of the code belongs to the image.
type interpreterMemory struct {
	// The field "own" is the part that counts as memory of the program. Outside a
	// sandbox, the program would also need this memory.
	own int64
	// checkpoint is the memory of the copy for restoring the interpreter. It counts as
	// overhead. For Python the field is 0: if a Python interpreter has imported nothing
	// in advance, its copy is small.
	checkpoint int64
}

func memoryOf(l pyth.Language) interpreterMemory {
	switch l {
	case pyth.JavaScript:
		return interpreterMemory{own: 10 << 20, checkpoint: 14 << 20}
	case pyth.TypeScript:
		return interpreterMemory{own: 21 << 20, checkpoint: 28 << 20}
	}
	return interpreterMemory{own: 5 << 20}
}

// overheadGrowth limits how much the overhead may grow after the boot, in bytes. If the
// overhead grows more than this, memory of a run is still in use. Modules that the
// interpreter imports in advance need 30 MiB, half of it for the checkpoint.
const overheadGrowth = 48 << 20

// errResidue means that memory of a run is still in use after the run.
var errResidue = errors.New("the sandbox did not release the memory of the last run")

// newMeter measures the overhead of a sandbox that is waiting for a job.
func newMeter(s *Sandbox) *meter {
	m := &meter{sandbox: s}
	m.overhead = max(m.total()-memoryOf(s.language).own, 0)
	m.first = m.overhead
	return m
}

// recalibrate measures the overhead again before the next run. gVisor returns the memory
// of a run to the host with a short delay, so recalibrate waits until gVisor has returned
// it. Otherwise this memory would count as overhead, and the next run could use more
// memory than its limit.
func (m *meter) recalibrate(ctx context.Context) error {
	for wait := time.Millisecond; ; wait *= 2 {
		if m.overhead = max(m.total()-memoryOf(m.sandbox.language).own, 0); m.overhead <= m.first+overheadGrowth {
			return nil
		}
		if wait > time.Second {
			return fmt.Errorf("%w: it uses %d MiB, but it used only %d MiB after the boot", errResidue, m.overhead>>20, m.first>>20)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// The method "freed" subtracts the given number of bytes from the overhead, because the
// sandbox frees them before the program starts.
func (m *meter) freed(bytes int64) { m.overhead = max(m.overhead-bytes, 0) }

// The method "total" returns the memory of the whole sandbox in bytes.
func (m *meter) total() int64 {
	if m.sandbox.group != nil {
		return m.sandbox.group.Memory()
	}
	sentry := m.sandbox.cmd.Process.Pid
	return guestMemory(sentry) + anonymousMemory(sentry)
}

// memory returns the current memory of the program in bytes.
func (m *meter) memory() int64 { return max(m.total()-m.overhead, 0) }

// peak returns the highest memory of the program in bytes. Without a cgroup it
// returns 0.
func (m *meter) peak() int64 {
	if m.sandbox.group == nil {
		return 0
	}
	return max(m.sandbox.group.MemoryPeak()-m.overhead, 0)
}

// cpu returns the processor time that the sandbox has used since the boot.
func (m *meter) cpu() time.Duration {
	if m.sandbox.group != nil {
		return m.sandbox.group.CPU()
	}
	pid := m.sandbox.cmd.Process.Pid
	var sum time.Duration
	for _, p := range append(quickDescendants(pid), pid) {
		sum += processCPU(p)
	}
	return sum
}
