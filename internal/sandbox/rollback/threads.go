package rollback

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/ktime"
	"gvisor.dev/gvisor/pkg/sentry/usage"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// thread is the state of a thread at the checkpoint. This type does not describe the
// first thread of the process.
type thread struct {
	// task is the thread itself. restoreThreads replaces it if it has ended.
	task       *kernel.Task
	id         kernel.ThreadID
	registers  *arch.Context64
	mask       linux.SignalSet
	stack      linux.SignalStack
	name       string
	clearTID   hostarch.Addr
	robustList hostarch.Addr
	started    ktime.Time
	counters   threadCounters
}

// threadCounters are the numbers that a process can read about the use of resources by
// a thread.
type threadCounters struct {
	io       usage.IO
	clocks   [2]ktime.Time
	switches uint64
}

func (c *threadCounters) save(t *kernel.Task) {
	t.IOUsage().Clone(&c.io)
	for i, clock := range taskClocks(t) {
		c.clocks[i] = clock.Now()
	}
	c.switches = switchesOf(t)[0].Load()
}

func (c *threadCounters) restore(t *kernel.Task) {
	c.io.Clone(t.IOUsage())
	for i, clock := range taskClocks(t) {
		clock.Store(c.clocks[i])
	}
	switchesOf(t)[0].Store(c.switches)
}

// apply gives the saved state to the task t. Only t itself may call apply, unless t has
// not started yet.
func (s *thread) apply(t *kernel.Task) error {
	t.SetName(s.name)
	t.SetClearTID(s.clearTID)
	t.SetRobustList(s.robustList)
	t.SetSyscallRestartBlock(nil)
	t.SetSignalMask(s.mask)
	if !t.SetSignalStack(s.stack) {
		return errors.New("set the signal stack of a thread")
	}
	return nil
}

// The type "pause" stops threads of a process before they return to the program's code.
// gVisor calls TaskWork in each of these threads.
type pause struct {
	// The channel "stopped" receives each thread that has stopped.
	stopped chan stopped
	// The channel "resume" is closed when the threads may continue. Then each thread
	// first gets the state in states.
	resume chan struct{}
	states map[*kernel.Task]*thread
	// The field "asked" contains the threads that were told to stop. The field "all"
	// contains the threads that have stopped.
	asked map[*kernel.Task]bool
	all   []stopped
}

// The type "stopped" is a thread that has stopped. If the state of the thread is unknown,
// the field err says why.
type stopped struct {
	task *kernel.Task
	err  error
}

// maxThreads limits the number of threads that a checkpoint can have.
const maxThreads = 64

func newPause() *pause {
	return &pause{
		stopped: make(chan stopped, maxThreads), resume: make(chan struct{}),
		states: make(map[*kernel.Task]*thread), asked: make(map[*kernel.Task]bool),
	}
}

// TaskWork implements kernel.TaskWorker.
func (p *pause) TaskWork(t *kernel.Task) {
	err := platformOf(t).PullFullState(t.MemoryManager().AddressSpace(), t.Arch())
	p.stopped <- stopped{t, err}
	t.UninterruptibleSleepStart()
	<-p.resume
	t.UninterruptibleSleepFinish()
	if state := p.states[t]; state != nil {
		*t.Arch() = *state.registers.Fork()
		platformOf(t).FullStateChanged()
		_ = state.apply(t) // The signal stack was valid at the checkpoint.
	}
}

// The method "stop" stops all threads for which the function mayStop returns true. Then
// it waits until the remaining threads have ended. It returns an error if a remaining
// thread still runs after the given time, or if a thread neither stops nor ends.
func (p *pause) stop(t *kernel.Task, mayStop func(*kernel.Task) bool, running time.Duration) error {
	for start := time.Now(); ; {
		others, runs := otherThreads(t), false
		for _, other := range others {
			if other.ExitState() != kernel.TaskExitNone {
				continue
			}
			if !mayStop(other) {
				runs = true
				continue
			}
			if !p.asked[other] && len(p.asked) < maxThreads {
				p.asked[other] = true
				other.RegisterWork(p)
				other.Interrupt()
			}
		}
		if len(others) == len(p.all) {
			return nil
		}
		if waited := time.Since(start); waited > threadGrace || waited > running && runs {
			return errors.New("a thread did not stop in time")
		}
		select {
		case s := <-p.stopped:
			if s.err != nil {
				return s.err
			}
			p.all = append(p.all, s)
		case <-time.After(pollInterval):
		}
	}
}

// otherThreads returns all threads of the task's process except the task itself.
func otherThreads(t *kernel.Task) []*kernel.Task {
	var all []*kernel.Task
	t.ThreadGroup().ForEachTask(func(other *kernel.Task) bool {
		if other != t {
			all = append(all, other)
		}
		return true
	})
	return all
}

// pollInterval is the time between two checks of whether threads have ended.
const pollInterval = 100 * time.Microsecond

// release lets all threads that the method "stop" has stopped continue.
func (p *pause) release() { close(p.resume) }

