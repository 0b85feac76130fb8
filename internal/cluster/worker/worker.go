// Package worker runs the jobs of servers on this machine.
//
// A Worker receives calls and passes them to a Host, which is the pool of sandboxes on
// this machine. The Worker starts a program only after the server has released the run.
// Before the release, the server can send the run to another worker, so no program runs
// twice. If a server is lost, the Worker cancels the runs of this server. After some
// time, it also closes the sessions of this server.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// orphanTimeout is the time for which the sessions of a lost server stay open. During
// this time, the server can connect again, for example after a restart of NATS.
const orphanTimeout = time.Minute

// spareCalls is the number of calls that the worker accepts in addition to the calls
// for runs and sessions. The spare calls are for operations on files and for streams.
const spareCalls = 512

// maxStreams is the maximum number of streams that the worker relays at the same time. A
// stream can be open for a day, so the rest of spareCalls remains for operations on files.
const maxStreams = spareCalls - 128

// maxReceiving is the maximum number of jobs that the worker receives at the same time.
// minJobBytes is the minimum value of Config.JobBytes.
const (
	maxReceiving = 16
	minJobBytes  = 256 << 20
)

// Host runs jobs and holds sessions and reservations.
type Host interface {
	pyth.SessionHost
	pyth.ReservationHost
}

// Config configures a Worker. All fields except JobBytes and Tracer are required.
type Config struct {
	Bus    link.Bus
	Token  []byte
	Host   Host
	Images *imagestore.Store
	// Status returns the limits and the load of the Host, the runtimes, and the name of
	// the worker. The Worker sets the other fields of the result.
	Status func() wire.Status
	// JobBytes limits the total size of all accepted jobs, including their code and
	// input files.
	JobBytes int64
	Logger   *slog.Logger
	// Tracer continues the traces of servers. It is nil if the worker records no
	// traces.
	Tracer *tracing.Tracer
}

// Worker serves the calls of servers.
type Worker struct {
	config Config
	key    *wire.SealingKey
	node   *link.Node
	// The channel "receiving" is a semaphore. It limits the number of calls that
	// receive their first message at the same time.
	receiving chan struct{}
	// maxCalls is the maximum number of calls at the same time. It depends on the
	// limits that Config.Status returns.
	maxCalls atomic.Int64
	// The field "streams" is the number of streams that the worker relays.
	streams atomic.Int64

	mu       sync.Mutex
	draining bool
	// freeBytes is the part of Config.JobBytes that accepted jobs do not use.
	freeBytes int64
	// After a call of Drain, the channel "idle" is closed as soon as no run is in
	// progress.
	running      int
	idle         chan struct{}
	sessions     map[pyth.SessionID]*session
	reservations map[pyth.ReservationID]time.Time
	// The field "tenants" contains the numbers of accepted jobs. It maps the
	// hexadecimal ID of each server to a map from tenants to numbers.
	tenants map[string]map[pyth.UserID]int
}

// session is a session on this worker.
type session struct {
	server wire.ID
	// The channel "turn" contains a value during a run or a file operation. The channel
	// is necessary, because a server may begin the next operation before this worker
	// has noticed the end of the previous operation.
	turn chan struct{}
}

// New returns a Worker that accepts calls.
func New(c Config) (*Worker, error) {
	key, err := wire.NewSealingKey()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		config: c, key: key, idle: make(chan struct{}), receiving: make(chan struct{}, maxReceiving), freeBytes: max(c.JobBytes, minJobBytes),
		sessions: map[pyth.SessionID]*session{}, reservations: map[pyth.ReservationID]time.Time{},
		tenants: map[string]map[pyth.UserID]int{},
	}
	w.status() // The call sets maxCalls.
	w.node, err = link.Open(link.Config{
		Bus: c.Bus, Token: c.Token, Status: w.status, Accept: w.accept, Owns: w.owns, Lost: w.lost, Logger: c.Logger,
		MaxCalls: func() int { return int(w.maxCalls.Load()) },
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Worker) status() wire.Status {
	s := w.config.Status()
	w.maxCalls.Store(int64(s.MaxRunning + s.MaxQueued + s.MaxSessions + spareCalls))
	s.Protocol, s.PublicKey, s.Traces = wire.Protocol, w.key.Public(), w.config.Tracer != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Draining = w.draining
	s.Tenants = make(map[string]map[pyth.UserID]int, len(w.tenants))
	for server, tenants := range w.tenants {
		s.Tenants[server] = maps.Clone(tenants)
	}
	return s
}

// The method "count" counts a job of the tenant on the server. The caller must call the
// function "end" once when the job has ended.
func (w *Worker) count(server wire.ID, tenant pyth.UserID) (end func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := server.String()
	if w.tenants[id] == nil {
		w.tenants[id] = map[pyth.UserID]int{}
	}
	w.tenants[id][tenant]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		tenants := w.tenants[id]
		if tenants[tenant]--; tenants[tenant] == 0 {
			delete(tenants, tenant)
		}
		if len(tenants) == 0 {
			delete(w.tenants, id)
		}
	}
}

