package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// stopGrace is the time that the guest has to stop a run. After this time, the sandbox
// is destroyed.
const stopGrace = 2 * time.Second

// hostPids is the number of processes and threads on the host that gVisor itself
// needs. The processes and threads of the program are not included.
const hostPids = 256

// These constants are weights of sandboxes for processor time. If processor time is
// scarce, a sandbox that is being prepared must not slow down running programs.
const (
	runningWeight   = 100
	preparingWeight = 20
)

// Sandbox runs one job at a time. After Boot it is ready for its first job.
// Before each further job, call Recycle, except in a session. The caller must
// call Close.
type Sandbox struct {
	launcher *Launcher
	id       string
	cmd      *exec.Cmd
	exited   chan struct{}
	socket   *os.File
	tunnel   tunnel
	streams  streams
	conn     *protocol.Conn
	group    cgroup.Group
	meter    *meter
	granted  granted
	// weight is the sandbox's current share of processor time. It is the weight of the
	// cgroup.
	weight int
	// restorable is true if the guest can restore the interpreter of the last job.
	restorable bool
	// language is the language of the last job. Before the first job, it is the
	// language of the interpreter that waits.
	language pyth.Language
	// disk is the size of a session's disk in bytes.
	disk int64
	// preload contains the modules that the interpreter imports before a job arrives.
	preload []string
	// checkpoint is true if the waiting interpreter may have made a checkpoint.
	checkpoint bool
	// The field "broken" is the reason why no further job may run, or nil.
	broken  error
	stderr  tail
	closing sync.Once
	closed  error
}

// Done returns a channel that is closed when the sandbox's processes have ended.
func (s *Sandbox) Done() <-chan struct{} { return s.exited }

// Recycle removes all traces of the last job. It returns when an interpreter waits for
// the next job. After an error, the caller must close the sandbox.
func (s *Sandbox) Recycle(ctx context.Context) error {
	if s.broken != nil {
		return s.broken
	}
	if !s.restorable {
		s.setWeight(preparingWeight)
	}
	// Reset the limits, because the limits of the last job may be too low to start an
	// interpreter. gVisor frees the job's memory with a delay, and the kernel refuses a
	// memory limit below the memory in use. So keep a higher limit for now. The method
	// recalibrate waits until the memory is free.
	memory := max(pyth.DefaultMemoryBytes, s.granted.memoryBytes-s.meter.overhead)
	err := s.grant(memory, pyth.DefaultProcesses)
	if err == nil {
		// Clear the deadline. The last run may have left a deadline that has expired.
		err = s.socket.SetDeadline(time.Time{})
	}
	if err == nil {
		err = s.prepare(ctx, protocol.DefaultDiskBytes)
	}
	if err == nil {
		err = s.meter.recalibrate(ctx)
	}
	if err == nil {
		err = s.applyDefaultLimits()
	}
	s.broken = err
	return err
}

// applyDefaultLimits sets the limits that most jobs use. A job with these limits then
// starts without writes to the cgroup.
func (s *Sandbox) applyDefaultLimits() error {
	if err := s.grant(pyth.DefaultMemoryBytes, pyth.DefaultProcesses); err != nil {
		return err
	}
	if s.group != nil {
		s.group.ResetPeak()
	}
	s.setWeight(runningWeight)
	return nil
}

// setWeight sets the sandbox's share of processor time.
func (s *Sandbox) setWeight(weight int) {
	if s.group != nil && s.weight != weight {
		s.weight = weight
		s.group.SetWeight(weight)
	}
}

// memoryStep is the unit of memory limits in bytes. The overhead of a sandbox varies
// by less than memoryStep from run to run, so most runs need no write to the cgroup.
const memoryStep = 1 << 20

