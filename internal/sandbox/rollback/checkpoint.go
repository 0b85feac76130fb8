package rollback

import (
	"errors"
	"time"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/kernel/auth"
	"gvisor.dev/gvisor/pkg/sentry/ktime"
	"gvisor.dev/gvisor/pkg/sentry/limits"
	"gvisor.dev/gvisor/pkg/sentry/usage"
	"gvisor.dev/gvisor/pkg/sentry/vfs"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// checkpoint is the state of a waiting interpreter. After newCheckpoint, only the
// field memory.unmapped is modified.
type checkpoint struct {
	memory
	registers  *arch.Context64
	umask      uint
	actions    [linux.SignalMaximum + 1]linux.SigAction
	mask       linux.SignalSet
	stack      linux.SignalStack
	limits     map[limits.LimitType]limits.Limit
	attributes attributes
	// maxDescriptors is the size of the process's table of descriptors. gVisor cannot
	// make this table smaller.
	maxDescriptors int
	// The agent gives some descriptors to the process. The field "given" contains the
	// flags of these descriptors. The field "descriptors" contains all other descriptors
	// of the process.
	given       map[int32]kernel.FDFlags
	descriptors []descriptor
	// threads contains all threads of the process except the first thread.
	threads  []*thread
	counters counters
	// The field "compiles" is true if the process may create machine code in its
	// memory.
	compiles bool
	// generators are the addresses of random number generators. These generators get new
	// states for each run.
	generators []hostarch.Addr
}

// counters are the numbers that a process can read about its own use of resources.
type counters struct {
	io         [2]usage.IO
	taskClocks [2]ktime.Time
	clocks     [2]ktime.Time
	switches   [2]uint64
	lastID     kernel.ThreadID
}

// ofProcess returns a copy of a. The copy contains only the attributes that are the
// same in all threads of a process.
func (a attributes) ofProcess() attributes {
	a.name = ""
	return a
}

// attributes are the parts of a task that no allowed system call can change.
type attributes struct {
	credentials *auth.Credentials
	name        string
	personality uint32
	niceness    int
	oomScore    int32
	coreFilter  uint32
	deathSignal linux.Signal
	noNewPrivs  bool
	subreaper   bool
}

func attributesOf(t *kernel.Task) attributes {
	return attributes{
		credentials: t.Credentials(),
		name:        t.Name(),
		personality: t.Personality(),
		niceness:    t.Niceness(),
		oomScore:    t.OOMScoreAdj(),
		coreFilter:  t.GetCoredumpFilter(),
		deathSignal: t.ParentDeathSignal(),
		noNewPrivs:  t.GetNoNewPrivs(),
		subreaper:   t.ThreadGroup().IsChildSubreaper(),
	}
}

// checkpointTries limits how often newCheckpoint waits for threads of the runtime that
// are still busy. These threads soon finish their work, and then wait for more work.
const checkpointTries = 50

// newCheckpoint saves the state of a process. The calling task must be its first thread.
// The process may have other threads and other descriptors only if it is a runtime that
// compiles to machine code.
func (i *interpreter) newCheckpoint(t *kernel.Task) (c *checkpoint, err error) {
	if !isLeader(t) {
		return nil, errors.New("a thread cannot make a checkpoint")
	}
	for range checkpointTries {
		if c, err = i.tryCheckpoint(t); !errors.Is(err, errThreadRuns) {
			break
		}
		_, _ = t.BlockWithTimeout(nil, true, time.Millisecond)
	}
	return c, err
}

func (i *interpreter) tryCheckpoint(t *kernel.Task) (*checkpoint, error) {
	others := newPause()
	defer others.release()
	if err := others.stop(t, func(*kernel.Task) bool { return i.compiles }, runningGrace(i.compiles)); err != nil {
		return nil, err
	}
	if t.PIDNamespace().NumTasks() != ownTasks+len(others.all) {
		return nil, errors.New("the process is not alone")
	}
	if t.PendingSignals() != 0 {
		return nil, errors.New("a signal is pending")
	}
	threads, err := saveThreads(t, others.all)
	if err != nil {
		return nil, err
	}
	given := make(map[int32]kernel.FDFlags)
	for _, fd := range i.agentDescriptors() {
		file, flags := t.FDTable().Get(fd)
		if given[fd] = flags; file != nil {
			file.DecRef(t)
		}
	}
	descriptors, err := saveDescriptors(t, given)
	if err != nil {
		return nil, err
	}
	if len(descriptors) > 0 && !i.compiles {
		return nil, errors.New("the process has other descriptors")
	}
	for id := range int32(linux.ITIMER_PROF + 1) {
		if timer, err := t.Getitimer(id); err != nil || timer.Value != (linux.Timeval{}) {
			return nil, errors.New("a timer is set")
		}
	}
	c := &checkpoint{
		umask: t.FSContext().Umask(),
		mask:  t.SignalMask(), stack: t.SignalStack(),
		limits: make(map[limits.LimitType]limits.Limit), attributes: attributesOf(t),
		maxDescriptors: t.FDTable().CurrentMaxFDs(), given: given, descriptors: descriptors, threads: threads, compiles: i.compiles,
	}
	for _, kind := range limits.AllLimitTypes {
		c.limits[kind] = t.Limits().Get(kind)
	}
	for signal := linux.Signal(1); signal.IsValid(); signal++ {
		action, err := t.ThreadGroup().SetSigAction(signal, nil)
		if err != nil {
			return nil, err
		}
		c.actions[signal] = action
	}
	// Get the floating-point registers, because gVisor's platform still holds their
	// latest values.
	if err := platformOf(t).PullFullState(t.MemoryManager().AddressSpace(), t.Arch()); err != nil {
		return nil, err
	}
	c.registers = t.Arch().Fork()
	if err := c.save(t); err != nil {
		if c.arena != nil {
			c.arena.free()
		}
		return nil, err
	}
	if c.compiles {
		if c.generators, err = c.findGenerators(); err != nil {
			c.arena.free()
			return nil, err
		}
	}
	c.counters.save(t)
	return c, nil
}

func (c *counters) save(t *kernel.Task) {
	for i, counters := range ioOf(t) {
		counters.Clone(&c.io[i])
	}
	for i, clock := range taskClocks(t) {
		c.taskClocks[i] = clock.Now()
	}
	for i, clock := range groupClocks(t) {
		c.clocks[i] = clock.Now()
	}
	for i, count := range switchesOf(t) {
		c.switches[i] = count.Load()
	}
	c.lastID = *lastID(t)
}

func taskClocks(t *kernel.Task) [2]*ktime.SyntheticClock {
	return [2]*ktime.SyntheticClock{t.UserCPUClock().(*ktime.SyntheticClock), t.CPUClock().(*ktime.SyntheticClock)}
}

func groupClocks(t *kernel.Task) [2]*ktime.SyntheticClock {
	g := t.ThreadGroup()
	return [2]*ktime.SyntheticClock{g.UserCPUClock().(*ktime.SyntheticClock), g.CPUClock().(*ktime.SyntheticClock)}
}

// restore returns the process to its checkpoint. Before the call, the caller must stop
// all other threads of the process with the pause "others". If restore returns a reason,
// the process must exit. The result "start" is a function that lets new threads run. The
// caller must always call this function.
func (i *interpreter) restore(t *kernel.Task, others *pause) (start func(), why abi.Reason) {
	if why := i.restoreProcess(t); why != 0 {
		return func() {}, why
	}
	c := i.saved.Load()
	if err := restoreDescriptors(t, c.descriptors); err != nil {
		t.Debugf("rollback: %v", err)
		return func() {}, abi.Failed
	}
	start, why = c.restoreThreads(t, others)
	i.counters.restore(t)
	return start, why
}

func (i *interpreter) restoreProcess(t *kernel.Task) abi.Reason {
	c := i.saved.Load()
	for signal := linux.Signal(1); signal.IsValid(); signal++ {
		if signal == linux.SIGKILL || signal == linux.SIGSTOP {
			continue
		}
		if _, err := t.ThreadGroup().SetSigAction(signal, &c.actions[signal]); err != nil {
			return abi.Failed
		}
	}
	if t.PendingSignals() != 0 {
		return abi.Signals
	}
	if attributesOf(t) != c.attributes {
		return abi.Attributes
	}
	if t.FDTable().CurrentMaxFDs() != c.maxDescriptors {
		return abi.Files
	}
	t.SetSignalMask(c.mask)
	for kind, limit := range c.limits {
		t.Limits().SetUnchecked(kind, limit)
	}
	c.restoreFiles(t)
	if why := c.restore(t); why != 0 {
		return why
	}
	*t.Arch() = *c.registers.Fork()
	platformOf(t).FullStateChanged()
	t.SetSyscallRestartBlock(nil)
	if !t.SetSignalStack(c.stack) {
		return abi.Failed
	}
	return 0
}

// stopTimers stops those timers of a process that send signals. It returns false if a
// timer cannot be stopped.
func stopTimers(t *kernel.Task) bool {
	for id := range int32(linux.ITIMER_PROF + 1) {
		if _, err := t.Setitimer(id, linux.ItimerVal{}); err != nil {
			return false
		}
	}
	return true
}

// restoreFiles closes all descriptors, and resets the working directory and the
// umask. The agent gives the process new descriptors.
func (c *checkpoint) restoreFiles(t *kernel.Task) {
	t.FDTable().RemoveIf(t, func(*vfs.FileDescription, kernel.FDFlags) bool { return true })
	// The agent mounts new file systems for the next run. The old working directory
	// would keep an old file system in use, so replace it by the root directory. The
	// interpreter's hook sets the next working directory when a job arrives.
	root := t.FSContext().RootDirectory()
	t.FSContext().SetWorkingDirectory(t, root)
	root.DecRef(t)
	t.FSContext().SwapUmask(c.umask)
}

// restore sets the counters of the task and of its process to the saved values.
func (c *counters) restore(t *kernel.Task) {
	for i, clock := range taskClocks(t) {
		clock.Store(c.taskClocks[i])
	}
	for i, clock := range groupClocks(t) {
		clock.Store(c.clocks[i])
	}
	for i, count := range switchesOf(t) {
		count.Store(c.switches[i])
	}
	*lastID(t) = c.lastID
	for i, counters := range ioOf(t) {
		c.io[i].Clone(counters)
	}
	setPeak(t, t.MemoryManager().ResidentSetSize())
}
