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
	// childInterval is the time to the second interrupt if the first has reached
	// children: while C's system() waits for one, it ignores the signal.
	childInterval = 300 * time.Millisecond
	// lastInterval is the time between interrupts in the second half of the grace.
	lastInterval = 50 * time.Millisecond
	// ticks is how many clock ticks a second has in /proc.
	ticks = 100
)

// interruption is the state of a run that is being interrupted.
type interruption struct {
	// began is when the run began, in clock ticks since the boot.
	began int64
	// count is how often the run was interrupted.
	count int
	// next is when that happens again, killed when the interpreter is killed.
	next, killed time.Time
	// limited is whether the program can start no processes.
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

// interrupt asks the interpreter of a session to end its run, as the interrupt
// key of a terminal does: the processes that the run has started get the signal,
// too. It is repeated, because a program may ignore the first, and kills
// processes of the run that ignore it. It kills the interpreter when
// protocol.InterruptGrace is over.
func (r *run) interrupt() {
	p, i, now := r.program, &r.interruption, time.Now()
	if i.count == 0 {
		i.killed = now.Add(protocol.InterruptGrace)
	} else if !now.Before(i.killed) {
		i.next = now.Add(time.Minute) // It is about to end.
		p.kill()
		return
	}
	signal, interval := unix.SIGINT, interruptInterval
	if i.killed.Sub(now) <= protocol.InterruptGrace/2 {
		// A program that starts one child after the other may ignore each interrupt
		// meant for it. It can start none now.
		signal, interval = unix.SIGKILL, lastInterval
		i.limited = p.refuseProcesses() == nil
	}
	if r.signalChildren(signal) && i.count == 0 {
		interval = childInterval
	}
	// Node needs no second: a thread of its own waits for the first.
	if i.count == 0 || !p.interpreter.interruptsOnce {
		_ = unix.Kill(p.pid, unix.SIGINT)
	}
	i.count++
	if i.next = now.Add(interval); i.next.After(i.killed) {
		i.next = i.killed
	}
}

// refuseProcesses lets the program start no further process, until its limit is
// set again.
func (p *program) refuseProcesses() error {
	var limit unix.Rlimit
	if err := unix.Prlimit(p.pid, unix.RLIMIT_NPROC, nil, &limit); err != nil {
		return err
	}
	// The hard limit could not be raised again.
	limit.Cur = 0
	return unix.Prlimit(p.pid, unix.RLIMIT_NPROC, &limit, nil)
}

// afterInterrupt ends what is left of a run that was interrupted.
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

// signalChildren sends a signal to all processes that have begun since the run
// did. It returns whether there are any.
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

// processStart returns when a process began, in clock ticks since the boot, and
// whether it runs still.
func processStart(pid int) (began int64, running bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name in parentheses may have any bytes. The state comes after it, and
	// the start is 19 fields on (proc(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return 0, false
	}
	began, err = strconv.ParseInt(string(fields[19]), 10, 64)
	return began, err == nil
}
