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

// pollInterval is the time between two checks of the limits that the kernel does
// not enforce.
const pollInterval = 10 * time.Millisecond

// These errors are the reasons why the host ends a run.
var (
	errOutput   = errors.New("output limit")
	errMemory   = errors.New("memory limit")
	errTime     = errors.New("time limit")
	errCanceled = errors.New("canceled")
)

// errGuest reports a violation of the protocol. Only a hostile guest violates the
// protocol.
var errGuest = errors.New("the guest violated the protocol")

// run holds the state of a job in progress. Only the goroutine that calls the method
// "receive" changes the outcome. The goroutine that calls the method "watch" can only
// request the end of the run.
type run struct {
	sandbox *Sandbox
	job     *pyth.Job
	outcome *pyth.Outcome
	// events gets the output when it arrives. If events is nil, the output is
	// stored in the outcome.
	events         pyth.Events
	stdout, stderr printed
	resultBytes    int
	report         *protocol.Report
	fileBytes      int
	// The field "incoming" is the output file that is being received, or nil.
	incoming  *pyth.File
	started   time.Time
	cpuBefore time.Duration
	// The field "unsent" holds the frames that sendSecrets must still send.
	unsent []protocol.Frame
	// disconnect closes the network of the run and returns the records of its
	// connections.
	disconnect func() []pyth.Connection
	// cause is the first reason why the host ended the run.
	cause atomic.Pointer[error]
	// The field "peak" is the highest observed memory in bytes. The field "used" is the
	// highest observed processor time in nanoseconds.
	peak, used atomic.Int64
}

// The type "printed" holds the captured output of one output stream.
type printed struct {
	size      int
	kept      []byte
	truncated bool
}

// The method "end" tells the guest to stop the run. All calls after the first one have
// no effect.
func (r *run) end(cause error) {
	if !r.cause.CompareAndSwap(nil, &cause) {
		return
	}
	// If the guest stops the program in time, the output so far is returned. Otherwise
	// the deadline expires and the sandbox is destroyed. The deadline also ends a blocked
	// attempt to send a message.
	until := time.Now().Add(r.grace())
	_ = r.sandbox.socket.SetDeadline(until)
	_ = r.sandbox.conn.Send(protocol.KindStop, nil)
}

// grace returns how much time the guest has to stop the run.
func (r *run) grace() time.Duration {
	if r.job.Session != "" {
		return protocol.InterruptGrace + stopGrace
	}
	return stopGrace
}

// The method "watch" enforces cancellation and limits until the channel "done" is
// closed. The guest (the code inside the sandbox) also enforces limits, but the host
// does not trust it.
func (r *run) watch(ctx context.Context, done <-chan struct{}) {
	// This timer is necessary because the guest may be hostile. A normal guest enforces
	// the time-out itself.
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
			// Kill the sandbox immediately. The guest would only interrupt the
			// interpreter, and the interpreter could allocate more memory before it
			// stops.
			_ = r.sandbox.Close()
		}
	}
	// If the receiver of the events blocks, the host does not process the guest's
	// messages. Even in this case, the program must end.
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

// cpu returns the processor time that the run has used. Without a cgroup, a measurement
// does not include processes that have already ended. So cpu returns the highest time
// that was measured in this run.
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

// sample returns the memory in use in bytes, and updates the peak. With a cgroup it
// returns 0, because then the kernel records the peak.
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

// output stores or forwards output until the limit is reached. If the program writes more
// output, the run ends.
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

// checkDelivery checks whether an event was delivered. After an error, it cancels the run
// and discards further events.
func (r *run) checkDelivery(err error) {
	if err != nil {
		r.end(errCanceled)
		r.events = discardEvents{}
	}
}

// discardEvents ignores all events. It is used when the receiver has
// disconnected.
type discardEvents struct{}

func (discardEvents) Started(pyth.ExecutionID) error   { return nil }
func (discardEvents) Output(pyth.Stream, []byte) error { return nil }
func (discardEvents) Result(pyth.Result) error         { return nil }
func (discardEvents) File(pyth.File) error             { return nil }

// finish completes the outcome of the run. The guest's Exit message says how the program
// ended. If the host has ended the run, the host's reason takes precedence. The program's
// output has no influence on the status.
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
		// The program did not start, and the session continues.
		o.Status = pyth.StatusFailed
		o.Error = &pyth.ProgramError{Name: "InputFileError", Message: bounded(exit.Failure)}
		return o
	case err != nil, exit.Failure != "":
		// The sandbox or the guest has died, or the program could not be started. No
		// limit was the cause.
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
	if exit != nil && r.job.Session != "" && !exit.Ended && o.ExitCode == nil && o.Signal == "" {
		// An interrupt has ended the run. The interpreter is still running, or bash has
		// ended with a signal.
		o.Signal = "SIGINT"
		if exit.Signal != 0 {
			o.Signal = signalName(exit.Signal)
		}
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
	// The function unix.SignalName does not know the names of real-time signals.
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
