// Package abi defines system calls of the sandbox's kernel, which restore an interpreter
// after a run. Two callers make these system calls: the guest agent (the process that
// starts interpreters) and the hook (the code of an interpreter that waits for jobs).
package abi

// Number is the number of the agent's system call. Linux has no system call with this
// number. The first argument is an operation. A program that makes this call gets
// ENOSYS.
const Number = 1900

// These constants are the operations of the agent's system call.
const (
	// Register permits a process to make a checkpoint. Its arguments are the process ID,
	// the write end of a pipe for notices, the maximum number of runs, and the maximum
	// processor time in milliseconds. The last argument is the number of the control
	// descriptor, plus Compiles if the process compiles. The new process replaces the
	// process that was registered before.
	Register = 1
	// Resume installs the descriptors of a process that was restored, and lets the
	// process continue. In the process, the call that made the checkpoint returns
	// EALREADY. The arguments of Resume are the process ID and four descriptors of
	// the caller.
	Resume = 2
	// Unregister drops the checkpoint of the registered process. Then the process
	// exits after its run, like a process without a checkpoint.
	Unregister = 3
	// Seal forbids the registered process to make its first checkpoint from now on.
	// Otherwise a program could make this checkpoint.
	Seal = 4
	// Restore restores a process whose program has ended. It is separate from the end of
	// the program, so that the host can first measure the resources that the program has
	// used. Restore returns when the process waits for Resume. It returns ECHILD if the
	// process exits instead.
	Restore = 5
	// ResumeAnew is like Resume, with one difference. In the process, the call that made
	// the checkpoint returns EAGAIN. The process should then do more work in advance,
	// such as imports, and make a new checkpoint.
	ResumeAnew = 6
	// Settle waits until the kernel has returned the memory of the last run to the host.
	// It also returns unused memory of the kernel itself. Without this wait, the host
	// would count this memory as overhead of the sandbox, and would report too little
	// memory for the next run.
	Settle = 7
)

// Advice is a value for the argument "advice" of fadvise64(2). Linux does not define
// this value. A registered process makes its checkpoint with a call that has this
// argument. The call returns once for each run.
const Advice = 0x706f

// Compiles is added to the number of the control descriptor if the process is a runtime
// that compiles programs to machine code. Only such a process may have several threads
// when it makes the checkpoint. Such a process makes the checkpoint with a call of
// pread64(2).
const Compiles = 1 << 16

// These constants are offsets of pread64(2) on the control descriptor of a process with
// Compiles. Like Advice, Offset makes the checkpoint. Before each run, the process makes
// OpenSSL draw random values, and then calls pread64 with Reseeded.
const (
	Offset   = 0x706f0001
	Reseeded = 0x706f0002
)

// NoticeSize is the size of a notice in bytes. A notice consists of its kind, the
// exit status and the reason.
const NoticeSize = 3

// These constants are the kinds of notices.
const (
	// Ended says that the program has ended with the exit status in the notice, and
	// that the process waits for Restore. If the process cannot be restored, an Exits
	// notice follows.
	Ended = 'B'
	// Exits says that the process exits. The reason in the notice says why the
	// process is not restored.
	Exits = 'X'
)

// Descriptors is the number of descriptors that Resume installs: the standard streams
// and the control socket.
const Descriptors = 4

// Reason says why a process was not restored. The zero value means that there is no
// reason.
type Reason byte

// These constants are the reasons why a process is not restored.
const (
	_          Reason = iota
	Off               // The process has no checkpoint, was killed, or does not suit the next job.
	Limit             // The process has run too often or too long.
	Threads           // The process had threads at its end, or used threads in a way that is not allowed.
	Processes         // The process may have started another process or program.
	Sockets           // The process used a socket in a way that is not allowed.
	Signals           // The process sent a signal, made a timer that sends a signal, or had a pending signal.
	Files             // The process may have changed a file that outlives the run.
	Mappings          // The process changed mappings in a way that is not restored, or may have shared memory.
	Attributes        // The process may have changed an attribute that is not restored.
	Other             // The process made another system call that is not allowed.
	Failed            // The kernel could not restore the process.
)

// Reasons returns the names of all reasons.
func Reasons() []string {
	return []string{
		Off: "off", Limit: "limit", Threads: "threads", Processes: "processes", Sockets: "sockets", Signals: "signals",
		Files: "files", Mappings: "mappings", Attributes: "attributes", Other: "other", Failed: "failed",
	}[1:]
}

// String returns the name of the reason.
func (r Reason) String() string {
	names := Reasons()
	if r == 0 || int(r) > len(names) {
		return ""
	}
	return names[r-1]
}
