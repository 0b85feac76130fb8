package sandbox

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// meter reads what the program takes, apart from what the sandbox itself does.
// The readings are the host kernel's: of the cgroup where there is one, else
// of the sandbox's processes.
type meter struct {
	sandbox *Sandbox
	// sentry is the process that holds the guest's memory.
	sentry int
	// overhead is the memory of gVisor and the agent, without the interpreter;
	// first is what it was when the sandbox was new.
	overhead, first int64
}

// interpreterBytes is the memory of an interpreter that waits. It counts as the
// program's, as it would outside. It is what guest memory grows by when one
// more starts; its text is of the image and not counted.
func interpreterBytes(l pyth.Language) int64 {
	switch l {
	case pyth.JavaScript:
		return 10 << 20
	case pyth.TypeScript:
		return 21 << 20
	}
	return 5 << 20
}

// overheadGrowth is by how much the overhead may grow over the runs of a
// sandbox. More is not gVisor's own any more.
const overheadGrowth = 32 << 20

// errResidue is a sandbox in which memory of a run is left.
var errResidue = errors.New("memory of the last run is not given back")

// newMeter measures a sandbox that waits.
func newMeter(s *Sandbox) *meter {
	m := &meter{sandbox: s}
	if s.group == nil {
		m.sentry = sentryOf(s.cmd.Process.Pid)
	}
	m.overhead = max(m.total()-interpreterBytes(s.language), 0)
	m.first = m.overhead
	return m
}

// renew measures anew, for another run. gVisor gives the memory of the last
// back to the host a little after it has ended; what is not back must not
// count as overhead, since the next run would be granted it.
func (m *meter) renew(ctx context.Context) error {
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

// total is the memory that the sandbox takes of the host, in bytes.
func (m *meter) total() int64 {
	if m.sandbox.group != nil {
		return m.sandbox.group.Memory()
	}
	return guestMemory(m.sentry) + anonymousMemory(m.sentry)
}

// memory is the program's present use in bytes.
func (m *meter) memory() int64 { return max(m.total()-m.overhead, 0) }

// peak is the most the program has used, as far as the kernel keeps count.
func (m *meter) peak() int64 {
	if m.sandbox.group == nil {
		return 0
	}
	return max(m.sandbox.group.MemoryPeak()-m.overhead, 0)
}

// cpu is the processor time of the sandbox so far.
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
