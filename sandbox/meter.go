package sandbox

import (
	"time"
)

// meter reads what the program takes, apart from what the sandbox itself does.
// The readings are the host kernel's: of the cgroup where there is one, else
// of the sandbox's processes.
type meter struct {
	sandbox *Sandbox
	// sentry is the process that holds the guest's memory.
	sentry int
	// overhead is the memory of gVisor and the agent, without the interpreter.
	overhead int64
}

// newMeter measures a sandbox that waits. The interpreter's own memory counts
// as the program's, as it would outside.
func newMeter(s *Sandbox, interpreterBytes int64) *meter {
	m := &meter{sandbox: s}
	if s.group == nil {
		m.sentry = sentryOf(s.cmd.Process.Pid)
	}
	m.overhead = max(m.total()-interpreterBytes, 0)
	return m
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
