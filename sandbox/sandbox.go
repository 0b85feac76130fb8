package sandbox

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/guest/protocol"
	"github.com/pyth-on/pyth-on/sandbox/cgroup"
)

// stopGrace is how long the guest may take to stop a run before the sandbox is
// destroyed over its head.
const stopGrace = 2 * time.Second

// hostPids is the room that the sentry and its stubs need on the host beyond
// what the program's own processes take.
const hostPids = 256

// Sandbox is one booted sandbox. Run may be called once; Close always must be.
type Sandbox struct {
	launcher *Launcher
	id       string
	cmd      *exec.Cmd
	exited   chan struct{}
	socket   *os.File
	conn     *protocol.Conn
	group    cgroup.Group
	meter    *meter
	stderr   tail
	closing  sync.Once
	closed   error
}

// Done is closed when the sandbox's processes have ended.
func (s *Sandbox) Done() <-chan struct{} { return s.exited }

// Run runs the job and returns what became of it. When ctx ends the run is
// stopped and its status is StatusCanceled. An error means that the job did
// not start. The sandbox is of no further use.
func (s *Sandbox) Run(ctx context.Context, job *pyth.Job) (*pyth.Outcome, error) {
	if s.group != nil {
		err := errors.Join(
			s.group.SetMemory(s.meter.overhead+job.Limits.MemoryBytes),
			s.group.SetPids(hostPids+4*job.Limits.Processes))
		if err != nil {
			return nil, err
		}
		s.group.ResetPeak()
	}
	r := &run{sandbox: s, job: job, outcome: new(pyth.Outcome), started: time.Now(), cpuBefore: s.meter.cpu()}
	if err := s.send(job); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { r.watch(ctx, done) })
	exit, err := r.receive()
	close(done)
	watcher.Wait()
	return r.finish(exit, err), nil
}

// send hands the job over.
func (s *Sandbox) send(job *pyth.Job) error {
	env := make([]string, len(job.Env))
	for i, v := range job.Env {
		env[i] = v.Name + "=" + v.Value
	}
	header := protocol.Job{
		Args:        job.Args,
		Env:         env,
		OutputFiles: job.OutputFiles,
		TimeoutMs:   job.Timeout.Milliseconds(),
		DiskBytes:   job.Limits.DiskBytes,
		Processes:   job.Limits.Processes,
		MaxFiles:    maxOutputFiles,
		MaxBytes:    maxOutputFileBytes,
	}
	err := s.conn.SendJSON(protocol.KindJob, header)
	for _, f := range job.Files {
		if err == nil {
			err = s.conn.Send(protocol.KindFile, protocol.EncodeFile(f.Path, f.Content))
		}
	}
	if err == nil {
		err = s.conn.Send(protocol.KindCode, job.Code)
	}
	if err == nil && len(job.Stdin) > 0 {
		err = s.conn.Send(protocol.KindStdin, job.Stdin)
	}
	if err == nil {
		err = s.conn.Send(protocol.KindStart, nil)
	}
	return err
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
		s.closed = errors.Join(s.socket.Close(), s.removeGroup(), s.removeState())
	})
	return s.closed
}

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
