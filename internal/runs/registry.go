package runs

import (
	"context"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// run is a live run. A run is live until it has ended and its record is stored.
type run struct {
	cancel context.CancelCauseFunc
	// admitted is true if the run counts for the quotas of the user.
	admitted bool
	// memory is the budget for the output and the code of the run.
	memory *budget
	// The channel "started" is closed when a sandbox has received the job. The channel
	// "ended" is closed when the run has ended.
	started, ended chan struct{}
	// The field "stores" is true if code and output will be stored. If it is false, the
	// field "code" is "".
	stores bool
	code   string
	// capture keeps the events of the run. If the caller does not receive events,
	// capture is nil.
	capture *capture
	// outcome and events are set when the run ends. If the outcome will not be stored,
	// outcome is nil. The field "size" is the memory from the budget that the fields
	// code, outcome and events use.
	outcome *pyth.Outcome
	events  []event
	size    int64

	mu     sync.Mutex
	record pyth.ExecutionRecord
	// The field "stored" is the last state of the run that was stored before the end of
	// the run. If no state was stored, it is "". For an asynchronous run, this state
	// always equals the state in the field "record", because only the store changes the
	// state.
	stored pyth.ExecutionState
}

// start sets the state of the run to running, because a sandbox has received the job of
// the run.
func (r *run) start(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.record.State == pyth.StateQueued {
		r.record.State, r.record.StartedAt = pyth.StateRunning, at
		if r.record.Async {
			r.stored = pyth.StateRunning
		}
		close(r.started)
	}
}

// finishLocked sets the fields whose values are known at the end of a run. All other
// fields never change, so code can read them without the mutex.
func (r *run) finishLocked(rec *pyth.ExecutionRecord) {
	r.record.State, r.record.Language, r.record.StartedAt, r.record.EndedAt = rec.State, rec.Language, rec.StartedAt, rec.EndedAt
	r.record.Status, r.record.Reason, r.record.ExitCode, r.record.Signal = rec.Status, rec.Reason, rec.ExitCode, rec.Signal
	r.record.Usage, r.record.NetworkBytes, r.record.Content = rec.Usage, rec.NetworkBytes, rec.Content
}

// metadata returns a copy of the current record.
func (r *run) metadata() pyth.ExecutionRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record
}

// snapshot returns the current record with its content.
func (r *run) snapshot() *pyth.RecordedExecution {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &pyth.RecordedExecution{ExecutionRecord: r.record, Code: r.code}
	if r.record.State == pyth.StateEnded {
		if out.Outcome = r.outcome; out.Outcome == nil {
			out.Code = ""
		}
	}
	return out
}

// The method "keep" takes memory from the budget for the content of the run and keeps
// the outcome. If there is not enough memory, it returns false.
func (r *run) keep(o *pyth.Outcome) bool {
	size := int64(len(r.code)) + outcomeBytes(o)
	if !r.memory.take(size) {
		if r.capture != nil {
			r.capture.release()
		}
		return false
	}
	r.size = size
	if r.capture != nil {
		stdout, stderr, order, captured, ok := r.capture.content()
		r.size += captured
		if !ok {
			r.memory.release(r.size)
			r.size = 0
			return false
		}
		o.Stdout, o.Stderr, r.events = stdout, stderr, order
	}
	r.outcome = o
	return true
}

// outcomeBytes returns the approximate size of the outcome.
func outcomeBytes(o *pyth.Outcome) int64 {
	n := len(o.Stdout) + len(o.Stderr)
	for _, r := range o.Results {
		for media, data := range r {
			n += len(media) + len(data)
		}
	}
	for _, f := range o.Files {
		n += len(f.Path) + len(f.Content)
	}
	if o.Error != nil {
		n += len(o.Error.Message) + len(o.Error.Traceback)
	}
	return int64(n)
}

// registry contains the live runs.
type registry struct {
	mu   sync.Mutex
	runs map[pyth.ExecutionID]*run
	// The field "awaited" contains runs that are not live yet. Callers of the method
	// "appears" wait for these runs.
	awaited map[pyth.ExecutionID]*appearance
}

// appearance is a channel that is closed when a run becomes live.
type appearance struct {
	c       chan struct{}
	waiters int
}

func newRegistry() *registry {
	return &registry{runs: map[pyth.ExecutionID]*run{}, awaited: map[pyth.ExecutionID]*appearance{}}
}

func (x *registry) add(r *run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.runs[r.record.ID] = r
	if a := x.awaited[r.record.ID]; a != nil {
		close(a.c)
		delete(x.awaited, r.record.ID)
	}
}

// The method "appears" returns a channel that is closed when the run with the ID becomes
// live. The caller must call the function "stop" when the caller no longer waits.
func (x *registry) appears(id pyth.ExecutionID) (c <-chan struct{}, stop func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.awaited[id]
	if a == nil {
		a = &appearance{c: make(chan struct{})}
		x.awaited[id] = a
	}
	a.waiters++
	return a.c, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if a.waiters--; a.waiters == 0 && x.awaited[id] == a {
			delete(x.awaited, id)
		}
	}
}

// byID returns the live run that has this ID. The run can belong to any user. If no live
// run has this ID, byID returns nil.
func (x *registry) byID(id pyth.ExecutionID) *run {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.runs[id]
}

func (x *registry) remove(r *run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.runs, r.record.ID)
}

// find returns the live run of the user that has this ID. If the user has no such live
// run, find returns nil.
func (x *registry) find(user pyth.UserID, id pyth.ExecutionID) *run {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.runs[id]; r != nil && r.record.User == user {
		return r
	}
	return nil
}

// ofUser returns the live runs of the user.
func (x *registry) ofUser(user pyth.UserID) (all []*run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.runs {
		if r.record.User == user {
			all = append(all, r)
		}
	}
	return all
}

// The method "active" returns the runs that have not ended.
func (x *registry) active() (all []*run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.runs {
		select {
		case <-r.ended:
		default:
			all = append(all, r)
		}
	}
	return all
}

// The method "unstored" returns the runs that have not ended and have no stored record.
// It returns only runs that were created before the given time.
func (x *registry) unstored(before time.Time) (all []*run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.runs {
		if r.record.CreatedAt.Before(before) && r.needsRecord() {
			all = append(all, r)
		}
	}
	return all
}

// needsRecord reports whether the store still needs a record of the run. This is true if
// the run has not ended and its current state is not stored.
func (r *run) needsRecord() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.State != pyth.StateEnded && r.stored != r.record.State
}

// The type "budget" limits the use of memory. It is safe for concurrent use.
type budget struct {
	mu   sync.Mutex
	free int64
}

func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.free {
		return false
	}
	b.free -= n
	return true
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
}
