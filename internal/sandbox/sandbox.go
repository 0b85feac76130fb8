package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// stopGrace is how long the guest may take to stop a run before the sandbox is
// destroyed over its head.
const stopGrace = 2 * time.Second

// hostPids is the room that the sentry and its stubs need on the host beyond
// what the program's own processes take.
const hostPids = 256

// How much processor time sandboxes get when there is not enough: what is made
// ready for later must not slow down what runs now.
const (
	runningWeight   = 100
	preparingWeight = 20
)

// Sandbox is one booted sandbox, which runs one job at a time. Boot returns it
// ready for the first; Recycle makes it ready for each further one. Close must
// always be called.
type Sandbox struct {
	launcher *Launcher
	id       string
	cmd      *exec.Cmd
	exited   chan struct{}
	socket   *os.File
	way      way
	conn     *protocol.Conn
	group    cgroup.Group
	meter    *meter
	granted  granted
	// language is the one of the interpreter that waits, or ran last.
	language pyth.Language
	// disk is the size of a session's disk in bytes.
	disk int64
	// preload are the modules that it has imported when a job comes.
	preload []string
	// broken is why no further job may run here; nil while one may.
	broken  error
	stderr  tail
	closing sync.Once
	closed  error
}

// Done is closed when the sandbox's processes have ended.
func (s *Sandbox) Done() <-chan struct{} { return s.exited }

// Run runs the job and returns what became of it. When ctx ends the run is
// stopped and its status is StatusCanceled. An error means that the job did
// not start. In either case Recycle must be called before the next, but for one
// of the same session. Events may be nil.
func (s *Sandbox) Run(ctx context.Context, job *pyth.Job, events pyth.Events) (*pyth.Outcome, error) {
	if err := s.grant(job.Limits.MemoryBytes, job.Limits.Processes); err != nil {
		s.broken = err
		return nil, fmt.Errorf("sandbox: setting limits: %w", err)
	}
	r := &run{sandbox: s, job: job, events: events, outcome: new(pyth.Outcome), started: time.Now(), cpuBefore: s.meter.cpu()}
	s.language = job.Language
	if job.Session != "" {
		if err := s.again(); err != nil {
			s.broken = err
			return nil, err
		}
	}
	disconnect, err := s.connect(job)
	if err != nil {
		s.broken = err
		return nil, err
	}
	if err := s.send(job); err != nil {
		disconnect()
		s.broken = err
		return nil, err
	}
	if events != nil {
		r.told(events.Started(job.ID))
	}
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { r.watch(ctx, done) })
	exit, err := r.receive()
	close(done)
	watcher.Wait()
	if err == nil && s.outOfMemory() {
		err = errors.New("the kernel killed in it for memory")
	}
	s.broken = err
	outcome := r.finish(exit, err)
	outcome.Usage.Network = disconnect()
	outcome.SessionEnded = job.Session != "" && (err != nil || exit.Ended)
	return outcome, nil
}

// Recycle returns when the sandbox waits for another job, with nothing left of
// the last. After an error it is of no further use.
func (s *Sandbox) Recycle(ctx context.Context) error {
	if s.broken != nil {
		return s.broken
	}
	if s.group != nil {
		s.group.SetWeight(preparingWeight)
	}
	// The last job may have had less than an interpreter needs to start.
	err := s.grant(pyth.DefaultMemoryBytes, pyth.DefaultProcesses)
	if err == nil {
		// The last run may have left a deadline that has passed.
		err = s.socket.SetDeadline(time.Time{})
	}
	if err == nil {
		err = s.prepare(ctx, protocol.UsualDisk)
	}
	if err == nil {
		err = s.meter.renew(ctx)
	}
	if err == nil {
		err = s.await()
	}
	s.broken = err
	return err
}

// await grants what most jobs ask for, so that it need not be done when one
// comes.
func (s *Sandbox) await() error {
	if err := s.grant(pyth.DefaultMemoryBytes, pyth.DefaultProcesses); err != nil {
		return err
	}
	if s.group != nil {
		s.group.ResetPeak()
		s.group.SetWeight(runningWeight)
	}
	return nil
}

// grant bounds the sandbox by what a job may take.
func (s *Sandbox) grant(memoryBytes int64, processes int) error {
	wanted := granted{memoryBytes: s.meter.overhead + memoryBytes, pids: hostPids + 4*processes}
	if s.group == nil || wanted == s.granted {
		return nil
	}
	s.granted = wanted
	return errors.Join(s.group.SetMemory(wanted.memoryBytes), s.group.SetPids(wanted.pids))
}

// granted are the bounds in force.
type granted struct {
	memoryBytes int64
	pids        int
}

