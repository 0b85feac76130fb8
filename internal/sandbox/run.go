package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// pollInterval is how often limits that nothing enforces are looked at.
const pollInterval = 10 * time.Millisecond

// The reasons for which the host ends a run.
var (
	errOutput   = errors.New("output limit")
	errMemory   = errors.New("memory limit")
	errTime     = errors.New("time limit")
	errCanceled = errors.New("canceled")
)

// errGuest is a guest that breaks the protocol. It can only be hostile.
var errGuest = errors.New("the guest broke the protocol")

// run is a job in progress. The receiving goroutine owns the outcome; watch
// only asks for an end.
type run struct {
	sandbox *Sandbox
	job     *pyth.Job
	outcome *pyth.Outcome
	// events hears of the run; nil when nobody listens (any more).
	events         pyth.Events
	stdout, stderr printed
	resultBytes    int
	report         *protocol.Report
	fileBytes      int
	// incoming is the output file of which not all pieces have come; nil if none.
	incoming  *pyth.File
	started   time.Time
	cpuBefore time.Duration
	// cause is why the host ended the run; the first reason stays.
	cause atomic.Pointer[error]
	// peak and used are the most memory and processor time that were seen.
	peak, used atomic.Int64
}

// printed is what the program has written to a stream.
type printed struct {
	size      int
	kept      []byte
	truncated bool
}

// end asks for the end of the run.
func (r *run) end(cause error) {
	if !r.cause.CompareAndSwap(nil, &cause) {
		return
	}
	// The guest stops the program, so that its output is still answered; if it
	// does not, the sandbox goes. A full socket must not block us.
	until := time.Now().Add(r.grace())
	_ = r.sandbox.socket.SetDeadline(until)
	_ = r.sandbox.conn.Send(protocol.KindStop, nil)
}

// grace is how long the guest may take to stop the run.
func (r *run) grace() time.Duration {
	if r.job.Session != "" {
		return protocol.InterruptGrace + stopGrace
	}
	return stopGrace
}

// watch enforces from outside what the guest may not be trusted with, until
// done is closed.
func (r *run) watch(ctx context.Context, done <-chan struct{}) {
	// The guest keeps the time; this is for one that does not.
	deadline := time.NewTimer(r.job.Timeout + r.grace())
	defer deadline.Stop()
	var poll <-chan time.Time
	if r.sandbox.group == nil || r.job.Limits.CPU > 0 {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		poll = ticker.C
	}
	for cause := error(nil); cause == nil; {
		select {
		case <-done:
			return
		case <-ctx.Done():
			cause = errCanceled
		case <-deadline.C:
			cause = errTime
		case <-poll:
			cause = r.overLimit()
		}
		if cause != nil {
			r.end(cause)
		}
		if errors.Is(cause, errMemory) && r.job.Session != "" {
			// The guest would ask the interpreter first, which takes memory
			// meanwhile.
			_ = r.sandbox.Close()
		}
	}
	// Whoever listens to the run may be stuck, and the guest with it: the
	// program must end all the same.
	stuck := time.NewTimer(2 * r.grace())
	defer stuck.Stop()
	select {
	case <-done:
	case <-stuck.C:
		_ = r.sandbox.Close()
	}
}

// overLimit looks at the limits that no kernel enforces.
func (r *run) overLimit() error {
	if r.sample() > r.job.Limits.MemoryBytes {
		return errMemory
	}
	if limit := r.job.Limits.CPU; limit > 0 && r.cpu() > limit {
		return errTime
	}
	return nil
}

// cpu is the processor time used so far. Without a cgroup what has ended takes
// its time along, so that the most that was seen counts.
func (r *run) cpu() time.Duration {
	now := int64(r.sandbox.meter.cpu() - r.cpuBefore)
	for {
		most := r.used.Load()
		if now <= most {
			return time.Duration(most)
		}
		if r.used.CompareAndSwap(most, now) {
			return time.Duration(now)
		}
	}
}

// sample reads the memory in use where no kernel keeps its peak.
func (r *run) sample() int64 {
	if r.sandbox.group != nil {
		return 0
	}
	used := r.sandbox.meter.memory()
	if used > r.peak.Load() {
		r.peak.Store(used)
	}
	return used
}

