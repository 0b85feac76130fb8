package computer

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// await waits for the end of the process and stores its status.
func (p *process) await() {
	var status unix.WaitStatus
	conn, err := p.pidfd.SyscallConn()
	if err == nil {
		err = conn.Read(func(uintptr) bool {
			pid, err := unix.Wait4(p.agentID, &status, unix.WNOHANG, nil)
			return pid != 0 && err != unix.EINTR
		})
	}
	if err != nil {
		_, _ = unix.Wait4(p.agentID, &status, 0, nil)
	}
	// The process may have written output that its readers have not read yet.
	for _, r := range p.outputs {
		r.drain()
	}
	_ = p.pidfd.Close()
	c := p.computer
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.timeout != nil {
		p.timeout.Stop()
	}
	p.status, p.endedAt = status, time.Now()
	close(p.exited)
	c.running--
	if p.stdin != nil {
		// If the process has a terminal, the call also hangs up the terminal.
		_ = p.stdin.Close()
	}
	c.closeOldLocked()
}

// maxLingering is the maximum number of ended processes whose output is still open
// because their children have it open. Without this limit, such children could use up the
// descriptors of the agent.
const maxLingering = 64

// closeOldLocked closes the output of the oldest ended processes if more than
// maxLingering ended processes have open output.
func (c *Computer) closeOldLocked() {
	lingering := 0
	for _, p := range slices.Backward(c.all) {
		if !p.ended() || p.reading.Load() == 0 {
			continue
		}
		if lingering++; lingering > maxLingering {
			for _, r := range p.outputs {
				_ = r.file.Close()
			}
		}
	}
}

// expire kills the process and its descendants because of its time-out.
func (p *process) expire() {
	p.computer.mu.Lock()
	if p.ended() {
		p.computer.mu.Unlock()
		return
	}
	p.timedOut = true
	p.computer.mu.Unlock()
	p.killAll()
}

// signal sends a signal to the process group of the process. SIGKILL goes to all
// descendants.
func (p *process) signal(signal unix.Signal) error {
	if p.ended() {
		return unix.ESRCH
	}
	if signal == unix.SIGKILL {
		p.killAll()
		return nil
	}
	return unix.Kill(-p.agentID, signal)
}

// maxRounds limits how often killAll looks for new descendants. roundPause is the time
// between two rounds. During this time, killed processes can end.
const (
	maxRounds  = 20
	roundPause = 5 * time.Millisecond
)

// killAll kills the process and its descendants. A descendant may start another process
// at the same time, so killAll repeats until no descendant is left.
func (p *process) killAll() {
	roots := map[int]bool{p.agentID: true}
	for range maxRounds {
		found := descendants(roots)
		for pid := range found {
			// Stop each process before any process is killed, so that no process can
			// start another one.
			_ = unix.Kill(pid, unix.SIGSTOP)
		}
		again := descendants(roots)
		for pid := range again {
			// Add the process to the roots. Then later rounds also find its children
			// after it has died.
			roots[pid] = true
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if len(again) == 0 {
			return
		}
		time.Sleep(roundPause)
	}
}

// descendants returns the running processes that belong to the roots: the roots, the
// processes in their sessions and process groups, and the children of all of these. A
// negative root -n means that the process n has ended. The processes in its session still
// belong to it, but another process may now have the ID n.
func descendants(roots map[int]bool) map[int]bool {
	all := processes()
	found := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for pid, s := range all {
			if found[pid] {
				continue
			}
			if roots[pid] || roots[s.parent] || found[s.parent] || roots[s.session] || roots[s.group] || roots[-s.session] {
				found[pid], grown = true, true
			}
		}
	}
	return found
}

type state struct{ parent, group, session int }

// processes returns all processes of the sandbox that have not ended, except this
// process.
func processes() map[int]state {
	directories, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	all := map[int]state{}
	for _, d := range directories {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil {
			continue
		}
		// The name in parentheses may contain any bytes (proc(5)).
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 4 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
			continue
		}
		number := func(i int) int {
			n, _ := strconv.Atoi(string(fields[i]))
			return n
		}
		all[pid] = state{parent: number(1), group: number(2), session: number(3)}
	}
	return all
}
