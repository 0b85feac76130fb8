package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/guest/protocol"
)

// What a run may return of files, in number and bytes; the same as it may be
// given.
const (
	maxOutputFiles     = 64
	maxOutputFileBytes = 10 << 20
	maxSkipped         = 128
)

// pollInterval is how often limits that nothing enforces are looked at.
const pollInterval = 10 * time.Millisecond

// run is a job in progress. The receiving goroutine owns the outcome; watch
// only asks for an end.
type run struct {
	sandbox   *Sandbox
	job       *pyth.Job
	outcome   *pyth.Outcome
	fileBytes int
	started   time.Time
	cpuBefore time.Duration
	// cause is why the host ended the run; the first reason stays.
	cause atomic.Pointer[error]
	peak  atomic.Int64
}

// end asks for the end of the run.
func (r *run) end(cause error) {
	if r.cause.CompareAndSwap(nil, &cause) {
		// The guest stops the program, so that its output is still answered;
		// if it does not, the sandbox goes. A full socket must not block us.
		_ = r.sandbox.socket.SetWriteDeadline(time.Now().Add(stopGrace))
		_ = r.sandbox.conn.Send(protocol.KindStop, nil)
		_ = r.sandbox.socket.SetReadDeadline(time.Now().Add(stopGrace))
	}
}

// watch enforces from outside what the guest may not be trusted with.
func (r *run) watch(ctx context.Context) {
	deadline := time.NewTimer(r.job.Timeout + stopGrace)
	defer deadline.Stop()
	var poll <-chan time.Time
	if r.sandbox.group == nil || r.job.Limits.CPU > 0 {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		poll = ticker.C
	}
	parent := ctx.Done()
	for {
		select {
		case <-parent:
			if r.done.Load() {
				return
			}
			r.end(errCancel)
			return
		case <-deadline.C:
			r.end(errTime)
			return
		case <-poll:
			if r.sandbox.group == nil {
				used := r.sandbox.meter.memory()
				if used > r.peak.Load() {
					r.peak.Store(used)
				}
				if used > r.job.Limits.MemoryBytes {
					r.end(errMemory)
					return
				}
			}
			if limit := r.job.Limits.CPU; limit > 0 && r.sandbox.meter.cpu()-r.cpuBefore > limit {
				r.end(errCPU)
				return
			}
		}
	}
}
