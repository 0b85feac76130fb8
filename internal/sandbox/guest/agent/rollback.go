package agent

import (
	"cmp"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/batch"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// canRestore reports whether the kernel may restore the interpreter to its checkpoint
// after a run. It returns false if modules were preloaded, because these modules may hold
// state that must differ between runs, such as random seeds.
func (p *program) canRestore() bool {
	return p.prepared.RollbackRuns > 0 && p.interpreter.makesCheckpoint && len(p.prepared.Preload) == 0
}

// register permits the interpreter to make a checkpoint. The kernel reports the end of
// each run through a pipe that no program can open. If the kernel refuses, the
// interpreter ends after its first run.
func (p *program) register() error {
	if !p.canRestore() {
		return nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	defer unix.Close(pipe[1])
	control := p.interpreter.control
	if p.interpreter.compiles {
		control |= abi.Compiles
	}
	_, _, errno := unix.RawSyscall6(abi.Number, abi.Register, uintptr(p.pid), uintptr(pipe[1]),
		uintptr(p.prepared.RollbackRuns), uintptr(p.prepared.RollbackCPUMs), uintptr(control))
	if errno != 0 {
		return unix.Close(pipe[0])
	}
	p.notices = pipe[0]
	return nil
}

// permit tells the interpreter that it may now make its checkpoint. Without this
// message, on a busy machine, the interpreter could try to make the checkpoint before
// the kernel has registered this interpreter.
func (p *program) permit() error {
	if !p.interpreter.makesCheckpoint {
		return nil
	}
	return writeAll(p.control, []byte{0})
}

// seal forbids the interpreter to make a checkpoint if it has not made one yet. The agent
// must call seal when the interpreter is ready. Otherwise the user's program could make a
// checkpoint, and state of the program would remain after the run.
func (p *program) seal() {
	if p.notices >= 0 {
		_, _, _ = unix.RawSyscall(abi.Number, abi.Seal, 0, 0)
	}
}

// unregister makes the kernel drop the checkpoint. The interpreter then exits after
// its run, like an interpreter without a checkpoint.
func (p *program) unregister() {
	if p.notices >= 0 {
		_, _, _ = unix.RawSyscall(abi.Number, abi.Unregister, 0, 0)
	}
	_ = closeOnce(&p.notices)
}

// readNotice reads a notice from the kernel. It reports whether the interpreter has ended
// and can be restored. An interpreter that was killed cannot be restored.
func (r *run) readNotice() bool {
	p := r.program
	notice, ok := p.nextNotice()
	if !ok || notice.kind != abi.Ended || p.killed {
		return false
	}
	p.restored, r.exit.Restorable = true, true
	r.exit.Code = int(notice.status)
	return true
}

// notice is a message from the kernel about the interpreter.
type notice struct{ kind, status byte }

// nextNotice reads a notice without waiting, and stores its reason. It returns false
// if there is no notice.
func (p *program) nextNotice() (notice, bool) {
	if p.notices < 0 {
		return notice{}, false
	}
	var b [abi.NoticeSize]byte
	n, err := unix.Read(p.notices, b[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return notice{}, false
	}
	if n != len(b) {
		_ = closeOnce(&p.notices) // The interpreter has ended.
		return notice{}, false
	}
	if b[0] == abi.Exits {
		p.reason = abi.Reason(b[2])
	}
	return notice{b[0], b[1]}, true
}

// release adds system calls that close the descriptors that only the last run needed.
func (p *program) release(c *calls) {
	for _, fd := range []*int{&p.work, &p.reports, &p.staging, &p.results, &p.stdin, &p.stdout, &p.stderr, &p.control, &p.written[0], &p.written[1]} {
		c.close(fd)
	}
}

// The method "next" returns an interpreter for the next job. If the kernel has restored
// the interpreter of the last job, the method returns this interpreter. Otherwise it
// returns a new interpreter, and the reason why the last one was not restored. p is nil
// before the first job.
func (p *program) next(wanted *protocol.Prepare, seen imports) (*program, abi.Reason, error) {
	switch {
	case p == nil, !p.restored && !p.canRestore() && p.prepared.RollbackRuns == wanted.RollbackRuns:
		next, err := prepare(wanted)
		return next, 0, err
	case !p.restored:
		next, err := prepare(wanted)
		return next, cmp.Or(p.reason, abi.Off), err
	case wanted.RollbackRuns == 0, wanted.Language != p.prepared.Language, !slices.Equal(wanted.Preload, p.prepared.Preload):
		next, err := p.replace(wanted)
		return next, abi.Off, err
	}
	return p, 0, p.resume(wanted, seen)
}

// resume gives an empty disk and new standard streams to an interpreter that the
// kernel has restored. If the user's programs usually import common modules, the
// interpreter imports these modules once in advance.
func (p *program) resume(wanted *protocol.Prepare, seen imports) error {
	p.prepared, p.disk = *wanted, wanted.DiskBytes
	if p.disk == 0 {
		p.disk = protocol.DefaultDiskBytes
	}
	p.restored = false
	c := newCalls(batch.Max)
	p.remount(c)
	theirs := p.makeStreams(c)
	resume := func(operation int) {
		c.add("resume interpreter", abi.Number, operation, p.pid, theirs[0], theirs[1], theirs[2], theirs[3])
		for _, fd := range theirs {
			c.add("close", unix.SYS_CLOSE, fd)
		}
		settle(c)
	}
	names := seen.usual()
	if p.interpreter.compiles {
		names = nil // Only Python imports modules in advance.
	}
	if len(names) == 0 || p.importedAhead {
		resume(abi.Resume)
		return c.run()
	}
	p.importedAhead = true
	resume(abi.ResumeAnew)
	if err := c.run(); err != nil {
		return err
	}
	if err := sendHook(p.control, protocol.NewFrame(protocol.KindImports, &protocol.Imports{Names: names}), nil); err != nil {
		return err
	}
	return p.ready()
}

// restore lets the kernel restore the interpreter if p.restored is true. Before that, it
// closes the descriptors that only the last run needed. In all cases, restore checks that
// no socket of the last run is left. p may be nil.
func (p *program) restore() error {
	if p == nil || !p.restored {
		return checkSockets()
	}
	c := newCalls(few)
	p.release(c)
	restored := c.add("restore interpreter", abi.Number, abi.Restore)
	list := listSockets(c)
	err := c.run()
	if *restored < 0 {
		// The interpreter could not be restored and exits.
		p.restored = false
		p.end()
		p.close()
		p.reason = cmp.Or(p.reason, abi.Failed)
		return checkSockets()
	}
	if err == nil && list.count() > 0 {
		err = checkSockets()
	}
	return err
}

// settle adds a system call that waits until the kernel has returned the memory of the
// last run to the host. The memory that the host then measures does not include the
// last run.
func settle(c *calls) { c.add("return memory", abi.Number, abi.Settle) }

// remount adds system calls that replace the file systems of the last run by empty file
// systems. To do this, the calls move the calling thread into the program's mount
// namespace and then back.
func (p *program) remount(c *calls) {
	ours := c.add("open mount namespace", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	theirs := c.add("open first process", unix.SYS_PIDFD_OPEN, p.init, 0)
	c.add("join mount namespace", unix.SYS_SETNS, theirs, unix.CLONE_NEWNS)
	for _, target := range []string{runDir, "/dev/pts", "/dev/shm", "/tmp", "/home/sandbox", workDir} {
		c.add("unmount "+target, unix.SYS_UMOUNT2, target, unix.MNT_DETACH)
	}
	p.mount(c)
	c.add("return to mount namespace", unix.SYS_SETNS, ours, unix.CLONE_NEWNS)
	c.add("close", unix.SYS_CLOSE, ours)
	c.add("close", unix.SYS_CLOSE, theirs)
}