// receive takes in what the guest says until the run has ended.
func (r *run) receive() (*protocol.Exit, error) {
	for {
		kind, payload, err := r.sandbox.conn.Receive()
		if err != nil {
			return nil, err
		}
		switch kind {
		case protocol.KindStdout:
			r.output(pyth.Stdout, &r.stdout, payload)
		case protocol.KindStderr:
			r.output(pyth.Stderr, &r.stderr, payload)
		case protocol.KindResult:
			r.result(payload)
		case protocol.KindReport:
			r.report = new(protocol.Report)
			err = decode(payload, r.report)
		case protocol.KindFile:
			err = r.file(payload)
		case protocol.KindData:
			err = r.fileData(payload)
		case protocol.KindEnd:
			err = r.fileEnd()
		case protocol.KindAbort:
			r.incoming = nil
		case protocol.KindSkipped:
			err = r.skipped(payload)
		case protocol.KindExit:
			exit := new(protocol.Exit)
			return exit, decode(payload, exit)
		default:
			err = errGuest
		}
		if err != nil {
			return nil, err
		}
	}
}

// output takes what fits and ends the run at the first byte that does not.
func (r *run) output(stream pyth.Stream, p *printed, more []byte) {
	if room := int(r.job.Limits.OutputBytes) - p.size; len(more) > room {
		r.end(errOutput)
		p.truncated = true
		more = more[:max(room, 0)]
	}
	p.size += len(more)
	if r.events == nil {
		p.kept = append(p.kept, more...)
	} else if len(more) > 0 {
		r.told(r.events.Output(stream, more))
	}
}

// told ends the run when who listens has gone.
func (r *run) told(err error) {
	if err != nil {
		r.end(errCanceled)
		r.events = silent{}
	}
}

// silent is who listens after who listened has gone.
type silent struct{}

func (silent) Started(pyth.ExecutionID) error   { return nil }
func (silent) Output(pyth.Stream, []byte) error { return nil }
func (silent) Result(pyth.Result) error         { return nil }
func (silent) File(pyth.File) error             { return nil }

// finish says what became of the run. The kernels' words decide: the guest's
// for how the process ended, the host's for whether a limit ended it. What the
// program printed has no part in it.
func (r *run) finish(exit *protocol.Exit, err error) *pyth.Outcome {
	r.sample()
	o := r.outcome
	o.Stdout, o.StdoutTruncated = r.stdout.kept, r.stdout.truncated
	o.Stderr, o.StderrTruncated = r.stderr.kept, r.stderr.truncated
	o.Usage = pyth.Usage{
		Wall:            time.Since(r.started),
		CPU:             r.cpu(),
		MemoryPeakBytes: max(r.peak.Load(), r.sandbox.meter.peak()),
	}
	var cause error
	if p := r.cause.Load(); p != nil {
		cause = *p
	}
	switch {
	case errors.Is(cause, errCanceled):
		o.Status = pyth.StatusCanceled
	case errors.Is(cause, errOutput):
		o.Status = pyth.StatusOutputLimit
	case errors.Is(cause, errMemory), r.sandbox.outOfMemory():
		o.Status = pyth.StatusOutOfMemory
		o.Usage.MemoryPeakBytes = max(o.Usage.MemoryPeakBytes, r.job.Limits.MemoryBytes)
	case errors.Is(cause, errTime), exit != nil && exit.TimedOut:
		o.Status = pyth.StatusTimedOut
	case err == nil && exit.Failure != "" && r.job.Session != "" && !exit.Ended:
		// The session is as it was.
		o.Status = pyth.StatusFailed
		o.Error = &pyth.ProgramError{Name: "InputFileError", Message: bounded(exit.Failure)}
		return o
	case err != nil, exit.Failure != "":
		// Sandbox or guest are gone and no limit tells why.
		o.Status, o.Signal = pyth.StatusKilled, "SIGKILL"
	case exit.Locked && r.job.Encrypted != nil:
		o.Status = pyth.StatusFailed
		o.Error = &pyth.ProgramError{Name: "DecryptionError", Message: decryptionError}
		return o
	case exit.Signal == int(unix.SIGKILL):
		o.Status, o.Signal = pyth.StatusKilled, "SIGKILL"
	case exit.Signal != 0:
		o.Status, o.Signal = pyth.StatusFailed, signalName(exit.Signal)
		o.Error = programError(r.report)
	default:
		code := exit.Code & 0xff
		o.ExitCode = &code
		o.Status = pyth.StatusSucceeded
		if code != 0 {
			o.Status = pyth.StatusFailed
			o.Error = programError(r.report)
		}
	}
	if exit != nil && r.job.Session != "" && !exit.Ended && o.ExitCode == nil {
		o.Signal = "SIGINT" // The interpreter heeded it.
	}
	if o.ExitCode == nil && o.Signal == "" && o.Status != pyth.StatusCanceled {
		o.Signal = "SIGKILL"
	}
	return o
}

func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	// Real-time signals have no names of their own.
	const firstRealTime = 34
	return "SIGRTMIN+" + strconv.Itoa(n-firstRealTime)
}

func decode(payload []byte, v any) error {
	if json.Unmarshal(payload, v) != nil {
		return errGuest
	}
	return nil
}
