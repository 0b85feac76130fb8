package agent

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

const (
	// interruptInterval is the time between two interrupts of one run.
	interruptInterval = time.Second
	// childInterval is the time to the second interrupt if the first one also
	// went to children. A parent that waits in C's system() ignores the first
	// one.
	childInterval = 300 * time.Millisecond
	// lastInterval is the time between interrupts in the second half of
	// protocol.InterruptGrace.
	lastInterval = 50 * time.Millisecond
	// ticks is the number of clock ticks per second in /proc.
	ticks = 100
)

// interruption holds the state of an interrupted run.
type interruption struct {
	// began is the start time of the run, in clock ticks since the boot.
	began int64
	// count is the number of interrupts so far.
	count int
	// next is the time of the next interrupt. killAt is the time at which the
	// interpreter is killed.
	next, killAt time.Time
	// limited is true if the program cannot start processes.
	limited bool
}

// clock returns the time since the boot in clock ticks.
func clock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return now.Nano() / int64(time.Second/ticks)
}

// interrupt asks the interpreter of a session to end its run. Like the interrupt key
// of a terminal, it also signals the processes that the run has started. It is
// called repeatedly, because a program may ignore the first signal. Later calls kill
// processes of the run, and after protocol.InterruptGrace the interpreter.
func (r *run) interrupt() {
	p, i, now := r.program, &r.interruption, time.Now()
	if i.count == 0 {
		i.killAt = now.Add(protocol.InterruptGrace)
	} else if !now.Before(i.killAt) {
		i.next = now.Add(time.Minute) // The interpreter was killed and will soon end.
		p.kill()
		return
	}
	signal, interval := unix.SIGINT, interruptInterval
	if i.killAt.Sub(now) <= protocol.InterruptGrace/2 {
		// A program that starts one child after another may ignore every interrupt.
		// Do not let it start more children.
		signal, interval = unix.SIGKILL, lastInterval
		i.limited = p.refuseProcesses() == nil
	}
	if r.signalChildren(signal) && i.count == 0 {
		interval = childInterval
	}
	// For Node, one interrupt is enough: a separate thread waits for it.
	if i.count == 0 || !p.interpreter.interruptsOnce {
		_ = unix.Kill(p.pid, unix.SIGINT)
	}
	i.count++
	if i.next = now.Add(interval); i.next.After(i.killAt) {
		i.next = i.killAt
	}
}

// refuseProcesses prevents the program from starting processes. limitProcesses
// permits it again.
func (p *program) refuseProcesses() error {
	var limit unix.Rlimit
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NPROC, nil, &limit); err != nil {
		return err
	}
	// Set only the soft limit, because a lowered hard limit could not be raised.
	limit.Cur = 0
	return unix.Prlimit(p.pid, unix.RLIMIT_NPROC, &limit, nil)
}

// afterInterrupt kills the remaining processes of an interrupted run and restores
// the process limit.
func (r *run) afterInterrupt() error {
	i := &r.interruption
	if i.count == 0 {
		return nil
	}
	r.signalChildren(unix.SIGKILL)
	if i.limited && r.replied() {
		return r.program.limitProcesses(r.job)
	}
	return nil
}

// signalChildren sends a signal to all processes that started after the run began.
// It reports whether there are any.
func (r *run) signalChildren(signal unix.Signal) bool {
	directories, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	found := false
	for _, d := range directories {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() || pid == r.program.init || pid == r.program.pid {
			continue
		}
		if began, running := processStart(pid); running && began >= r.interruption.began {
			found = true
			_ = unix.Kill(pid, signal)
		}
	}
	return found
}

// processStart returns the start time of a process, in clock ticks since the boot,
// and whether it still runs. Unlike the host, it does not use the package procfs:
// the agent is in the memory of every sandbox, and needs only two fields of one
// file.
func processStart(pid int) (began int64, running bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may contain any bytes. The state follows it, and the
	// start time is 19 fields after the state (proc(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return 0, false
	}
	began, err = strconv.ParseInt(string(fields[19]), 10, 64)
	return began, err == nil
}
