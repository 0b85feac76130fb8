package kernel

import (
	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/kernel/auth"
	"gvisor.dev/gvisor/pkg/sentry/socket/netstack"
	syscalls "gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/batch"
)

// newNamespaces combines the flags of clone and unshare that create namespaces.
const newNamespaces = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC |
	linux.CLONE_NEWUTS | linux.CLONE_NEWPID | linux.CLONE_NEWCGROUP

// newTime is the flag of unshare and clone3 that creates a time namespace. clone does not
// have this flag: in the flags of clone, the bit is part of the signal number.
const newTime = 0x80

// changeCalls adds the agent's batch call (package batch) and replaces system calls
// of the sandbox's kernel. For the agent, it extends short sleeps (function
// "longer"). The following restrictions apply only to programs, because the agent
// needs the restricted calls:
//   - Programs cannot create or join namespaces (EPERM). In a user namespace, a
//     program would have all capabilities. It could mount file systems without a disk
//     limit, and use devices that the agent has removed.
//   - Programs cannot set extended attributes (ENOTSUP, as on a file system without
//     extended attributes). gVisor's tmpfs does not count them against a limit.
//   - The number of additional hard links is limited (ENOSPC): see links.
//
// The agent runs as root of the sandbox. All other processes are programs, and cannot
// become root. changeCalls must be called before gVisor starts.
func changeCalls() {
	hardLinks := new(links)
	for _, table := range []*kernel.SyscallTable{syscalls.AMD64, syscalls.ARM64} {
		for number, call := range table.Table {
			fn := restricted(call.Name, call.Fn)
			if fn == nil {
				fn = hardLinks.restricted(call.Name, call.Fn)
			}
			if fn != nil {
				call.Fn = fn
				table.Table[number] = call
			}
		}
		table.Table[batch.Number] = kernel.Syscall{Name: "batch", Fn: runBatch, SupportLevel: kernel.SupportFull}
		// The lookup tables contain copies of the functions. Init builds these tables
		// again with the replaced functions.
		table.Init()
	}
}

// The function "restricted" returns a function that replaces the system call, or nil to
// keep it.
func restricted(name string, call kernel.SyscallFn) kernel.SyscallFn {
	switch name {
	case "clone":
		return refusing(call, linuxerr.EPERM, func(args arch.SyscallArguments) bool { return args[0].Uint64()&newNamespaces != 0 })
	case "unshare":
		return refusing(call, linuxerr.EPERM, func(args arch.SyscallArguments) bool {
			return args[0].Uint64()&(newNamespaces|newTime) != 0
		})
	case "clone3":
		return clone3(call)
	case "setns":
		return refusing(withoutTimeWait(call), linuxerr.EPERM, always)
	case "nanosleep":
		return longer(call)
	case "setxattr", "lsetxattr", "fsetxattr":
		return refusing(call, linuxerr.ENOTSUP, always)
	default:
		return nil
	}
}

// withoutTimeWait wraps setns(2). It disables TIME_WAIT in the network namespace that
// a task joins.
//
// With TIME_WAIT, a port stays in use for a minute after its connection is closed. The
// next run in a session could not start its server on this port. TIME_WAIT protects a new
// connection from late packets of an old one. On loopback, no packet is late.
func withoutTimeWait(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		result, control, err := call(t, number, args)
		if s, ok := t.NetworkContext().(*netstack.Stack); ok && err == nil {
			none := tcpip.TCPTimeWaitTimeoutOption(0)
			if s.Stack.SetTransportProtocolOption(tcp.ProtocolNumber, &none) != nil {
				return 0, nil, linuxerr.EIO
			}
		}
		return result, control, err
	}
}

func always(arch.SyscallArguments) bool { return true }

// The function "refusing" wraps a system call. Programs get err if refused returns true
// for the arguments of their call.
func refusing(call kernel.SyscallFn, err error, refused func(arch.SyscallArguments) bool) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if isProgram(t) && refused(args) {
			return 0, nil, err
		}
		return call(t, number, args)
	}
}

// isProgram reports whether the task belongs to a program. All other tasks
// belong to the agent.
func isProgram(t *kernel.Task) bool { return t.Credentials().EffectiveKUID != auth.RootKUID }

// clone3 wraps clone3(2). Programs cannot create namespaces with this call. For programs,
// clone3 does the same as gVisor's implementation, but copies the arguments only once. So
// no other thread can change the arguments between the check and their use.
func clone3(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if !isProgram(t) {
			return call(t, number, args)
		}
		size := int(args[1].SizeT())
		if size < linux.CLONE_ARGS_SIZE_VER0 || size > linux.CLONE_ARGS_SIZE_VER2 {
			return 0, nil, linuxerr.EINVAL
		}
		var c linux.CloneArgs
		if at := args[0].Pointer(); at != 0 {
			if _, err := c.CopyInN(t, at, size); err != nil {
				return 0, nil, err
			}
		}
		switch {
		case c.Flags&(newNamespaces|newTime) != 0:
			return 0, nil, linuxerr.EPERM
		case c.Flags&linux.CLONE_DETACHED != 0, c.Flags&(linux.CLONE_THREAD|linux.CLONE_PARENT) != 0 && c.ExitSignal != 0:
			return 0, nil, linuxerr.EINVAL
		}
		child, control, err := t.Clone(&c)
		if err != nil {
			return 0, nil, err
		}
		return uintptr(child), control, nil
	}
}
