package egress

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxRecords is how many different connections a run keeps.
const maxRecords = 1000

// Verdict is what became of a connection.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed" // bytes may have passed
	Denied  Verdict = "denied"  // the rules or the policy forbid it
	Failed  Verdict = "failed"  // it may be, but did not work
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Allowed, Denied, Failed} }

// Connection is what is known of one connection, or of several that are alike.
type Connection struct {
	// Host is a name in lower case or an address, empty if the program named
	// none that could be one.
	Host string
	Port int
	// SentBytes went to the host, ReceivedBytes came from it.
	SentBytes, ReceivedBytes int64
	Verdict                  Verdict
	// Reason says why it was denied, failed or was cut off.
	Reason string
	// Count is how many connections this stands for.
	Count int
}

// Run is what the connections of one run have in common.
type Run struct {
	rules Rules
	// ctx ends with Close.
	ctx    context.Context
	cancel context.CancelCauseFunc
	all    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   int
	// records are those that are not alike; dropped counts the connections for
	// which there was no room.
	records []Connection
	dropped int
}

// NewRun prepares for a run that may reach what the rules allow. The caller
// must close it.
func (p *Proxy) NewRun(rules Rules) *Run {
	r := &Run{rules: rules}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// errRunOver ends the connections of a run that is closed.
var errRunOver = errors.New("egress: the run is over")

// Close ends the run's connections, refuses others, and returns when the last
// is gone.
func (r *Run) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(errRunOver)
	r.all.Wait()
}

// Connections is what the run has reached and tried to reach, in the order in
// which it first did so. Connections that have ended and differ in nothing but
// their bytes are one entry. dropped is how many more there were than are
// kept: those with more than 1,000 different entries.
func (r *Run) Connections() (list []Connection, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records), r.dropped
}

func (r *Run) record(c Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.records, func(o Connection) bool {
		return o.Host == c.Host && o.Port == c.Port && o.Verdict == c.Verdict && o.Reason == c.Reason
	})
	switch {
	case i >= 0:
		r.records[i].SentBytes += c.SentBytes
		r.records[i].ReceivedBytes += c.ReceivedBytes
		r.records[i].Count += c.Count
	case len(r.records) < maxRecords:
		r.records = append(r.records, c)
	default:
		r.dropped += c.Count
	}
}

// enter lets a connection in. Its context ends with ctx, with the run, or when
// it leaves.
func (r *Run) enter(ctx context.Context, most int) (_ context.Context, leave func(), _ *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, denied("the run is over")
	case r.open >= most:
		return nil, nil, denied("a run may have %d connections at once", most)
	}
	r.open++
	r.all.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(r.ctx, func() { cancel(errRunOver) })
	return ctx, func() {
		unhook()
		cancel(nil)
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
		r.all.Done()
	}, nil
}
