package sandbox

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// pollInterval is the time between checks of limits that the kernel does not
// enforce.
const pollInterval = 10 * time.Millisecond

// Reasons why the host ends a run.
var (
	errOutput   = errors.New("output limit")
	errMemory   = errors.New("memory limit")
	errTime     = errors.New("time limit")
	errCanceled = errors.New("canceled")
)

// errGuest reports a protocol violation. Only a hostile guest causes it.
var errGuest = errors.New("the guest violated the protocol")

// run holds the state of a job in progress. The receiving goroutine owns the
// outcome; watch only requests the end of the run.
type run struct {
	sandbox *Sandbox
	job     *pyth.Job
	outcome *pyth.Outcome
	// events receives output as it arrives. If it is nil, output is collected
	// in the outcome.
	events         pyth.Events
	stdout, stderr printed
	resultBytes    int
	report         *protocol.Report
	fileBytes      int
	// incoming is the output file that is still incomplete; nil if there is none.
	incoming  *pyth.File
	started   time.Time
	cpuBefore time.Duration
	// unsent holds the frames that Release sends together with the secrets.
	unsent []protocol.Frame
	// disconnect closes the network of the run and returns a record of each
	// connection.
	disconnect func() []pyth.Connection
	// cause is the first reason why the host ended the run.
	cause atomic.Pointer[error]
	// peak and used are the highest observed memory (bytes) and processor time (ns).
	peak, used atomic.Int64
}

// printed holds the captured output of one stream.
type printed struct {
	size      int
	kept      []byte
	truncated bool
}

// end tells the guest to stop the run. Only the first call has an effect.
func (r *run) end(cause error) {
	if !r.cause.CompareAndSwap(nil, &cause) {
		return
	}
	// If the guest stops the program, the output so far is still returned.
	// Otherwise the deadline expires and the sandbox is destroyed. The deadline
	// also ends a send on a full socket.
	until := time.Now().Add(r.grace())
	_ = r.sandbox.socket.SetDeadline(until)
	_ = r.sandbox.conn.Send(protocol.KindStop, nil)
}

// grace returns the time that the guest has to stop the run.
func (r *run) grace() time.Duration {
	if r.job.Session != "" {
		return protocol.InterruptGrace + stopGrace
	}
	return stopGrace
}

// watch enforces cancellation and limits from the host until done is closed. The
// host does not trust the guest to enforce them.
func (r *run) watch(ctx context.Context, done <-chan struct{}) {
	// The guest enforces the timeout. This deadline is for a hostile guest.
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
			// Kill the sandbox at once. The guest would interrupt the interpreter
			// first, which could allocate more memory until it stops.
			_ = r.sandbox.Close()
		}
	}
	// If the receiver of events blocks, the guest blocks as well. The program
	// must still end.
	stuck := time.NewTimer(2 * r.grace())
	defer stuck.Stop()
	select {
	case <-done:
	case <-stuck.C:
		_ = r.sandbox.Close()
	}
}

// overLimit checks the limits that the kernel does not enforce. It returns
// errMemory, errTime or nil.
func (r *run) overLimit() error {
	if r.sample() > r.job.Limits.MemoryBytes {
		return errMemory
	}
	if limit := r.job.Limits.CPU; limit > 0 && r.cpu() > limit {
		return errTime
	}
	return nil
}

// cpu returns the processor time used so far. Without a cgroup, the kernel no
// longer reports the time of ended processes, so cpu returns the highest observed
// value.
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

// sample returns the memory in use in bytes and updates the peak. With a cgroup
// it returns 0, because the kernel records the peak.
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

// receive processes the guest's messages until the run has ended.
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

// output stores or forwards output up to the limit. The first byte above the
// limit ends the run.
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
		r.checkDelivery(r.events.Output(stream, more))
	}
}

// checkDelivery cancels the run if an event could not be delivered. Then it
// discards all further events.
func (r *run) checkDelivery(err error) {
	if err != nil {
		r.end(errCanceled)
		r.events = discardEvents{}
	}
}

// discardEvents ignores all events after the receiver has disconnected.
type discardEvents struct{}

func (discardEvents) Started(pyth.ExecutionID) error   { return nil }
func (discardEvents) Output(pyth.Stream, []byte) error { return nil }
func (discardEvents) Result(pyth.Result) error         { return nil }
func (discardEvents) File(pyth.File) error             { return nil }

// finish completes the outcome of the run. The guest's Exit message says how the
// program ended. The reasons for which the host ended the run take precedence. The
// program's output has no influence.
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
		// The program did not start, and the session is unchanged.
		o.Status = pyth.StatusFailed
		o.Error = &pyth.ProgramError{Name: "InputFileError", Message: bounded(exit.Failure)}
		return o
	case err != nil, exit.Failure != "":
		// The sandbox or the guest has ended, or the program could not be started.
		// No limit is the cause.
		o.Status, o.Signal = pyth.StatusKilled, "SIGKILL"
	case exit.DecryptionFailed && r.job.Encrypted != nil:
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
		o.Signal = "SIGINT" // SIGINT ended the run, and the interpreter still runs.
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
	// unix.SignalName does not know real-time signals.
	const firstRealTime = 34
	return "SIGRTMIN+" + strconv.Itoa(n-firstRealTime)
}

// decode decodes a message from the guest.
func decode(payload []byte, m protocol.Message) error {
	if protocol.Decode(payload, m) != nil {
		return errGuest
	}
	return nil
}
