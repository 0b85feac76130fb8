// Package rollback puts an interpreter back to the state in which it waited for a
// program, so that the next run needs no new interpreter. It is part of the
// sandbox's kernel: it replaces entries of gVisor's table of system calls before
// gVisor starts.
//
// The package guarantees that nothing of one run remains in the next. Memory,
// mappings, registers, descriptors, signals, limits and counters of the interpreter
// are restored. The calls that can leave anything else make the interpreter
// unusable: it exits after its run, and the agent starts another. Calls are denied
// by default, see allowed.
package rollback

import (
	"cmp"
	"fmt"
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

// Keeper holds the interpreter that can be put back. A sandbox has at most one.
type Keeper struct {
	current atomic.Pointer[interpreter]
}

// Install replaces entries of the table. Call it before gVisor starts. It returns an
// error if this gVisor lacks a field that the package needs.
func Install(table *kernel.SyscallTable) error {
	if err := checkFields(); err != nil {
		return err
	}
	k := new(Keeper)
	allowed, denied := allowed(), denied()
	for number, call := range table.Table {
		switch r, listed := allowed[call.Name]; {
		case call.Name == "exit_group":
			call.Fn = k.exit(call.Fn)
		case call.Name == "fadvise64":
			call.Fn = k.checkpoint(call.Fn)
		case !listed:
			why := cmp.Or(denied[call.Name], abi.Other)
			call.Fn = k.judged(call.Fn, rule{before: func(*checkpoint, arch.SyscallArguments) abi.Reason { return why }})
		case r.before != nil || r.after != nil:
			call.Fn = k.judged(call.Fn, r)
		default:
			continue
		}
		table.Table[number] = call
	}
	if _, taken := table.Table[abi.Number]; taken {
		return fmt.Errorf("rollback: system call %d is in use", abi.Number)
	}
	table.Table[abi.Number] = kernel.Syscall{Name: "rollback", Fn: k.agent, SupportLevel: kernel.SupportFull}
	table.Init()
	return nil
}

// interpreter is a process that can be put back to its checkpoint.
type interpreter struct {
	group  *kernel.ThreadGroup
	notice *vfs.FileDescription
	// maxRuns and maxCPU limit how long the interpreter is used.
	maxRuns int
	maxCPU  time.Duration
	// reason is the reason why the interpreter will not be put back; 0 if it can be
	// put back.
	reason atomic.Uint32
	// saved is the checkpoint; nil before it is made.
	saved atomic.Pointer[checkpoint]
	// waiting is true from the time at which the interpreter was put back until it
	// has descriptors. given then receives a value.
	waiting atomic.Bool
	given   chan struct{}
	// runs counts the runs of the interpreter, and cpu is its processor time. Only
	// the interpreter's task uses these fields.
	runs int
	cpu  time.Duration
}

// spend marks the interpreter as unusable for the given reason. If the reason is 0,
// it does nothing. If the interpreter is already unusable, the first reason stays.
func (i *interpreter) spend(why abi.Reason) { i.reason.CompareAndSwap(0, uint32(why)) }

// of returns the task's interpreter if it has a checkpoint and can still be put
// back. Otherwise it returns nil.
func (k *Keeper) of(t *kernel.Task) *interpreter {
	i := k.current.Load()
	if i == nil || i.group != t.ThreadGroup() || i.saved.Load() == nil || i.reason.Load() != 0 {
		return nil
	}
	return i
}

// judged wraps a system call. The rule decides whether the call makes the
// interpreter unusable.
func (k *Keeper) judged(call kernel.SyscallFn, r rule) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := k.of(t)
		if i == nil {
			return call(t, number, args)
		}
		if r.before != nil {
			i.spend(r.before(i.saved.Load(), args))
		}
		result, control, err := call(t, number, args)
		if r.after != nil && err == nil {
			i.spend(r.after(t, result))
		}
		return result, control, err
	}
}

// checkpoint wraps fadvise64(2). With abi.Advice, the watched process makes its
// checkpoint by this call. All other calls are unchanged.
func (k *Keeper) checkpoint(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := k.current.Load()
		if i == nil || i.group != t.ThreadGroup() || i.saved.Load() != nil || i.reason.Load() != 0 || args[3].Int() != abi.Advice {
			return call(t, number, args)
		}
		saved, err := newCheckpoint(t)
		if err != nil {
			t.Debugf("rollback: no checkpoint: %v", err)
			i.spend(abi.Off)
			return call(t, number, args)
		}
		i.saved.Store(saved)
		return 0, nil, nil
	}
}

