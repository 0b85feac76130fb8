package rollback

import (
	"errors"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/fspath"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/vfs"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// rule decides whether a system call makes the interpreter unusable. A rule without
// functions always allows the call.
type rule struct {
	// The function "before" examines the arguments.
	before func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason
	// The function "after" examines the result of a successful call.
	after func(*kernel.Task, uintptr) abi.Reason
	// If the process has several threads, the function inThreads performs the call
	// instead of gVisor. It returns the result of the call.
	inThreads func(*kernel.Task, arch.SyscallArguments) (uintptr, abi.Reason, error)
}

// The function "allowed" returns the rules of all allowed system calls. Every other call
// makes the interpreter unusable. The comment on each group of calls says why these calls
// are allowed.
func allowed() map[string]rule {
	all := make(map[string]rule)
	add := func(r rule, names ...string) {
		for _, name := range names {
			all[name] = r
		}
	}
	// These system calls only read and do not change any state.
	add(rule{}, "access", "faccessat", "faccessat2", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs",
		"readlink", "readlinkat", "getcwd", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
		"clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "uname", "sysinfo",
		"getppid", "gettid", "getpgid", "getpgrp", "getsid", "getuid", "geteuid", "getgid", "getegid", "getgroups",
		"getresuid", "getresgid", "getcpu", "getpriority", "getrlimit", "getitimer", "sched_getaffinity", "sched_getparam",
		"sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "sched_getattr", "sched_rr_get_interval",
		"ioprio_get", "rt_sigpending", "mincore", "get_mempolicy", "get_robust_list", "capget", "getsockname", "getpeername",
		"getsockopt")
	// These system calls only wait, or yield the processor.
	add(rule{}, "nanosleep", "clock_nanosleep", "pause", "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait",
		"epoll_pwait2", "wait4", "waitid", "restart_syscall", "rt_sigsuspend", "rt_sigtimedwait", "sched_yield")
	// These system calls act on descriptors. After the run, the method
	// checkpoint.restore closes all descriptors, which also releases locks. The agent
	// replaces the pipes of the standard streams for each run.
	add(rule{}, "read", "readv", "preadv", "preadv2", "write", "pwrite64", "writev", "pwritev", "pwritev2", "lseek",
		"close", "close_range", "dup", "dup2", "dup3", "getdents", "getdents64", "fsync", "fdatasync", "sync", "syncfs",
		"sync_file_range", "readahead", "sendfile", "copy_file_range", "flock", "ftruncate", "fallocate", "msync")
	// These system calls create descriptors. The method checkpoint.restore closes all
	// descriptors.
	add(rule{}, "pipe", "pipe2", "eventfd", "eventfd2", "epoll_create", "epoll_create1", "epoll_ctl", "timerfd_create",
		"timerfd_settime", "timerfd_gettime", "memfd_create")
	add(openRule(ofOpen), "open")
	add(openRule(ofOpenAt), "openat")
	add(openRule(ofCreat), "creat")
	add(rule{before: withoutThreads, after: opened}, "openat2")
	add(rule{before: fcntl}, "fcntl")
	add(rule{before: ioctl}, "ioctl")
	// asyncio uses a pair of sockets in each event loop, and some modules look for IPv6
	// when they are imported. Such a socket ends when its descriptor is closed. It can
	// neither send descriptors nor connect to another socket, because connect, listen and
	// sendmsg are denied.
	add(rule{before: socketPair}, "socketpair")
	add(rule{before: socket}, "socket")
	add(rule{}, "bind", "setsockopt", "recvfrom", "recvmsg", "shutdown")
	add(rule{before: sendTo}, "sendto")
	// These system calls change names and sizes of files. A program can make such changes
	// only on file systems that the agent mounts again for each run.
	add(rule{}, "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
		"symlink", "symlinkat", "truncate")
	// These system calls change attributes of files. Files in /proc and pipes also have
	// attributes, but they do not belong to the run. So the rules check on which file
	// system a file is.
	add(rule{before: attributesAt(-1, 0)}, "chmod", "utime", "utimes")
	add(rule{before: attributesAt(0, 1)}, "fchmodat", "futimesat", "utimensat")
	add(rule{before: attributesOfFile}, "fchmod")
	// After the run, the method checkpoint.restore resets the state that these system
	// calls change: the working directory, the umask, signal handling and timers.
	add(rule{}, "chdir", "fchdir", "umask", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "setitimer", "alarm")
	add(rule{before: limit(0)}, "setrlimit")
	add(rule{before: prlimit}, "prlimit64")
	// These system calls change memory, which the method restore resets. mprotect must
	// not change a mapping of the checkpoint, and mmap must not replace such a mapping.
	// munmap, mremap and MADV_DONTNEED may change only mappings that the method restore
	// can create again.
	add(rule{}, "brk")
	add(rule{before: mmap}, "mmap")
	add(rule{before: munmap}, "munmap")
	add(rule{before: mprotect}, "mprotect")
	add(rule{before: mremap}, "mremap")
	add(rule{before: madvise}, "madvise")
	// The call futex waits until a word in memory changes. At the end of the run, no
	// thread waits for such a change, because only one thread is left.
	add(rule{before: futex}, "futex")
	// A program may start threads if they end before the program ends. A thread sets only
	// its own attributes, and these attributes end with the thread.
	add(rule{before: cloneFlags, after: startedThread}, "clone")
	add(rule{after: startedThread}, "clone3")
	add(rule{before: inThread(abi.Threads)}, "exit")
	add(rule{before: inThread(abi.Attributes)}, "rseq", "set_robust_list")
	add(rule{before: prctl}, "prctl")
	// The type Manager wraps each of these system calls separately.
	add(rule{}, "fadvise64", "pread64", "getpid", "getrandom", "exit_group")
	return all
}

// The function "denied" returns the system calls that make the interpreter unusable. For
// each call, the map contains the reason. If a call is neither allowed nor denied by
// name, its reason is abi.Other.
func denied() map[string]abi.Reason {
	all := make(map[string]abi.Reason)
	add := func(why abi.Reason, names ...string) {
		for _, name := range names {
			all[name] = why
		}
	}
	// These system calls create or control processes. A new process can outlive the
	// program, share the memory of the program, or take a process ID. After execve, the
	// process has other memory.
	add(abi.Processes, "fork", "vfork", "execve", "execveat", "pidfd_open", "pidfd_getfd",
		"pidfd_send_signal", "kcmp", "ptrace", "process_vm_readv", "process_vm_writev", "setsid", "setpgid", "unshare", "setns")
	// These system calls make connections or transfer messages. A connection can outlive
	// its descriptor, and a message can contain descriptors.
	add(abi.Sockets, "listen", "accept", "accept4", "connect", "recvmmsg", "sendmmsg", "sendmsg")
	add(abi.Signals, "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "signalfd", "signalfd4", "timer_create",
		"timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime")
	// Some of these system calls can change files outside the file systems of the run,
	// such as files in /proc. The others return descriptors that give access to objects
	// outside the run.
	add(abi.Files, "chown", "fchown", "lchown", "fchownat", "mknod", "mknodat",
		"setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr",
		"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "fanotify_init", "fanotify_mark", "chroot",
		"pivot_root", "mount", "umount2", "move_mount", "open_tree", "fsconfig", "fsmount", "fsopen", "fspick",
		"name_to_handle_at", "open_by_handle_at", "splice", "tee", "vmsplice", "quotactl", "swapon", "swapoff", "ustat",
		"acct", "vhangup", "lookup_dcookie", "nfsservctl", "sysfs", "uselib")
	add(abi.Mappings, "mlock", "mlock2", "mlockall", "munlock", "munlockall", "mbind", "set_mempolicy", "migrate_pages",
		"move_pages", "pkey_alloc", "pkey_free", "pkey_mprotect", "remap_file_pages", "userfaultfd", "membarrier",
		"shmat", "shmctl", "shmdt", "shmget", "semctl", "semget", "semop", "semtimedop", "msgctl", "msgget", "msgrcv", "msgsnd",
		"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink")
	add(abi.Attributes, "arch_prctl", "capset", "ioperm", "iopl", "ioprio_set", "modify_ldt", "personality",
		"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "seccomp", "set_thread_area", "get_thread_area", "set_tid_address", "setdomainname", "setfsgid", "setfsuid",
		"setgid", "setgroups", "sethostname", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "settimeofday",
		"setuid", "clock_settime", "clock_adjtime", "adjtimex", "add_key", "request_key", "keyctl")
	// gVisor does not implement most of these system calls. It implements a few of these
	// calls, but programs do not need them.
	add(abi.Other, "afs_syscall", "bpf", "create_module", "delete_module", "epoll_ctl_old", "epoll_wait_old", "finit_module",
		"get_kernel_syms", "getpmsg", "init_module", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup",
		"io_submit", "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load",
		"perf_event_open", "putpmsg", "query_module", "reboot", "security", "sysctl", "syslog", "tuxcall", "vserver")
	return all
}

// allow returns 0 if the condition is true. Otherwise it returns the given
// reason.
func allow(condition bool, why abi.Reason) abi.Reason {
	if condition {
		return 0
	}
	return why
}

// startedThread checks that a clone call has created a thread and not a process. If the
// new task has already ended, startedThread cannot check this, so the interpreter becomes
// unusable.
func startedThread(t *kernel.Task, result uintptr) abi.Reason {
	created := t.PIDNamespace().TaskWithID(kernel.ThreadID(result))
	if created == nil {
		return abi.Threads
	}
	return allow(created.ThreadGroup() == t.ThreadGroup(), abi.Processes)
}

// cloneFlags allows clone(2) only if the call creates a thread.
func cloneFlags(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	return allow(args[0].Uint64()&linux.CLONE_THREAD != 0, abi.Processes)
}

// withoutThreads denies a call in a process with several threads.
func withoutThreads(t *kernel.Task, _ *checkpoint, _ arch.SyscallArguments) abi.Reason {
	return allow(t.ThreadGroup().Count() == 1, abi.Threads)
}

// isLeader reports whether the task is the first thread of its process. The method
// restore returns only this thread to its checkpoint.
func isLeader(t *kernel.Task) bool { return t == t.ThreadGroup().Leader() }

// inThread returns a rule that allows a call in all threads of a process except its
// first thread.
func inThread(why abi.Reason) func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason {
	return func(t *kernel.Task, _ *checkpoint, _ arch.SyscallArguments) abi.Reason {
		return allow(!isLeader(t), why)
	}
}

func socketPair(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	return allow(args[0].Int() == linux.AF_UNIX, abi.Sockets)
}

func socket(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	family, kind := args[0].Int(), linux.SockType(args[1].Int()&linux.SOCK_TYPE_MASK)
	return allow((family == linux.AF_INET || family == linux.AF_INET6) && (kind == linux.SOCK_STREAM || kind == linux.SOCK_DGRAM), abi.Sockets)
}

// sendTo denies messages to an address. A message without an address reaches only the
// peer of the socket.
func sendTo(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	return allow(args[4].Pointer() == 0, abi.Sockets)
}

// attributesOfFile examines a call that changes attributes of an open file.
func attributesOfFile(t *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	return changes(t, args[0].Int(), fspath.Path{})
}

// attributesAt returns the rule for a call that changes attributes of the file at a path.
// The parameter "directory" is the index of the argument with the directory, or -1. The
// parameter "at" is the index of the argument with the path.
func attributesAt(directory, at int) func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason {
	return func(t *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
		from := int32(linux.AT_FDCWD)
		if directory >= 0 {
			from = args[directory].Int()
		}
		address := args[at].Pointer()
		if address == 0 { // futimens(3) makes such a call for an open file.
			return changes(t, from, fspath.Path{})
		}
		name, err := t.CopyInString(address, linux.PATH_MAX)
		if err != nil {
			return 0 // The system call itself also fails.
		}
		return changes(t, from, fspath.Parse(name))
	}
}

// The function "changes" examines a call that changes attributes of a file. Only files
// of the run may be changed. A relative path starts at the directory with the
// descriptor "from". An empty path means the file with this descriptor. The process
// must have only one thread: another thread could replace the path before the call uses
// it.
func changes(t *kernel.Task, from int32, path fspath.Path) abi.Reason {
	if t.ThreadGroup().Count() != 1 {
		return abi.Threads
	}
	root := t.FSContext().RootDirectory()
	defer root.DecRef(t)
	start := root
	switch {
	case path.Absolute:
	case from == linux.AT_FDCWD:
		start = t.FSContext().WorkingDirectory()
		defer start.DecRef(t)
	default:
		file := t.GetFile(from)
		if file == nil {
			return 0 // The system call itself also fails.
		}
		defer file.DecRef(t)
		start = file.VirtualDentry()
		if !path.HasComponents() {
			return allow(isOfRun(start), abi.Files)
		}
	}
	// The system call may change the target of a symbolic link or the link itself. So
	// check both files.
	for _, follow := range []bool{false, true} {
		found, err := t.Kernel().VFS().GetDentryAt(t, t.Credentials(), &vfs.PathOperation{
			Root: root, Start: start, Path: path, FollowFinalSymlink: follow,
		}, &vfs.GetDentryOptions{})
		if errors.Is(err, linuxerr.ENOENT) {
			return 0 // The system call itself also fails.
		}
		if err != nil {
			return abi.Files
		}
		ofRun := isOfRun(found)
		found.DecRef(t)
		if !ofRun {
			return abi.Files
		}
	}
	return 0
}

// isOfRun reports whether a file is on a file system that the agent replaces after
// the run.
func isOfRun(file vfs.VirtualDentry) bool {
	return file.Mount().Filesystem().FilesystemType().Name() == "tmpfs"
}

func fcntl(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	switch args[1].Int() {
	case linux.F_DUPFD, linux.F_DUPFD_CLOEXEC, linux.F_GETFD, linux.F_SETFD, linux.F_GETFL, linux.F_SETFL,
		linux.F_GETLK, linux.F_SETLK, linux.F_SETLKW, linux.F_GETPIPE_SZ, linux.F_SETPIPE_SZ:
		return 0
	}
	return abi.Files
}

func ioctl(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	switch args[1].Uint() {
	case linux.TCGETS, linux.TIOCGWINSZ, linux.FIONREAD, linux.FIOCLEX, linux.FIONCLEX, linux.FIONBIO:
		return 0
	}
	return abi.Files
}

// limit returns the rule for a call that sets a resource limit. The parameter "at" is the
// index of the argument with the number of the limit.
func limit(at int) func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason {
	return func(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
		switch args[at].Int() {
		case linux.RLIMIT_AS, linux.RLIMIT_DATA, linux.RLIMIT_NOFILE, linux.RLIMIT_FSIZE, linux.RLIMIT_CORE, linux.RLIMIT_STACK:
			return 0
		}
		return abi.Attributes
	}
}

func prlimit(t *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	if args[2].Pointer() == 0 {
		return 0 // The call only reads.
	}
	if of := kernel.ThreadID(args[0].Int()); of != 0 && of != t.PIDNamespace().IDOfThreadGroup(t.ThreadGroup()) {
		return abi.Attributes // The method restore resets only the limits of the process itself.
	}
	return limit(1)(t, c, args)
}

func futex(_ *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	switch args[1].Int() &^ (linux.FUTEX_PRIVATE_FLAG | linux.FUTEX_CLOCK_REALTIME) {
	case linux.FUTEX_WAIT, linux.FUTEX_WAKE, linux.FUTEX_WAIT_BITSET, linux.FUTEX_WAKE_BITSET:
		return 0
	}
	return abi.Threads
}

func prctl(t *kernel.Task, _ *checkpoint, args arch.SyscallArguments) abi.Reason {
	switch args[0].Int() {
	case linux.PR_SET_NAME:
		return allow(!isLeader(t), abi.Attributes)
	case linux.PR_GET_NAME, linux.PR_GET_DUMPABLE, linux.PR_GET_NO_NEW_PRIVS, linux.PR_GET_PDEATHSIG, linux.PR_CAPBSET_READ:
		return 0
	}
	return abi.Attributes
}

// The function "mmap" forbids executable memory, except for code from files of the image.
// A program that creates machine code could change segment registers. The kernel can
// neither see nor restore segment registers, but gVisor's platform systrap needs them in
// each thread.
func mmap(t *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	anonymous := c.compiles && args[3].Int()&linux.MAP_ANONYMOUS != 0
	if args[2].Int()&linux.PROT_EXEC != 0 && !anonymous && !isImageCode(t, args) {
		return abi.Mappings
	}
	const fixed = linux.MAP_FIXED | linux.MAP_FIXED_NOREPLACE
	if args[3].Int()&fixed != linux.MAP_FIXED {
		return 0 // The call replaces nothing.
	}
	return allow(c.unmaps(args[0].Pointer(), args[1].Uint64()), abi.Mappings)
}

// isImageCode reports whether an mmap call maps a file of the image without write
// access.
func isImageCode(t *kernel.Task, args arch.SyscallArguments) bool {
	if args[3].Int()&linux.MAP_ANONYMOUS != 0 || args[2].Int()&linux.PROT_WRITE != 0 {
		return false
	}
	file := t.GetFile(args[4].Int())
	if file == nil {
		return true // The call fails.
	}
	defer file.DecRef(t)
	return file.Mount().Filesystem().FilesystemType().Name() == "erofs"
}

func munmap(_ *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	return allow(c.unmaps(args[0].Pointer(), args[1].Uint64()), abi.Mappings)
}

func mprotect(_ *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	if args[2].Int()&linux.PROT_EXEC != 0 && !c.compiles {
		return abi.Mappings
	}
	return allow(c.changes(args[0].Pointer(), args[1].Uint64()), abi.Mappings)
}

func mremap(_ *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	if args[3].Int()&^linux.MREMAP_MAYMOVE != 0 {
		return abi.Mappings
	}
	return allow(c.unmaps(args[0].Pointer(), max(args[1].Uint64(), hostarch.PageSize)), abi.Mappings)
}

func madvise(_ *kernel.Task, c *checkpoint, args arch.SyscallArguments) abi.Reason {
	switch args[2].Int() {
	case linux.MADV_NORMAL, linux.MADV_RANDOM, linux.MADV_SEQUENTIAL, linux.MADV_WILLNEED,
		linux.MADV_HUGEPAGE, linux.MADV_NOHUGEPAGE, linux.MADV_DONTDUMP, linux.MADV_DODUMP:
		return 0 // gVisor ignores these values of the argument "advice".
	case linux.MADV_DONTFORK, linux.MADV_DOFORK:
		return allow(c.compiles && c.changes(args[0].Pointer(), args[1].Uint64()), abi.Mappings)
	case linux.MADV_DONTNEED:
		// MADV_DONTNEED clears memory. The method checkpoint.restore can restore the old
		// content only if the mapping can be mapped again.
		return allow(c.canMapAgain(args[0].Pointer(), args[1].Uint64()), abi.Mappings)
	}
	return abi.Mappings
}
