package kernel

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/fspath"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
)

// maxLinks limits the number of additional hard links of a run, over all files. The first
// name of a file is not an additional link.
const maxLinks = 65_536

// The type "links" limits the number of additional hard links. It wraps the system calls
// that create and remove names of files.
//
// The tmpfs of Linux counts each name of a file against the limit of inodes, but
// gVisor's tmpfs does not count names. So a file could have four billion names, and
// each name takes memory of the sandbox's kernel.
//
// The agent mounts an empty file system for each run, so each run starts with a
// count of 0.
type links struct {
	mu    sync.Mutex
	count atomic.Int64
}

// The method "restricted" returns a function that replaces the system call, or nil to
// keep it.
func (l *links) restricted(name string, call kernel.SyscallFn) kernel.SyscallFn {
	switch name {
	case "mount":
		return l.mount(call)
	case "link", "linkat":
		return l.link(call)
	case "unlink":
		return l.removing(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			return l.unlink(t, linux.AT_FDCWD, args[0].Pointer())
		})
	case "unlinkat":
		return l.removing(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			if args[2].Int() != 0 {
				_, _, err := call(t, 0, args)
				return err
			}
			return l.unlink(t, args[0].Int(), args[1].Pointer())
		})
	case "rename":
		return l.removing(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			return l.rename(t, [2]int32{linux.AT_FDCWD, linux.AT_FDCWD}, [2]hostarch.Addr{args[0].Pointer(), args[1].Pointer()}, 0)
		})
	case "renameat", "renameat2":
		return l.removing(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			var flags uint32
			if name == "renameat2" {
				flags = args[4].Uint()
			}
			return l.rename(t, [2]int32{args[0].Int(), args[2].Int()}, [2]hostarch.Addr{args[1].Pointer(), args[3].Pointer()}, flags)
		})
	default:
		return nil
	}
}

// mount wraps mount(2). It resets the count, because only the agent can mount,
// and only between runs.
func (l *links) mount(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		result, control, err := call(t, number, args)
		if err == nil {
			l.count.Store(0)
		}
		return result, control, err
	}
}

// link wraps link(2) or linkat(2). At the limit it returns ENOSPC, as the tmpfs
// of Linux does.
func (l *links) link(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.count.Load() >= maxLinks {
			return 0, nil, linuxerr.ENOSPC
		}
		result, control, err := call(t, number, args)
		if err == nil {
			l.count.Add(1)
		}
		return result, control, err
	}
}

// The method "removing" wraps a system call that can remove a name. If no file has
// additional links, it calls gVisor's implementation. Otherwise it calls the given
// function. This function performs the system call and updates the count of additional
// links.
func (l *links) removing(call kernel.SyscallFn, counting func(*kernel.Task, arch.SyscallArguments) error) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if l.count.Load() == 0 {
			return call(t, number, args)
		}
		return 0, nil, counting(t, args)
	}
}

// unlink removes a name and updates the count.
func (l *links) unlink(t *kernel.Task, dirfd int32, path hostarch.Addr) error {
	p, err := newPathOperation(t, dirfd, path)
	if err != nil {
		return err
	}
	defer p.release(t)
	return l.remove(t, &p.PathOperation, func() error {
		return t.Kernel().VFS().UnlinkAt(t, t.Credentials(), &p.PathOperation)
	})
}

// rename renames a file. It also updates the count of additional links, because the file
// may replace another file.
func (l *links) rename(t *kernel.Task, dirfds [2]int32, paths [2]hostarch.Addr, flags uint32) error {
	from, err := newPathOperation(t, dirfds[0], paths[0])
	if err != nil {
		return err
	}
	defer from.release(t)
	to, err := newPathOperation(t, dirfds[1], paths[1])
	if err != nil {
		return err
	}
	defer to.release(t)
	return l.remove(t, &to.PathOperation, func() error {
		return t.Kernel().VFS().RenameAt(t, t.Credentials(), &from.PathOperation, &to.PathOperation, &vfs.RenameOptions{Flags: flags})
	})
}

// remove runs the operation. If the operation has removed an additional link, the
// method decrements the count. The parameter "path" is a copy of the path in the
// program's memory. So the program cannot change the path between the check and the
// operation.
func (l *links) remove(t *kernel.Task, path *vfs.PathOperation, operation func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	files := t.Kernel().VFS()
	named, err := files.GetDentryAt(t, t.Credentials(), path, &vfs.GetDentryOptions{})
	if err != nil {
		return operation() // There is no file with this name.
	}
	defer named.DecRef(t)
	stat, err := files.StatAt(t, t.Credentials(), &vfs.PathOperation{Root: named, Start: named}, &vfs.StatOptions{Mask: linux.STATX_TYPE | linux.STATX_NLINK})
	if err != nil {
		return err
	}
	if err := operation(); err != nil {
		return err
	}
	if stat.Nlink > 1 && stat.Mode&linux.S_IFMT != linux.S_IFDIR && named.Dentry().IsDead() {
		l.count.Add(-1)
	}
	return nil
}

// pathOperation is the path argument of a system call. It holds references to the
// directories where the resolution of the path starts.
type pathOperation struct{ vfs.PathOperation }

// newPathOperation copies a path from a program's memory. If the path ends in a symbolic
// link, the operation uses the link itself and not its target.
func newPathOperation(t *kernel.Task, dirfd int32, addr hostarch.Addr) (*pathOperation, error) {
	name, err := t.CopyInString(addr, linux.PATH_MAX)
	if err != nil {
		return nil, err
	}
	path := fspath.Parse(name)
	if !path.Absolute && !path.HasComponents() {
		return nil, linuxerr.ENOENT
	}
	var start vfs.VirtualDentry
	switch {
	case path.Absolute:
		start = t.FSContext().RootDirectory()
	case dirfd == linux.AT_FDCWD:
		start = t.FSContext().WorkingDirectory()
	default:
		directory := t.GetFile(dirfd)
		if directory == nil {
			return nil, linuxerr.EBADF
		}
		defer directory.DecRef(t)
		start = directory.VirtualDentry()
		start.IncRef()
	}
	return &pathOperation{vfs.PathOperation{Root: t.FSContext().RootDirectory(), Start: start, Path: path}}, nil
}

func (p *pathOperation) release(t *kernel.Task) {
	p.Root.DecRef(t)
	p.Start.DecRef(t)
}
