// Package rollback restores an interpreter to the state in which it waited for a
// program, so that the next run needs no new interpreter. It is part of the sandbox's
// kernel (gVisor): it replaces entries of gVisor's table of system calls before gVisor
// starts. The agent is the process in the sandbox that starts interpreters and talks to
// the server. A hook is the code that an interpreter runs before each program.
//
// The package guarantees that no state of one run remains in the next run. Memory,
// mappings, registers, descriptors, signals, limits and counters of the interpreter are
// restored. A system call that could change other state makes the interpreter unusable.
// An unusable interpreter exits after its run, and the agent starts a new interpreter.
// The function "allowed" lists the system calls that do not make the interpreter
// unusable.
package rollback

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/kernel/auth"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
	"gvisor.dev/gvisor/pkg/usermem"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// Manager holds the interpreter that can be restored. A sandbox has at most one such
// interpreter.
type Manager struct {
	current atomic.Pointer[interpreter]
	heap    heap
}

// Install replaces entries of the table of system calls. Call Install before gVisor
// starts. Install returns an error if this version of gVisor lacks a field that the
// package needs. It also returns an error if gVisor already has a system call with the
// number abi.Number, which the agent uses.
func Install(table *kernel.SyscallTable) error {
	if err := checkFields(); err != nil {
		return err
	}
	m := new(Manager)
	allowed, denied := allowed(), denied()
	for number, call := range table.Table {
		switch r, listed := allowed[call.Name]; {
		case call.Name == "exit_group":
			call.Fn = m.exit(call.Fn)
		case call.Name == "fadvise64":
			call.Fn = m.checkpoint(call.Fn)
		case call.Name == "pread64":
			call.Fn = m.checkpointByRead(call.Fn)
		case call.Name == "getpid":
			call.Fn = m.processID(call.Fn)
		case call.Name == "getrandom":
			call.Fn = m.random(call.Fn)
		case !listed:
			why := cmp.Or(denied[call.Name], abi.Other)
			call.Fn = m.guarded(call.Fn, rule{before: func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason { return why }})
		case r.before != nil || r.after != nil || r.inThreads != nil:
			call.Fn = m.guarded(call.Fn, r)
		default:
			continue
		}
		table.Table[number] = call
	}
	if _, taken := table.Table[abi.Number]; taken {
		return fmt.Errorf("rollback: system call %d is in use", abi.Number)
	}
	table.Table[abi.Number] = kernel.Syscall{Name: "rollback", Fn: m.agent, SupportLevel: kernel.SupportFull}
	table.Init()
	return nil
}

// interpreter is a process that can be restored to its checkpoint.
type interpreter struct {
	group  *kernel.ThreadGroup
	notice *vfs.FileDescription
	// maxRuns and maxCPU limit how long the interpreter may be used.
	maxRuns int
	maxCPU  time.Duration
	// control is the number of the interpreter's descriptor for messages between the
	// agent and the interpreter.
	control int32
	// The field "compiles" is true if the process is a runtime that compiles programs
	// to machine code and has several threads.
	compiles bool
	// reseeding is true while the OpenSSL library of the process must get a new seed. The
	// field "seeds" counts the seeds that the process has received.
	reseeding atomic.Bool
	seeds     atomic.Int32
	// reason is the reason why the interpreter will not be restored. It is 0 if the
	// interpreter can be restored.
	reason atomic.Uint32
	// The field "saved" is the checkpoint. It is nil before the checkpoint is made.
	saved atomic.Pointer[checkpoint]
	// The field "waits" is the operation that the interpreter is waiting for. It is 0 if
	// the interpreter is not waiting. The channel "given" receives a value when the wait
	// ends. The channel "restored" receives a value when the interpreter is restored or
	// cannot be restored.
	waits           atomic.Uint32
	given, restored chan struct{}
	// The field "anew" is true if the agent wants the process to make a new checkpoint.
	anew atomic.Bool
	// The field "runs" is the number of runs of the interpreter, and "cpu" is the
	// processor time of the interpreter. Only the interpreter's task uses these fields.
	runs int
	cpu  time.Duration
	// The field "counters" holds the counters at the first checkpoint. It is nil
	// before this checkpoint is made.
	counters *counters
}

