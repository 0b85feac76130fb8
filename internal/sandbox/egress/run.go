package egress

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxRecords limits the number of records of a run.
const maxRecords = 1000

// Verdict is the outcome of a connection.
type Verdict string

// Verdicts of connections.
const (
	Allowed Verdict = "allowed" // The connection was made; bytes may have passed.
	Denied  Verdict = "denied"  // The rules or the policy forbid the connection.
	Failed  Verdict = "failed"  // The connection is allowed, but failed.
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Allowed, Denied, Failed} }

// Connection describes one connection. One Connection can also describe several
// connections that differ only in their number of bytes.
type Connection struct {
	// Host is a name in lower case, or an address. It is empty if the program's
	// request contained no valid host.
	Host string
	Port int
	// SentBytes is the number of bytes to the host, and ReceivedBytes is the number of
	// bytes from the host.
	SentBytes, ReceivedBytes int64
	Verdict                  Verdict
	// Reason explains why the connection was denied, why it failed, or why the proxy
	// ended it.
	Reason string
	// Count is the number of connections in this record.
	Count int
}

// Run holds the shared state of all connections of one run.
type Run struct {
	rules Rules
	// ctx is canceled by Close.
	ctx    context.Context
	cancel context.CancelCauseFunc
	all    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   int
	// The field "dropped" is the number of connections that have no record because of
	// maxRecords.
	records []Connection
	dropped int
}

// NewRun creates the state of a run whose allowlist is rules. The caller must
// call Close.
func (p *Proxy) NewRun(rules Rules) *Run {
	r := &Run{rules: rules}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// errRunOver is the reason for ending a connection when its run is closed.
var errRunOver = errors.New("egress: run is over")

// Close ends all connections of the run, and makes the run refuse new connections. It
// returns when the last connection has ended.
func (r *Run) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(errRunOver)
	r.all.Wait()
}

// Connections returns the connections that have ended, including refused connections, in
// the order of their first occurrence. Connections that differ only in their number of
// bytes share one entry. The result "dropped" is the number of connections beyond the
// limit of 1,000 entries.
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

// enter registers a connection with the run. It returns a refusal if the run is closed,
// or if the limit of open connections is reached. The returned context ends when ctx or
// the run ends, or when the returned function is called.
func (r *Run) enter(ctx context.Context, limit int) (_ context.Context, leave func(), _ *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, denied("the run has ended")
	case r.open >= limit:
		return nil, nil, denied("a run may have at most %d connections at the same time", limit)
	}
	r.open++
	r.all.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stopHook := context.AfterFunc(r.ctx, func() { cancel(errRunOver) })
	return ctx, func() {
		stopHook()
		cancel(nil)
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
		r.all.Done()
	}, nil
}
