package sandbox

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
)

// newNamespaces are the flags of clone and unshare that make a namespace.
const newNamespaces = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC |
	linux.CLONE_NEWUTS | linux.CLONE_NEWPID | linux.CLONE_NEWCGROUP

// newTime is the flag of unshare and clone3 that makes a time namespace. In the
// flags of clone it is part of a signal's number.
const newTime = 0x80

// restrictPrograms takes system calls from programs that the agent needs, or that
// store what no limit counts, in the tables of the sandbox's kernel:
//
//   - Namespaces cannot be made or joined (EPERM). In a user namespace a program
//     would have all capabilities: it could mount file systems without the limits
//     of its disk, and reach devices that the agent has removed.
//   - Extended attributes cannot be set (ENOTSUP, as on file systems that have
//     none). tmpfs does not count them.
//   - Names of files beyond their first are counted (ENOSPC), see links.
//
// Programs are all processes but those of the sandbox's root, which the agent is;
// none can become root. It must be called before gVisor starts.
func restrictPrograms() {
	names := new(links)
	for _, table := range []*kernel.SyscallTable{syscalls.AMD64, syscalls.ARM64} {
		for number, call := range table.Table {
			fn := restricted(call.Name, call.Fn)
			if fn == nil {
				fn = names.restricted(call.Name, call.Fn)
			}
			if fn != nil {
				call.Fn = fn
				table.Table[number] = call
			}
		}
		// Its look-up tables are copies.
		table.Init()
	}
}

// restricted returns what a system call does instead, nil if it stays as it is.
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
	case "setxattr", "lsetxattr", "fsetxattr":
		return refusing(call, linuxerr.ENOTSUP, always)
	default:
		return nil
	}
}

// withoutTimeWait is setns(2) that prepares the network namespace which a task
// joins: there TCP connections that are closed give up their port at once. No
// segment of an earlier connection is late on loopback, and a port that a run of
// a session served on would not be free in the next for a minute.
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

// refusing is a system call that fails for programs with the arguments.
func refusing(call kernel.SyscallFn, err error, refused func(arch.SyscallArguments) bool) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if ofProgram(t) && refused(args) {
			return 0, nil, err
		}
		return call(t, number, args)
	}
}

// ofProgram returns whether a task belongs to a program rather than to the agent.
func ofProgram(t *kernel.Task) bool { return t.Credentials().EffectiveKUID != auth.RootKUID }

// clone3 is clone3(2) without new namespaces for programs. It does what gVisor's
// does, with a copy of the arguments that another thread cannot change between
// the check and the use.
func clone3(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if !ofProgram(t) {
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