// agentDescriptors returns the descriptors that the agent gives to the interpreter.
func (i *interpreter) agentDescriptors() [abi.Descriptors]int32 {
	return [...]int32{0, 1, 2, i.control}
}

// retire marks the interpreter as unusable for the given reason: it will not be restored
// after its run. If the reason is 0, the method does nothing. If the interpreter is
// already unusable, the method keeps the first reason.
func (i *interpreter) retire(why abi.Reason) { i.reason.CompareAndSwap(0, uint32(why)) }

// The method "active" returns the task's interpreter if it has a checkpoint and can
// still be restored. Otherwise active returns nil.
func (m *Manager) active(t *kernel.Task) *interpreter {
	i := m.current.Load()
	if i == nil || i.group != t.ThreadGroup() || i.saved.Load() == nil || i.reason.Load() != 0 {
		return nil
	}
	return i
}

// The method "guarded" wraps a system call. The rule decides whether the call makes the
// interpreter unusable.
func (m *Manager) guarded(call kernel.SyscallFn, r rule) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := m.active(t)
		if i == nil {
			return call(t, number, args)
		}
		if r.before != nil {
			why := r.before(t, i.saved.Load(), args)
			i.retire(why)
		}
		if r.inThreads != nil && t.ThreadGroup().Count() != 1 {
			result, why, err := r.inThreads(t, args)
			i.retire(why)
			return result, nil, err
		}
		result, control, err := call(t, number, args)
		if r.after != nil && err == nil {
			i.retire(r.after(t, result))
		}
		return result, control, err
	}
}

// checkpoint wraps fadvise64(2). If a registered interpreter makes a call with the advice
// abi.Advice, the kernel makes the checkpoint of this interpreter. All other calls work
// as usual.
func (m *Manager) checkpoint(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := m.current.Load()
		if i == nil || i.group != t.ThreadGroup() || i.saved.Load() != nil || i.reason.Load() != 0 || args[3].Int() != abi.Advice {
			return call(t, number, args)
		}
		if err := m.makeCheckpoint(t, i); err != nil {
			t.Debugf("rollback: no checkpoint: %v", err)
			i.retire(abi.Off)
			return call(t, number, args)
		}
		return 0, nil, nil
	}
}

// makeCheckpoint makes the checkpoint of an interpreter.
func (m *Manager) makeCheckpoint(t *kernel.Task, i *interpreter) error {
	saved, err := i.newCheckpoint(t)
	if err != nil {
		return err
	}
	if i.counters == nil {
		i.counters = &saved.counters
	}
	i.counters.restore(t) // Programs must not see the work between two checkpoints.
	i.saved.Store(saved)
	if m.current.Load() != i { // The agent has dropped the interpreter in the meantime.
		saved.arena.free()
	}
	return i.reseed(t, saved)
}

// checkpointByRead wraps pread64(2). A hook that cannot call fadvise64(2) makes its
// checkpoint with the offset abi.Offset. When OpenSSL has received a new seed, the hook
// uses the offset abi.Reseeded. All other calls work as usual.
func (m *Manager) checkpointByRead(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := m.current.Load()
		offset := args[3].Int64()
		if i == nil || i.group != t.ThreadGroup() || !i.compiles || i.reason.Load() != 0 || args[0].Int() != i.control {
			return call(t, number, args)
		}
		switch isSaved := i.saved.Load() != nil; {
		case offset == abi.Offset && !isSaved:
			if err := m.makeCheckpoint(t, i); err != nil {
				t.Debugf("rollback: no checkpoint: %v", err)
				i.retire(abi.Off)
				return call(t, number, args)
			}
			return 0, nil, nil
		case offset == abi.Reseeded && isSaved && i.reseeding.Load():
			if !i.endReseeding() {
				return 0, nil, linuxerr.EIO
			}
			return 0, nil, nil
		}
		return call(t, number, args)
	}
}