// grant sets the sandbox's limits on the host. Each limit is the limit of the job plus
// the overhead of the sandbox.
func (s *Sandbox) grant(memoryBytes int64, processes int) error {
	memory := (s.meter.overhead + memoryBytes + memoryStep - 1) / memoryStep * memoryStep
	wanted := granted{memoryBytes: memory, pids: hostPids + 4*processes}
	if s.group == nil || wanted == s.granted {
		return nil
	}
	s.granted = wanted
	return errors.Join(s.group.SetMemory(wanted.memoryBytes), s.group.SetPids(wanted.pids))
}

// The type "granted" holds the limits that are set on the host.
type granted struct {
	memoryBytes int64
	pids        int
}

// prepare tells the guest to prepare an interpreter of the current language. It
// waits until the interpreter is ready, and checks the guest's protocol version.
func (s *Sandbox) prepare(ctx context.Context, disk int64) error {
	if err := s.socket.SetDeadline(time.Now().Add(bootTimeout)); err != nil {
		return err
	}
	wanted := &protocol.Prepare{Language: string(s.language), DiskBytes: disk, Preload: s.preload}
	if r := s.launcher.config.Rollback; r.Runs > 0 {
		wanted.RollbackRuns, wanted.RollbackCPUMs = r.Runs, r.CPU.Milliseconds()
	}
	s.checkpoint = wanted.RollbackRuns > 0
	if err := s.conn.SendMessage(protocol.KindPrepare, wanted); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.socket.SetReadDeadline(time.Unix(1, 0)) })
	kind, payload, err := s.conn.Receive()
	if !stop() {
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return err
	}
	var hello protocol.Hello
	if kind != protocol.KindHello || decode(payload, &hello) != nil {
		return errors.New("receive hello from the guest: unexpected message")
	}
	if hello.Version != protocol.Version {
		return fmt.Errorf("the guest uses protocol version %d; the server needs %d", hello.Version, protocol.Version)
	}
	s.recycled(&hello)
	return s.socket.SetDeadline(time.Time{})
}

// The method "recycled" calls Rollback.Recycled. The reason is "" if the guest has
// restored the last interpreter. Otherwise the reason says why the guest has not restored
// it. The guest (the code inside the sandbox) is not trusted, so the method replaces an
// unknown reason with "off".
func (s *Sandbox) recycled(hello *protocol.Hello) {
	report := s.launcher.config.Rollback.Recycled
	if report == nil || !hello.Restored && hello.Reason == "" {
		return
	}
	reason := hello.Reason
	switch {
	case hello.Restored:
		reason = ""
	case !slices.Contains(abi.Reasons(), reason):
		reason = abi.Off.String()
	}
	report(reason)
}

// Close destroys the sandbox. It returns when the processes, the cgroup and the
// files are gone. It may be called concurrently and repeatedly.
func (s *Sandbox) Close() error {
	s.closing.Do(func() {
		// The kernel also kills all other processes of the sandbox. These processes are
		// in the PID namespace whose first process is the sentry.
		_ = s.cmd.Process.Kill()
		<-s.exited
		s.closed = errors.Join(s.closeSockets(), s.removeGroup(), s.removeBundle())
	})
	return s.closed
}

func (s *Sandbox) closeSockets() error {
	return errors.Join(s.socket.Close(), s.tunnel.close(), s.streams.close())
}

func (s *Sandbox) removeGroup() error {
	if s.group == nil {
		return nil
	}
	return s.group.Remove()
}

// removeBundle deletes the separate bundle of a sandbox with layers.
func (s *Sandbox) removeBundle() error { return os.RemoveAll(s.launcher.layerBundle(s.id)) }

// outOfMemory reports whether the host's kernel killed a process of the sandbox
// because memory ran out.
func (s *Sandbox) outOfMemory() bool {
	return s.group != nil && s.group.OutOfMemory()
}

// tail keeps the last bytes of gVisor's error output, for error messages.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > tailBytes {
		t.b = append([]byte(nil), t.b[len(t.b)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.b), "\ufffd")
}