// Drain refuses new jobs and sessions. It waits until the accepted runs have ended, or
// until ctx ends.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	if !w.draining {
		w.draining = true
		if w.running == 0 {
			close(w.idle)
		}
	}
	w.mu.Unlock()
	w.node.Announce()
	select {
	case <-w.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all calls and leaves the cluster. After Close, the caller must close the
// Host.
func (w *Worker) Close() { w.node.Close() }

// enter increases the number of runs by 1. It fails if the worker accepts no new runs.
func (w *Worker) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return draining()
	}
	w.running++
	return nil
}

func (w *Worker) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running--; w.running == 0 && w.draining {
		close(w.idle)
	}
}

func draining() error {
	return &pyth.Error{Code: pyth.CodeDraining, Message: "The worker is shutting down. Try again in a few seconds.", RetryAfter: time.Second}
}

// The method "owns" reports whether this worker has the session or reservation.
func (w *Worker) owns(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, session := w.sessions[pyth.SessionID(id)]
	_, reservation := w.reservations[pyth.ReservationID(id)]
	return session || reservation
}

// The method "lost" waits for the time orphanTimeout. If the lost server has not
// connected again by then, the method closes the sessions of this server.
func (w *Worker) lost(server link.Peer) {
	w.config.Logger.Warn("server lost: its runs were canceled", "server", server.ID.String())
	time.AfterFunc(orphanTimeout, func() {
		if w.node.IsAlive(server.ID) {
			return
		}
		for _, id := range w.sessionsOf(server.ID) {
			w.closeSession(id)
		}
	})
}

func (w *Worker) sessionsOf(server wire.ID) []pyth.SessionID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []pyth.SessionID
	for id, s := range w.sessions {
		if s.server == server {
			all = append(all, id)
		}
	}
	return all
}

func (w *Worker) closeSession(id pyth.SessionID) {
	w.mu.Lock()
	delete(w.sessions, id)
	w.mu.Unlock()
	w.config.Host.CloseSession(id)
}

// The method "take" reserves memory for a job. It fails if the accepted jobs together
// would be larger than Config.JobBytes.
func (w *Worker) take(bytes int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(bytes) > w.freeBytes {
		return &pyth.Error{Code: pyth.CodeOverloaded, Message: "The worker has no memory for the files of the program. Try again in a few seconds.", RetryAfter: time.Second}
	}
	w.freeBytes -= int64(bytes)
	return nil
}

func (w *Worker) give(bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.freeBytes += int64(bytes)
}

// accept serves one call of a server.
func (w *Worker) accept(l *link.Link) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.receiving <- struct{}{}
	first, err := l.Receive(ctx, wire.MaxRunMessage)
	<-w.receiving
	if err != nil {
		return
	}
	err = w.take(len(first))
	if err == nil {
		defer w.give(len(first))
		var m *wire.Message
		if m, err = wire.Decode(first); err == nil {
			c := &call{worker: w, link: l, ctx: ctx, cancel: cancel}
			err = c.handle(m)
		}
	}
	if err == nil || l.Err() != nil {
		return
	}
	if errors.Is(err, wire.ErrInvalid) {
		w.config.Logger.ErrorContext(ctx, "invalid message from a server", "error", err)
	}
	failure, err := wire.EncodeFailure(err)
	if err == nil {
		// Ignore the error. If Send fails, the call has ended, and the server notices
		// that.
		_ = l.Send(ctx, failure)
	}
}