// exit wraps exit_group(2). If the calling interpreter can be restored, exit restores it
// instead of ending it.
func (m *Manager) exit(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := m.current.Load()
		if i == nil || i.group != t.ThreadGroup() || i.saved.Load() == nil {
			return call(t, number, args)
		}
		status := byte(args[0].Int())
		others := newPause()
		defer others.release()
		why := i.exitReason(t, others)
		if why == 0 {
			why = i.waitAndRestore(t, others, status)
			if why == 0 && t.Block(i.given) == nil {
				return 0, nil, i.nextCheckpoint()
			}
		}
		_ = i.notify(t, abi.Exits, status, why)
		m.drop(t, i)
		return call(t, number, args)
	}
}

// waitAndRestore reports the end of the program, and waits until the agent wants to
// restore the process. Then it restores the process. It returns a reason if the
// process must exit.
func (i *interpreter) waitAndRestore(t *kernel.Task, others *pause, status byte) (why abi.Reason) {
	defer func() {
		if why == 0 {
			i.waits.Store(abi.Resume)
		}
		i.restored <- struct{}{}
	}()
	i.waits.Store(abi.Restore)
	if i.notify(t, abi.Ended, status, 0) != nil || t.Block(i.given) != nil {
		return abi.Failed
	}
	start, why := i.restore(t, others)
	defer start()
	if why == 0 && i.reseed(t, i.saved.Load()) != nil {
		return abi.Failed
	}
	return why
}

// nextCheckpoint returns an error. In the restored process, this error is the result of
// the call that made the checkpoint. The error is EAGAIN if the agent wants a new
// checkpoint, and otherwise EALREADY. With EAGAIN, nextCheckpoint frees the old
// checkpoint.
func (i *interpreter) nextCheckpoint() error {
	if !i.anew.Swap(false) {
		return linuxerr.EALREADY
	}
	i.saved.Swap(nil).arena.free()
	return linuxerr.EAGAIN
}

// exitReason adds 1 to the number of runs of the interpreter. It returns the reason why
// the interpreter cannot be restored, or 0 if it can.
func (i *interpreter) exitReason(t *kernel.Task, others *pause) abi.Reason {
	if why := abi.Reason(i.reason.Load()); why != 0 {
		return why
	}
	if !isLeader(t) || others.stop(t, i.saved.Load().isOwn, runningGrace(i.compiles)) != nil {
		return abi.Threads
	}
	i.runs++
	i.cpu += t.ThreadGroup().CPUStats().UserTime + t.ThreadGroup().CPUStats().SysTime
	switch {
	case i.runs >= i.maxRuns || i.cpu >= i.maxCPU:
		return abi.Limit
	case t.PIDNamespace().NumTasks() != ownTasks+len(others.all):
		return abi.Processes
	}
	// Stop the timers, because a timer must not interrupt the process while it waits for
	// the agent.
	if !stopTimers(t) {
		return abi.Failed
	}
	if t.PendingSignals() != 0 {
		return abi.Signals
	}
	// Read the reason again. Before the method "stop" returned, other threads could still
	// make system calls that set the reason.
	return abi.Reason(i.reason.Load())
}

// threadGrace limits the wait for threads that are ending. After a program has joined its
// threads, it can call exit_group before the kernel has removed the threads. threadGrace
// is long, because threads on a busy machine must wait for a processor.
const threadGrace = time.Second

// runningGrace limits the wait for a thread that has not begun to exit. For example, the
// threads of a runtime that compiles may still be busy.
func runningGrace(compiles bool) time.Duration {
	if compiles {
		return 100 * time.Millisecond
	}
	return 2 * time.Millisecond
}

// isOwn reports whether a thread existed when the checkpoint was made.
func (c *checkpoint) isOwn(t *kernel.Task) bool {
	return slices.ContainsFunc(c.threads, func(s *thread) bool { return s.task == t })
}

// ownTasks returns the number of tasks in the interpreter's PID namespace: the first
// process of the namespace and the interpreter.
const ownTasks = 2

// notify sends a notice (see abi.NoticeSize) to the agent.
func (i *interpreter) notify(t *kernel.Task, kind, status byte, why abi.Reason) error {
	_, err := i.notice.Write(t, usermem.BytesIOSequence([]byte{kind, status, byte(why)}), vfs.WriteOptions{})
	return err
}