// waitingCalls contains the system calls in which a thread may wait at the checkpoint.
// When the thread is restored, it makes the call again.
var waitingCalls = []uintptr{unix.SYS_FUTEX, unix.SYS_EPOLL_WAIT, unix.SYS_EPOLL_PWAIT}

// errThreadRuns means that a thread is running. A thread can be saved only while it
// waits.
var errThreadRuns = errors.New("a thread is running")

// saveThreads returns the states of stopped threads. Each of these threads must have been
// waiting when it was stopped.
func saveThreads(t *kernel.Task, all []stopped) ([]*thread, error) {
	var threads []*thread
	for _, s := range all {
		other := s.task
		if other.PendingSignals() != 0 || hasSavedMask(other) {
			return nil, errors.New("a signal is pending, or a thread waits with another signal mask")
		}
		if attributesOf(other).ofProcess() != attributesOf(t).ofProcess() {
			return nil, errors.New("a thread has other attributes than its process")
		}
		registers := other.Arch().Fork()
		_, interrupted := linuxerr.SyscallRestartErrorFromReturn(registers.Return())
		interrupted = interrupted || int64(registers.Return()) == -int64(unix.EINTR) // epoll_wait is not restarted.
		if !interrupted || !slices.Contains(waitingCalls, registers.SyscallNo()) {
			return nil, errThreadRuns
		}
		registers.RestartSyscall()
		saved := &thread{
			task: other, started: *startOf(other), id: t.PIDNamespace().IDOfTask(other), registers: registers, mask: other.SignalMask(),
			stack: other.SignalStack(), name: other.Name(), clearTID: clearTIDOf(other), robustList: other.GetRobustList(),
		}
		saved.counters.save(other)
		threads = append(threads, saved)
	}
	return threads, nil
}

// restoreThreads restores the threads of the checkpoint. Stopped threads get their
// state when the pause ends. All other threads have ended, so restoreThreads creates
// them again with the same IDs. The caller must call the result "start" to let the
// created threads run, even after an error.
func (c *checkpoint) restoreThreads(t *kernel.Task, p *pause) (start func(), why abi.Reason) {
	var created []*kernel.Task
	start = func() {
		for _, task := range created {
			task.Start(t.Kernel().TaskSet().Root.IDOfTask(task))
		}
	}
	for _, s := range c.threads {
		if isStopped(p, s.task) {
			// The thread has a saved signal mask, so it cannot be restored. gVisor would
			// set this mask after the thread has received its state.
			if s.task.PendingSignals() != 0 || hasSavedMask(s.task) {
				return start, abi.Signals
			}
			if attributesOf(s.task).ofProcess() != c.attributes.ofProcess() {
				return start, abi.Attributes
			}
			s.counters.restore(s.task)
			p.states[s.task] = s
			continue
		}
		task, err := s.create(t)
		if task != nil {
			created = append(created, task)
		}
		if err != nil {
			t.Debugf("rollback: %v", err)
			return start, abi.Failed
		}
		s.task = task
	}
	return start, 0
}

func isStopped(p *pause, t *kernel.Task) bool {
	for _, s := range p.all {
		if s.task == t {
			return true
		}
	}
	return false
}

// create creates a thread of the checkpoint again after the thread has ended. The caller
// must call Start on the result. Before that, the new thread does not run.
func (s *thread) create(t *kernel.Task) (*kernel.Task, error) {
	image, err := t.TaskImage().Fork(t, t.Kernel(), true)
	if err != nil {
		return nil, err
	}
	image.Arch, image.Name = s.registers.Fork(), s.name
	credentials := t.Credentials()
	credentials.UserNamespace.IncRef()
	t.FSContext().IncRef()
	t.FDTable().IncRef()
	*lastID(t) = s.id - 1
	task, err := t.Kernel().TaskSet().NewTask(t, &kernel.TaskConfig{
		Kernel: t.Kernel(), ThreadGroup: t.ThreadGroup(), InheritParent: t, SignalMask: s.mask, TaskImage: image,
		FSContext: t.FSContext(), FDTable: t.FDTable(), Credentials: credentials, NoNewPrivs: t.GetNoNewPrivs(),
		Niceness: t.Niceness(), NetworkNamespace: t.GetNetworkNamespace(), AllowedCPUMask: t.CPUMask(),
		UTSNamespace: t.GetUTSNamespace(), IPCNamespace: t.GetIPCNamespace(), CgroupNamespace: t.GetCgroupNamespace(),
		MountNamespace: t.GetMountNamespace(), ContainerID: t.ContainerID(),
		UserCounters: t.Kernel().GetUserCounters(credentials.RealKUID), Personality: t.Personality(), Origin: t.Origin,
	})
	if err != nil {
		return nil, fmt.Errorf("create a thread: %w", err)
	}
	if got := t.PIDNamespace().IDOfTask(task); got != s.id {
		return task, fmt.Errorf("the thread has the ID %d instead of %d", got, s.id)
	}
	*startOf(task) = s.started
	s.counters.restore(task)
	return task, s.apply(task)
}