// prepare has the guest make an interpreter ready, of the language of the last
// job, waits for it and checks that the guest speaks our version.
func (s *Sandbox) prepare(ctx context.Context, disk int64) error {
	if err := s.socket.SetDeadline(time.Now().Add(bootTimeout)); err != nil {
		return err
	}
	wanted := protocol.Prepare{Language: string(s.language), DiskBytes: disk, Preload: s.preload}
	if err := s.conn.SendJSON(protocol.KindPrepare, wanted); err != nil {
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
	if kind != protocol.KindHello || json.Unmarshal(payload, &hello) != nil {
		return errors.New("the guest did not greet")
	}
	if hello.Version != protocol.Version {
		return fmt.Errorf("the guest speaks version %d of the protocol, not %d", hello.Version, protocol.Version)
	}
	return s.socket.SetDeadline(time.Time{})
}

// send hands the job over.
func (s *Sandbox) send(job *pyth.Job) error {
	frames, err := ahead(job)
	if err != nil {
		return err
	}
	if job.Secrets.Recorded != nil {
		// Meanwhile the guest deals with the rest.
		if err := s.conn.SendAll(frames...); err != nil {
			return err
		}
		if err := job.Secrets.Await(); err != nil {
			return err
		}
		frames = nil
	}
	for _, v := range job.Secrets.Values {
		// A frame of its own: JSON would make copies that nobody clears.
		variable := slices.Concat([]byte(v.Name), []byte("="), v.Value)
		defer clear(variable)
		frames = append(frames, protocol.Frame{Kind: protocol.KindSecret, Payload: variable})
	}
	if err := s.conn.SendAll(append(frames, protocol.Frame{Kind: protocol.KindStart})...); err != nil {
		return err
	}
	forget(job)
	return nil
}

// ahead are the frames of all of a job but its secrets.
func ahead(job *pyth.Job) ([]protocol.Frame, error) {
	env := make([]string, len(job.Env))
	for i, v := range job.Env {
		env[i] = v.Name + "=" + v.Value
	}
	if !job.Network.None() {
		env = withProxy(env, job.Language.Runtime())
	}
	header := protocol.Job{
		Language:    string(job.Language),
		Program:     job.Language.File(),
		Args:        job.Args,
		Env:         env,
		OutputFiles: job.OutputFiles,
		TimeoutMs:   job.Timeout.Milliseconds(),
		MemoryBytes: job.Limits.MemoryBytes,
		DiskBytes:   job.Limits.DiskBytes,
		Processes:   job.Limits.Processes,
		Results:     job.Results,
		Session:     job.Session != "",
		Network:     !job.Network.None(),
		MaxFiles:    maxOutputFiles,
		MaxBytes:    maxOutputFileBytes,
	}
	payload, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	frames := []protocol.Frame{{Kind: protocol.KindJob, Payload: payload}}
	for _, f := range job.Files {
		frames = append(frames, protocol.Frame{Kind: protocol.KindFile, Payload: protocol.EncodeFile(f.Path, f.Content)})
	}
	code, err := program(job)
	if err != nil {
		return nil, err
	}
	frames = append(frames, code...)
	if len(job.Stdin) > 0 {
		frames = append(frames, protocol.Frame{Kind: protocol.KindStdin, Payload: job.Stdin})
	}
	return frames, nil
}

// Close destroys the sandbox and returns when nothing of it is left.
func (s *Sandbox) Close() error {
	s.closing.Do(func() {
		// Without a cgroup the sentry ends by the parent-death signal.
		orphans := descendants(s.cmd.Process.Pid)
		if s.group != nil {
			_ = s.group.Kill()
		}
		_ = s.cmd.Process.Kill()
		for _, pid := range orphans {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-s.exited
		s.closed = errors.Join(s.closeSockets(), s.removeGroup(), s.removeState(), s.removeBundle())
	})
	return s.closed
}

func (s *Sandbox) closeSockets() error { return errors.Join(s.socket.Close(), s.way.close()) }

func (s *Sandbox) removeGroup() error {
	if s.group == nil {
		return nil
	}
	return s.group.Remove()
}

// removeState deletes what runsc, which was killed, kept of the container.
func (s *Sandbox) removeState() error {
	files, err := filepath.Glob(filepath.Join(s.launcher.root, "*"+s.id+"*"))
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(f))
	}
	return err
}

// removeBundle deletes the bundle that is the sandbox's own, if it has one.
func (s *Sandbox) removeBundle() error { return os.RemoveAll(s.launcher.ownBundle(s.id)) }

// outOfMemory is whether the host's kernel killed here for memory.
func (s *Sandbox) outOfMemory() bool {
	return s.group != nil && s.group.OutOfMemory()
}

// tail keeps the last of what gVisor wrote, for diagnosis.
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