// drop removes the interpreter from the Manager and frees its checkpoint.
func (m *Manager) drop(t *kernel.Task, i *interpreter) {
	if i == nil || !m.current.CompareAndSwap(i, nil) {
		return
	}
	i.retire(abi.Off)
	if saved := i.saved.Load(); saved != nil {
		saved.arena.free()
	}
	i.notice.DecRef(t)
}

// agent implements the system call abi.Number, which only the agent may make. For
// programs it returns ENOSYS.
func (m *Manager) agent(t *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
	if t.Credentials().EffectiveKUID != auth.RootKUID {
		if i := m.active(t); i != nil {
			i.retire(abi.Other)
		}
		return 0, nil, linuxerr.ENOSYS
	}
	switch args[0].Int() {
	case abi.Register:
		return 0, nil, m.register(t, args)
	case abi.Resume, abi.ResumeAnew:
		return 0, nil, m.resume(t, args)
	case abi.Seal:
		if i := m.current.Load(); i != nil && i.saved.Load() == nil {
			i.retire(abi.Off)
		}
		return 0, nil, nil
	case abi.Restore:
		return 0, nil, m.restore(t)
	case abi.Settle:
		m.heap.trim()
		settle(t)
		return 0, nil, nil
	case abi.Unregister:
		m.drop(t, m.current.Load())
		return 0, nil, nil
	}
	return 0, nil, linuxerr.EINVAL
}

func (m *Manager) register(t *kernel.Task, args arch.SyscallArguments) error {
	group := t.PIDNamespace().ThreadGroupWithID(kernel.ThreadID(args[1].Int()))
	if group == nil {
		return linuxerr.ESRCH
	}
	notice := t.GetFile(args[2].Int())
	if notice == nil {
		return linuxerr.EBADF
	}
	m.drop(t, m.current.Load())
	m.current.Store(&interpreter{
		group: group, notice: notice, given: make(chan struct{}, 1), restored: make(chan struct{}, 1),
		maxRuns: int(args[3].Int()), maxCPU: time.Duration(args[4].Int64()) * time.Millisecond,
		control: args[5].Int() &^ abi.Compiles, compiles: args[5].Int()&abi.Compiles != 0,
	})
	return nil
}

// restore lets the waiting interpreter restore itself, and waits until the interpreter is
// restored. It returns ECHILD if the interpreter exits instead. If restore is
// interrupted, the caller must call it again.
func (m *Manager) restore(t *kernel.Task) error {
	i := m.current.Load()
	if i == nil {
		return linuxerr.ECHILD
	}
	if i.waits.CompareAndSwap(abi.Restore, 0) {
		i.given <- struct{}{}
	}
	switch {
	case t.Block(i.restored) != nil:
		return linuxerr.EINTR
	case i.waits.Load() != abi.Resume:
		return linuxerr.ECHILD
	}
	return nil
}

// resume gives files of the caller to the waiting interpreter as its new descriptors.
// Then it lets the interpreter continue.
func (m *Manager) resume(t *kernel.Task, args arch.SyscallArguments) error {
	i := m.current.Load()
	group := t.PIDNamespace().ThreadGroupWithID(kernel.ThreadID(args[1].Int()))
	if i == nil || group == nil || i.group != group || !i.waits.CompareAndSwap(abi.Resume, 0) {
		return linuxerr.ESRCH
	}
	i.anew.Store(args[0].Int() == abi.ResumeAnew)
	target, saved := group.Leader(), i.saved.Load()
	var err error
	for index, number := range i.agentDescriptors() {
		file := t.GetFile(args[2+index].Int())
		if file == nil {
			return linuxerr.EBADF
		}
		var old *vfs.FileDescription
		target.WithMuLocked(func(target *kernel.Task) {
			old, err = target.FDTable().NewFDAt(t, number, file, saved.given[number])
		})
		file.DecRef(t)
		if old != nil {
			old.DecRef(t)
		}
		if err != nil {
			return err
		}
	}
	i.given <- struct{}{}
	return nil
}