// exit wraps exit_group(2). It puts the process back if it can.
func (k *Keeper) exit(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		i := k.current.Load()
		if i == nil || i.group != t.ThreadGroup() || i.saved.Load() == nil {
			return call(t, number, args)
		}
		status := byte(args[0].Int())
		why := i.judge(t)
		if why == 0 {
			if i.tell(t, abi.Ended, status, 0) != nil {
				why = abi.Failed
			} else if why = i.restore(t); why == 0 && i.await(t) == nil {
				return 0, nil, nil
			}
		}
		_ = i.tell(t, abi.Exits, status, why)
		k.drop(t, i)
		return call(t, number, args)
	}
}

// judge counts the run. It returns the reason why the process cannot be put back, or
// 0.
func (i *interpreter) judge(t *kernel.Task) abi.Reason {
	if why := abi.Reason(i.reason.Load()); why != 0 {
		return why
	}
	i.runs++
	i.cpu += t.ThreadGroup().CPUStats().UserTime + t.ThreadGroup().CPUStats().SysTime
	switch {
	case i.runs >= i.maxRuns || i.cpu >= i.maxCPU:
		return abi.Worn
	case t.ThreadGroup().Count() != 1:
		return abi.Threads
	case t.PIDNamespace().NumTasks() != ownTasks:
		return abi.Processes
	}
	return 0
}

// ownTasks counts the tasks in the interpreter's PID namespace: the first process of
// the namespace and the interpreter.
const ownTasks = 2

// tell sends a notice to the agent.
func (i *interpreter) tell(t *kernel.Task, kind, status byte, why abi.Reason) error {
	_, err := i.notice.Write(t, usermem.BytesIOSequence([]byte{kind, status, byte(why)}), vfs.WriteOptions{})
	return err
}

// drop forgets the interpreter and frees its checkpoint.
func (k *Keeper) drop(t *kernel.Task, i *interpreter) {
	if i == nil || !k.current.CompareAndSwap(i, nil) {
		return
	}
	i.spend(abi.Off)
	i.notice.DecRef(t)
}

// agent implements the agent's system call. For programs it returns ENOSYS.
func (k *Keeper) agent(t *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
	if t.Credentials().EffectiveKUID != auth.RootKUID {
		if i := k.of(t); i != nil {
			i.spend(abi.Other)
		}
		return 0, nil, linuxerr.ENOSYS
	}
	switch args[0].Int() {
	case abi.Watch:
		return 0, nil, k.watch(t, args)
	case abi.Give:
		return 0, nil, k.give(t, args)
	case abi.Forget:
		k.drop(t, k.current.Load())
		return 0, nil, nil
	}
	return 0, nil, linuxerr.EINVAL
}

func (k *Keeper) watch(t *kernel.Task, args arch.SyscallArguments) error {
	group := t.PIDNamespace().ThreadGroupWithID(kernel.ThreadID(args[1].Int()))
	if group == nil {
		return linuxerr.ESRCH
	}
	notice := t.GetFile(args[2].Int())
	if notice == nil {
		return linuxerr.EBADF
	}
	k.drop(t, k.current.Load())
	k.current.Store(&interpreter{
		group: group, notice: notice, given: make(chan struct{}, 1),
		maxRuns: int(args[3].Int()), maxCPU: time.Duration(args[4].Int64()) * time.Millisecond,
	})
	return nil
}

// await tells the agent that the process was put back, and waits until the agent has
// given it descriptors. It returns an error if the process is killed.
func (i *interpreter) await(t *kernel.Task) error {
	i.waiting.Store(true)
	if err := i.tell(t, abi.Waits, 0, 0); err != nil {
		return err
	}
	return t.Block(i.given)
}

// give installs files of the caller as the descriptors of the waiting process.
func (k *Keeper) give(t *kernel.Task, args arch.SyscallArguments) error {
	i := k.current.Load()
	group := t.PIDNamespace().ThreadGroupWithID(kernel.ThreadID(args[1].Int()))
	if i == nil || group == nil || i.group != group || !i.waiting.CompareAndSwap(true, false) {
		return linuxerr.ESRCH
	}
	target := group.Leader()
	var err error
	for number := range int32(abi.Given) {
		file := t.GetFile(args[2+number].Int())
		if file == nil {
			return linuxerr.EBADF
		}
		var old *vfs.FileDescription
		target.WithMuLocked(func(target *kernel.Task) {
			old, err = target.FDTable().NewFDAt(t, number, file, kernel.FDFlags{})
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
