package sandbox

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

// maxLinks is how many names the files of a run may have in all beyond the first
// of each.
const maxLinks = 65_536

// links counts those names. tmpfs counts files only, and a file may have four
// billion names, each of which takes memory of the sandbox's kernel. Linux'
// tmpfs counts each name as a file.
//
// It replaces the system calls that make and remove names. A run starts with a
// count of 0, since the agent mounts an empty file system for it.
type links struct {
	mu    sync.Mutex
	count atomic.Int64
}

// restricted returns what a system call does instead, nil if it stays as it is.
func (l *links) restricted(name string, call kernel.SyscallFn) kernel.SyscallFn {
	switch name {
	case "mount":
		return l.mount(call)
	case "link", "linkat":
		return l.link(call)
	case "unlink":
		return l.fewer(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			return l.unlink(t, linux.AT_FDCWD, args[0].Pointer())
		})
	case "unlinkat":
		return l.fewer(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			if args[2].Int() != 0 {
				_, _, err := call(t, 0, args)
				return err
			}
			return l.unlink(t, args[0].Int(), args[1].Pointer())
		})
	case "rename":
		return l.fewer(call, func(t *kernel.Task, args arch.SyscallArguments) error {
			return l.rename(t, [2]int32{linux.AT_FDCWD, linux.AT_FDCWD}, [2]hostarch.Addr{args[0].Pointer(), args[1].Pointer()}, 0)
		})
	case "renameat", "renameat2":
		return l.fewer(call, func(t *kernel.Task, args arch.SyscallArguments) error {
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

// mount is mount(2), which only the agent can use, and only between runs.
func (l *links) mount(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		result, control, err := call(t, number, args)
		if err == nil {
			l.count.Store(0)
		}
		return result, control, err
	}
}

// link is link(2) or linkat(2). It fails like that of Linux' tmpfs when there
// are too many names.
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

// fewer is a system call that may remove a name: gVisor's own while no file has
// two.
func (l *links) fewer(call kernel.SyscallFn, counting func(*kernel.Task, arch.SyscallArguments) error) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if l.count.Load() == 0 {
			return call(t, number, args)
		}
		return 0, nil, counting(t, args)
	}
}

// unlink removes a name.
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

// rename gives a file another name, which may be another file's.
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

// remove counts what is left when the operation removes the name of the path.
// The path is a copy of the program's, so that the file is the same throughout.
func (l *links) remove(t *kernel.Task, path *vfs.PathOperation, operation func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	files := t.Kernel().VFS()
	named, err := files.GetDentryAt(t, t.Credentials(), path, &vfs.GetDentryOptions{})
	if err != nil {
		return operation() // There is nothing that could be removed.
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

// pathOperation is a path that a program has given.
type pathOperation struct{ vfs.PathOperation }

// newPathOperation copies a path from the memory of a program. A link at its end
// is not followed.
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
