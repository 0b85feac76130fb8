package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// errAbandoned is the reason why a sandbox is unusable after a call of Abandon. Such a
// sandbox has received only a part of a job.
var errAbandoned = errors.New("the secrets of the job were not released")

// Start gives the job to the sandbox. An error means that the job did not start.
// After the run, call Recycle before the next job, except between jobs of the
// same session. events may be nil.
func (s *Sandbox) Start(_ context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	if err := s.grant(job.Limits.MemoryBytes, job.Limits.Processes); err != nil {
		s.broken = err
		return nil, fmt.Errorf("sandbox: set limits: %w", err)
	}
	r := &run{sandbox: s, job: job, events: events, outcome: new(pyth.Outcome), started: time.Now(), cpuBefore: s.meter.cpu()}
	// The sandbox will free the memory of its checkpoint before the program starts.
	// Subtract this memory only after the limits above are set. Otherwise a limit could
	// be lower than the memory in use, and the kernel would refuse this limit.
	if s.replaces(job) {
		s.meter.freed(memoryOf(s.language).checkpoint)
	}
	s.language = job.Language
	if job.Session != "" {
		if err := s.rearm(); err != nil {
			s.broken = err
			return nil, err
		}
	}
	var err error
	if r.disconnect, err = s.connect(job); err != nil {
		s.broken = err
		return nil, err
	}
	if err := r.send(); err != nil {
		r.disconnect()
		s.broken = err
		return nil, err
	}
	return r, nil
}

// The method "replaces" reports whether the waiting interpreter cannot run the job. In
// this case, the guest replaces the waiting interpreter and frees its checkpoint (the
// memory for restoring it).
func (s *Sandbox) replaces(job *pyth.Job) bool {
	if job.Session != "" || !s.checkpoint {
		return false
	}
	return job.Language.Runtime() != s.language.Runtime() || job.Limits.DiskBytes != protocol.DefaultDiskBytes
}

// send sends the job to the guest and starts the program. If the job has secrets, the
// method does not start the program: sendSecrets does this later.
//
// If the job has secrets and belongs to a session, the method send sends nothing. The
// job may still be abandoned, and the guest cannot discard a part of a session's job.
func (r *run) send() error {
	frames := jobFrames(r.job)
	switch {
	case !r.job.SecretsFollow:
		return r.sendStart(frames)
	case r.job.Session != "":
		r.unsent = frames
		return nil
	default:
		// The guest can process these frames while the server records the use of
		// the secrets.
		return r.sandbox.conn.SendAll(frames...)
	}
}

// sendSecrets sends the remaining frames of the job and the secrets. Then it
// starts the program.
func (r *run) sendSecrets(secrets []pyth.SecretValue) error {
	frames := r.unsent
	r.unsent = nil
	for _, v := range secrets {
		// Each secret has its own frame, so that its value can be cleared.
		variable := slices.Concat([]byte(v.Name), []byte("="), v.Value)
		defer clear(variable)
		frames = append(frames, protocol.Frame{Kind: protocol.KindSecret, Payload: variable})
	}
	return r.sendStart(frames)
}

// sendStart sends the given frames of the job and starts the program. Then it
// wipes the job's password.
func (r *run) sendStart(frames []protocol.Frame) error {
	if err := r.sandbox.conn.SendAll(append(frames, protocol.Frame{Kind: protocol.KindStart})...); err != nil {
		return err
	}
	wipe(r.job)
	return nil
}

// Release starts the program if it is waiting for its secrets, and returns the
// outcome. If ctx ends, Release stops the program, and the outcome has
// StatusCanceled. An error means that the program did not start.
func (r *run) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	s := r.sandbox
	if r.job.SecretsFollow {
		if err := r.sendSecrets(secrets); err != nil {
			r.disconnect()
			s.broken = err
			return nil, err
		}
	}
	if r.events != nil {
		r.checkDelivery(r.events.Started(r.job.ID))
	}
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { r.watch(ctx, done) })
	exit, err := r.receive()
	close(done)
	watcher.Wait()
	if err == nil && s.outOfMemory() {
		err = errors.New("the host's kernel killed a process of the sandbox: out of memory")
	}
	s.broken = err
	outcome := r.finish(exit, err)
	r.sandbox.restorable = err == nil && exit.Restorable
	outcome.Usage.Network = r.disconnect()
	outcome.SessionEnded = r.job.Session != "" && (err != nil || exit.Ended)
	return outcome, nil
}

// Abandon ends the run before its program starts. If the guest has got a part of
// the job, the sandbox is then unusable.
func (r *run) Abandon() {
	r.disconnect()
	if r.unsent == nil {
		r.sandbox.broken = errAbandoned
	}
}

// jobFrames returns the frames of the job, except those with secrets.
func jobFrames(job *pyth.Job) []protocol.Frame {
	env := environ(job.Env)
	if !job.Network.None() {
		env = withProxy(env, job.Language.Runtime(), protocol.ProxyAddress)
	}
	header := &protocol.Job{
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
	frames := []protocol.Frame{protocol.NewFrame(protocol.KindJob, header)}
	for _, f := range job.Files {
		frames = append(frames, protocol.NewFrame(protocol.KindFile, &protocol.File{Path: f.Path, Content: f.Content}))
	}
	frames = append(frames, programFrames(job)...)
	if len(job.Stdin) > 0 {
		frames = append(frames, protocol.Frame{Kind: protocol.KindStdin, Payload: job.Stdin})
	}
	return frames
}

// environ returns the variables as NAME=VALUE.
func environ(variables []pyth.EnvVar) []string {
	env := make([]string, len(variables))
	for i, v := range variables {
		env[i] = v.Name + "=" + v.Value
	}
	return env
}
