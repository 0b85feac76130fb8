package agent

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ended is how the kernel says a process ended.
type ended struct {
	code   int
	signal int
}

// reaper waits for every process of the sandbox: those that the agent started
// and, since the agent is process 1, every orphan.
type reaper struct {
	mu      sync.Mutex
	changed *sync.Cond
	watched map[int]chan ended
	used    time.Duration
	// children is whether the kernel may still have a process for us.
	children bool
}

func newReaper() *reaper {
	r := &reaper{watched: make(map[int]chan ended)}
	r.changed = sync.NewCond(&r.mu)
	go r.loop()
	return r
}

// start starts a process and returns a channel that tells its end.
func (r *reaper) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan ended, error) {
	// Under the lock, so that the process cannot be reaped before it is known.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	c := make(chan ended, 1)
	r.watched[pid] = c
	r.children = true
	r.changed.Broadcast()
	return pid, c, nil
}

func (r *reaper) loop() {
	for {
		r.mu.Lock()
		for !r.children {
			r.changed.Wait()
		}
		r.mu.Unlock()
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, 0, &usage)
		if err == unix.EINTR {
			continue
		}
		r.mu.Lock()
		if err != nil {
			r.children = false
		} else {
			r.used += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			if c, ok := r.watched[pid]; ok {
				delete(r.watched, pid)
				end := ended{code: status.ExitStatus()}
				if status.Signaled() {
					end = ended{signal: int(status.Signal())}
				}
				c <- end
			}
		}
		r.changed.Broadcast()
		r.mu.Unlock()
	}
}

// killAll kills every process but the agent.
func (r *reaper) killAll() { _ = unix.Kill(-1, unix.SIGKILL) }

// empty returns when no process but the agent is left. A program that forks
// faster than one sweep kills is swept again.
func (r *reaper) empty() {
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				r.killAll()
			}
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.children {
		r.changed.Wait()
	}
}

// cpu is the processor time of everything reaped.
func (r *reaper) cpu() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}
