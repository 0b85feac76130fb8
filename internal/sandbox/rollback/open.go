package rollback

import (
	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/fspath"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/vfs"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// openRule returns the rule for an open call. The function "arguments" returns the
// directory, the address of the path, the flags and the mode of the call.
func openRule(arguments func(arch.SyscallArguments) openArguments) rule {
	return rule{after: opened, inThreads: func(t *kernel.Task, args arch.SyscallArguments) (uintptr, abi.Reason, error) {
		return openInThreads(t, arguments(args))
	}}
}

// openArguments are the arguments of openat(2).
type openArguments struct {
	directory int32
	path      arch.SyscallArgument
	flags     uint32
	mode      uint
}

func ofOpen(args arch.SyscallArguments) openArguments {
	return openArguments{linux.AT_FDCWD, args[0], args[1].Uint(), args[2].ModeT()}
}

func ofOpenAt(args arch.SyscallArguments) openArguments {
	return openArguments{args[0].Int(), args[1], args[2].Uint(), args[3].ModeT()}
}

func ofCreat(args arch.SyscallArguments) openArguments {
	return openArguments{linux.AT_FDCWD, args[0], linux.O_WRONLY | linux.O_CREAT | linux.O_TRUNC, args[1].ModeT()}
}

// The function "opened" examines the file that an open call has returned. The process
// must have only one thread. Another thread could replace the descriptor before the
// check.
func opened(t *kernel.Task, result uintptr) abi.Reason {
	file := t.GetFile(int32(result))
	if file == nil {
		return abi.Files
	}
	defer file.DecRef(t)
	return openedFile(t, file)
}

// openedFile examines an open file. A program may open files of the image, /proc, /sys
// and /dev for reading. For writing, it may open only memory devices and files on the
// file systems of its run.
func openedFile(t *kernel.Task, file *vfs.FileDescription) abi.Reason {
	switch file.Mount().Filesystem().FilesystemType().Name() {
	case "tmpfs", "pipefs":
		return 0
	case "erofs", "proc", "sysfs":
		return allow(!file.IsWritable(), abi.Files)
	case "dev":
		return allow(!file.IsWritable() || isMemoryDevice(t, file), abi.Files)
	}
	return abi.Files
}

// openInThreads does the work of openat(2) in a process with several threads. It examines
// the file before the file gets a descriptor. If the file already had a descriptor during
// the check, other threads could use or replace this descriptor. For example, a thread
// could write to code through /proc/self/mem.
func openInThreads(t *kernel.Task, args openArguments) (uintptr, abi.Reason, error) {
	name, err := t.CopyInString(args.path.Pointer(), linux.PATH_MAX)
	if err != nil {
		return 0, 0, err
	}
	path := fspath.Parse(name)
	if !path.Absolute && !path.HasComponents() {
		return 0, 0, linuxerr.ENOENT
	}
	root := t.FSContext().RootDirectory()
	defer root.DecRef(t)
	start := root
	switch {
	case path.Absolute:
	case args.directory == linux.AT_FDCWD:
		start = t.FSContext().WorkingDirectory()
		defer start.DecRef(t)
	default:
		directory := t.GetFile(args.directory)
		if directory == nil {
			return 0, 0, linuxerr.EBADF
		}
		defer directory.DecRef(t)
		start = directory.VirtualDentry()
	}
	file, err := t.Kernel().VFS().OpenAt(t, t.Credentials(), &vfs.PathOperation{
		Root: root, Start: start, Path: path, FollowFinalSymlink: args.flags&linux.O_NOFOLLOW == 0,
	}, &vfs.OpenOptions{
		Flags: args.flags | linux.O_LARGEFILE,
		Mode:  linux.FileMode(args.mode & (linux.PermissionsMask | linux.S_ISUID | linux.S_ISGID | linux.S_ISVTX) &^ t.FSContext().Umask()),
	})
	if err != nil {
		return 0, 0, err
	}
	defer file.DecRef(t)
	why := openedFile(t, file)
	fd, err := t.NewFDFrom(0, file, kernel.FDFlags{CloseOnExec: args.flags&linux.O_CLOEXEC != 0})
	return uintptr(fd), why, err
}

// isMemoryDevice reports whether a file is a device without storage, such as /dev/null.
// See mem(4).
func isMemoryDevice(t *kernel.Task, file *vfs.FileDescription) bool {
	stat, err := file.Stat(t, vfs.StatOptions{Mask: linux.STATX_TYPE})
	return err == nil && stat.Mode&linux.S_IFMT == linux.S_IFCHR && stat.RdevMajor == linux.MEM_MAJOR
}
