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
	// interruptInterval is the usual time between two interrupts of a run.
	interruptInterval = time.Second
	// childInterval is the time between the first two interrupts if the run has child
	// processes. A process that waits for a child in the C function system() ignores
	// interrupts until the child has ended. The first interrupt only ends the child.
	childInterval = 300 * time.Millisecond
	// lastInterval is the time between two interrupts in the second half of
	// protocol.InterruptGrace.
	lastInterval = 50 * time.Millisecond
	// ticks is the number of clock ticks per second in /proc.
	ticks = 100
)

type interruption struct {
	// The field "began" is the start of the run, in clock ticks since the boot.
	began int64
	// count is the number of interrupts so far.
	count int
	// The field "next" is the time of the next interrupt. At the time killAt, the
	// interpreter is killed.
	next, killAt time.Time
	// limited is true if the program may no longer start processes.
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

// interrupt interrupts the run of a session. Like the interrupt key of a terminal, it
// signals the interpreter and the processes that the run has started.
//
// interrupt is called again while the run continues, because a program may ignore the
// signal. In the second half of protocol.InterruptGrace it kills the run's processes,
// and at the end also the interpreter.
func (r *run) interrupt() {
	p, i, now := r.program, &r.interruption, time.Now()
	if i.count == 0 {
		i.killAt = now.Add(protocol.InterruptGrace)
	} else if !now.Before(i.killAt) {
		i.next = now.Add(time.Minute) // The killed interpreter will end soon.
		if p.isShell() {
			// The session and the processes of earlier runs continue.
			r.signalChildren(unix.SIGKILL)
			_ = unix.Kill(p.pid, unix.SIGKILL)
		} else {
			p.kill()
		}
		return
	}
	signal, interval := unix.SIGINT, interruptInterval
	if i.killAt.Sub(now) <= protocol.InterruptGrace/2 {
		// A program that starts one child process after another may ignore every
		// interrupt. Prevent the program from starting more processes.
		signal, interval = unix.SIGKILL, lastInterval
		i.limited = p.refuseProcesses() == nil
	}
	if r.signalChildren(signal) && i.count == 0 {
		interval = childInterval
	}
	// One interrupt is enough for Node, because a separate thread of Node waits for
	// interrupts.
	if i.count == 0 || !p.interpreter.interruptsOnce {
		_ = unix.Kill(p.pid, unix.SIGINT)
	}
	i.count++
	if i.next = now.Add(interval); i.next.After(i.killAt) {
		i.next = i.killAt
	}
}

// refuseProcesses prevents the program from starting processes. The method
// limitProcesses permits new processes again.
func (p *program) refuseProcesses() error {
	var limit unix.Rlimit
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NPROC, nil, &limit); err != nil {
		return err
	}
	// Set only the soft limit: a hard limit could not be raised again.
	limit.Cur = 0
	return unix.Prlimit(p.pid, unix.RLIMIT_NPROC, &limit, nil)
}

// afterInterrupt kills the processes that remain of an interrupted run, and
// restores the process limit.
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

// signalChildren sends a signal to all processes that the run has started. It returns
// true if there is at least one such process. Processes that streams have started do not
// belong to the run.
func (r *run) signalChildren(signal unix.Signal) bool {
	directories, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	found, others := false, r.streams.owned()
	for _, d := range directories {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() || pid == r.program.init || pid == r.program.pid || others[pid] {
			continue
		}
		if began, running := processStart(pid); running && began >= r.interruption.began {
			found = true
			_ = unix.Kill(pid, signal)
		}
	}
	return found
}

// processStart returns the start time of a process in clock ticks since the boot, and
// whether the process is still running. It does not use the package procfs, because this
// package would make the agent larger in the memory of every sandbox.
func processStart(pid int) (began int64, running bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may contain any bytes. The state of the process follows
	// the name. The start time is 19 fields after the state (proc(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return 0, false
	}
	began, err = strconv.ParseInt(string(fields[19]), 10, 64)
	return began, err == nil
}
