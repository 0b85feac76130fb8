package sandbox

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// meter measures the program's memory and processor time on the host. It reads the
// files of the cgroup. Without a cgroup, it reads /proc files of the sandbox's
// processes. Memory excludes the overhead of the sandbox itself.
type meter struct {
	sandbox *Sandbox
	// sentry is the ID of the process that holds the guest's memory.
	sentry int
	// overhead is the memory of gVisor and the agent in bytes, without the
	// interpreter. first is the overhead after the boot.
	overhead, first int64
}

// interpreterBytes returns the memory of a waiting interpreter in bytes. It
// counts as memory of the program, as it would outside a sandbox. The values were
// measured as the growth of guest memory when another interpreter starts. They
// exclude the interpreter's code, which is in the image.
func interpreterBytes(l pyth.Language) int64 {
	switch l {
	case pyth.JavaScript:
		return 10 << 20
	case pyth.TypeScript:
		return 21 << 20
	}
	return 5 << 20
}

// overheadGrowth limits the growth of the overhead during the life of a sandbox,
// in bytes. More growth means that memory of a run is still in use.
const overheadGrowth = 32 << 20

// errResidue reports that memory of a run stays in use after the run.
var errResidue = errors.New("the sandbox did not release the memory of the last run")

// newMeter returns a meter and measures the overhead of a waiting sandbox.
func newMeter(s *Sandbox) *meter {
	m := &meter{sandbox: s}
	if s.group == nil {
		m.sentry = sentryOf(s.cmd.Process.Pid)
	}
	m.overhead = max(m.total()-interpreterBytes(s.language), 0)
	m.first = m.overhead
	return m
}

// recalibrate measures the overhead again before the next run. gVisor returns the
// memory of a run to the host shortly after the run. Memory that is not yet
// returned must not count as overhead, since it would raise the limit of the next
// run.
func (m *meter) recalibrate(ctx context.Context) error {
	for wait := time.Millisecond; ; wait *= 2 {
		if m.overhead = max(m.total()-interpreterBytes(m.sandbox.language), 0); m.overhead <= m.first+overheadGrowth {
			return nil
		}
		if wait > time.Second {
			return errResidue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// total returns the host memory of the whole sandbox in bytes.
func (m *meter) total() int64 {
	if m.sandbox.group != nil {
		return m.sandbox.group.Memory()
	}
	return guestMemory(m.sentry) + anonymousMemory(m.sentry)
}

// memory returns the program's current memory in bytes.
func (m *meter) memory() int64 { return max(m.total()-m.overhead, 0) }

// peak returns the program's highest memory in bytes, or 0 without a cgroup.
func (m *meter) peak() int64 {
	if m.sandbox.group == nil {
		return 0
	}
	return max(m.sandbox.group.MemoryPeak()-m.overhead, 0)
}

// cpu returns the processor time of the sandbox so far.
func (m *meter) cpu() time.Duration {
	if m.sandbox.group != nil {
		return m.sandbox.group.CPU()
	}
	pid := m.sandbox.cmd.Process.Pid
	var sum time.Duration
	for _, p := range append(descendants(pid), pid) {
		sum += processCPU(p)
	}
	return sum
}
