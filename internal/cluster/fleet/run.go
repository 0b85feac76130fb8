package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// maxAttempts is the maximum number of failed workers for one job. A worker that only
// refuses the job does not count as failed.
const maxAttempts = 3

// errNotStarted means that the worker was lost, or that the call to it failed, before the
// program started.
var errNotStarted = errors.New("fleet: the worker was lost before the program started")

// run is a job that the server sends to a worker.
type run struct {
	fleet  *Fleet
	job    *pyth.Job
	events pyth.Events
	// The field "announced" is true if events.Started was already called.
	announced bool
	attempts  int
	// The fields "worker", "link" and "end" belong to the current attempt to run the
	// job.
	worker link.Peer
	link   *link.Link
	end    func()
	// outcome is the outcome of a job that ended before a worker accepted it. Otherwise
	// it is nil.
	outcome *pyth.Outcome
	// The function "leave" tells the admission that the program has ended. If "leave"
	// is called again, it does nothing.
	leave func()
	// waited is the time that the job waited until its tenant could run another
	// program.
	waited time.Duration
}

// Start sends the job to a worker, and returns when a sandbox has received the job. If
// the tenant already runs the maximum number of programs, Start first waits until a
// program of the tenant ends.
func (f *Fleet) Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	r := &run{fleet: f, job: job, events: events, leave: func() {}}
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		r.leave()
		return nil, err
	}
	return r, nil
}

// The method "enter" waits until the tenant may run another program. Jobs of the server
// itself have no tenant. For these jobs the method does not wait.
func (r *run) enter(ctx context.Context) error {
	if r.job.Tenant == "" {
		return nil
	}
	began := time.Now()
	if err := r.fleet.admission.enter(ctx, r.job.Tenant); err != nil {
		if ctx.Err() != nil {
			return nil // The method "start" ends the job.
		}
		return err
	}
	r.waited = time.Since(began)
	r.leave = sync.OnceFunc(func() { r.fleet.admission.leave(r.job.Tenant) })
	return nil
}

// start tries one worker after another until a worker accepts the job.
func (r *run) start(ctx context.Context) error {
	refused := map[wire.ID]bool{}
	var refusal error
	for {
		if ctx.Err() != nil {
			r.outcome = &pyth.Outcome{Status: pyth.StatusCanceled}
			return nil
		}
		worker, err := r.choose(ctx, refused)
		if err != nil {
			return refusalOr(refusal, err)
		}
		err = r.startOn(ctx, worker)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			continue
		case errors.Is(err, errNotStarted):
			r.fleet.config.Logger.WarnContext(ctx, "worker did not start the job", "worker", worker.Status.Name, "error", err)
			if r.attempts++; r.pinned() || r.attempts >= maxAttempts {
				return unavailable("The worker of the program was lost before the program started. Try again in a few seconds.")
			}
		case !movable(err) || r.pinned():
			return err
		default:
			refusal = err
		}
		// If only a message was lost, try the same worker again, because it may accept
		// the job in a second call.
		refused[worker.ID] = !errors.Is(err, errNotStarted) || errors.Is(err, link.ErrStalled) || !r.fleet.node.IsAlive(worker.ID)
		r.fleet.moved.Add(1)
	}
}

// refusalOr returns the error with which a worker refused the job. If no worker refused
// the job, it returns the less precise error "general".
func refusalOr(refusal, general error) error {
	if refusal != nil && pyth.ErrorCode(refusal) != pyth.CodeDraining {
		return refusal
	}
	return general
}

// The function "movable" reports whether another worker may accept the job. The
// parameter is the error with which a worker refused the job.
func movable(err error) bool {
	switch pyth.ErrorCode(err) {
	case pyth.CodeOverloaded, pyth.CodeTooManyExecutions, pyth.CodeDraining, pyth.CodeUnavailable, pyth.CodeRuntimeUnavailable:
		return true
	default:
		return false
	}
}

// The method "pinned" reports whether only one worker can run the job.
func (r *run) pinned() bool { return r.job.Session != "" || r.reservation() != "" }

func (r *run) reservation() pyth.ReservationID {
	if r.job.Encrypted == nil {
		return ""
	}
	return r.job.Encrypted.Sandbox
}

// choose returns the next worker to which the server sends the job.
func (r *run) choose(ctx context.Context, refused map[wire.ID]bool) (link.Peer, error) {
	if r.pinned() {
		id, gone := string(r.job.Session), sessionGone
		if r.job.Session == "" {
			id, gone = string(r.reservation()), reservationGone
		}
		worker, err := r.fleet.pinned(ctx, id, gone)
		if err != nil {
			return link.Peer{}, err
		}
		p, ok := r.fleet.node.Peer(worker)
		if !ok {
			return p, gone()
		}
		return p, nil
	}
	d := demand{tenant: r.job.Tenant, runtime: r.job.RunsOn(), memory: r.job.Limits.MemoryBytes}
	return r.fleet.choose(d, refused)
}

// choose returns the best worker that has not refused the demand.
func (f *Fleet) choose(d demand, refused map[wire.ID]bool) (link.Peer, error) {
	all, err := f.candidates(d)
	if err != nil {
		return link.Peer{}, err
	}
	for _, p := range all {
		if !refused[p.ID] {
			return p, nil
		}
	}
	f.refused.Add(1)
	f.config.Observer.Refused()
	if f.tenantFull(d) {
		return link.Peer{}, tooMany()
	}
	return link.Peer{}, overloaded()
}

// startOn sends the job to the worker and waits until a sandbox has received the job.
func (r *run) startOn(ctx context.Context, worker link.Peer) (err error) {
	f := r.fleet
	ctx, span := tracing.Start(ctx, "placement")
	span.Text("pyth_on.worker", worker.Status.Name)
	defer func() { span.End(err) }()
	trace := ""
	if worker.Status.Traces && span.Recording() {
		trace = tracing.Traceparent(ctx)
	}
	seal := func(b []byte) ([]byte, error) {
		return wire.Seal(worker.Status.PublicKey, b, f.node.ID(), worker.ID, r.job.ID)
	}
	m, err := wire.EncodeRun(r.job, r.events != nil, trace, seal)
	if err != nil {
		return err
	}
	end := f.begin(worker.ID, r.job.Tenant)
	l, err := f.node.Call(ctx, worker.ID, m)
	if err == nil {
		if err = f.await(ctx, l, wire.KindAccepted); err == nil {
			r.worker, r.link, r.end = worker, l, end
			f.noteStarted(worker.ID)
			if id := r.reservation(); id != "" {
				f.unpin(string(id))
			}
			return nil
		}
		l.Close()
	}
	end()
	return notStarted(err)
}

// notStarted converts the error of a failed call to errNotStarted.
func notStarted(err error) error {
	for _, lost := range []error{link.ErrLost, link.ErrReset, link.ErrStalled, link.ErrEnded, link.ErrClosed, wire.ErrInvalid} {
		if errors.Is(err, lost) {
			return errors.Join(errNotStarted, err)
		}
	}
	return err
}

// await waits for a message of the given kind. While it waits, it sends packages to the
// worker if the worker asks for packages.
func (f *Fleet) await(ctx context.Context, l *link.Link, kind wire.Kind) error {
	_, err := f.awaitMessage(ctx, l, kind)
	return err
}

func (f *Fleet) awaitMessage(ctx context.Context, l *link.Link, kind wire.Kind) (*wire.Message, error) {
	for {
		b, err := l.Receive(ctx, wire.MaxSmallMessage)
		if err != nil {
			return nil, err
		}
		m, err := wire.Decode(b)
		if err != nil {
			return nil, err
		}
		switch m.Kind {
		case kind:
			return m, nil
		case wire.KindFailed:
			return nil, wire.DecodeFailure(m)
		case wire.KindNeedLayer, wire.KindNeedImage:
			if err := f.sendImages(ctx, l, m); err != nil {
				return nil, err
			}
		default:
			return nil, wire.ErrInvalid
		}
	}
}

// Release starts the program and waits until the run has ended.
func (r *run) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	defer r.leave()
	defer r.wipe()
	for r.outcome == nil {
		if ctx.Err() != nil {
			r.abandon()
			return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
		}
		outcome, err := r.release(ctx, secrets)
		r.end()
		r.link.Close()
		if outcome != nil {
			outcome.Usage.Queued += r.waited
			r.fleet.config.Observer.Ran(outcome)
			return outcome, nil
		}
		if r.attempts++; !errors.Is(err, errNotStarted) && !movable(err) || r.attempts >= maxAttempts || r.pinned() {
			return nil, publicError(err)
		}
		r.fleet.moved.Add(1)
		if err := r.start(ctx); err != nil {
			return nil, err
		}
	}
	return r.outcome, nil
}

func publicError(err error) error {
	if errors.Is(err, errNotStarted) {
		return unavailable("The worker of the program was lost before the program started. Try again in a few seconds.")
	}
	return err
}

// wipe overwrites the password of an encrypted program with zeros.
func (r *run) wipe() {
	if e := r.job.Encrypted; e != nil {
		clear(e.Password)
	}
}

// release tells the worker to start the program. Then it receives the events and the
// outcome. If the program has not started, release returns an error and no outcome.
func (r *run) release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	if err := r.sendRelease(ctx, secrets); err != nil {
		// The program has not started, because the worker has not received the complete
		// message.
		if ctx.Err() != nil {
			return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
		}
		return nil, notStarted(err)
	}
	c := &receiver{run: r, ctx: ctx}
	if r.events != nil && !r.announced {
		r.announced = true
		c.check(r.events.Started(r.job.ID))
	}
	for {
		m, err := c.next()
		if err != nil {
			return r.lost(err), nil
		}
		switch m.Kind {
		case wire.KindOutcome:
			outcome, err := wire.DecodeOutcome(m)
			if err != nil {
				return r.lost(err), nil
			}
			return outcome, nil
		case wire.KindFailed:
			return nil, wire.DecodeFailure(m)
		default:
			c.deliver(m)
		}
	}
}

func (r *run) sendRelease(ctx context.Context, secrets []pyth.SecretValue) error {
	var release wire.Release
	if len(secrets) > 0 {
		plain := wire.EncodeSecrets(secrets)
		defer clear(plain)
		var err error
		release.Secrets, err = wire.Seal(r.worker.Status.PublicKey, plain, r.fleet.node.ID(), r.worker.ID, r.job.ID)
		if err != nil {
			return err
		}
	}
	m, err := wire.Encode(wire.KindRelease, &release)
	if err != nil {
		return err
	}
	return r.link.Send(ctx, m)
}

// The method "lost" returns the outcome of a run whose worker was lost.
func (r *run) lost(err error) *pyth.Outcome {
	r.fleet.config.Logger.Warn("run lost, because its worker was lost", "execution_id", r.job.ID, "worker", r.worker.Status.Name, "error", err)
	return &pyth.Outcome{
		Status: pyth.StatusKilled, Reason: pyth.ReasonWorkerLost, Signal: "SIGKILL", SessionEnded: r.job.Session != "",
	}
}

// Abandon ends the run before the program starts.
func (r *run) Abandon() {
	defer r.leave()
	defer r.wipe()
	if r.outcome == nil {
		r.abandon()
	}
}

func (r *run) abandon() {
	if m, err := wire.Encode(wire.KindAbandon, nil); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.link.Send(ctx, m) // Ignore the error: if Send fails, the end of the call has the same effect.
	}
	r.end()
	r.link.Close()
}

// receiver receives the messages of a released run.
type receiver struct {
	run *run
	// ctx is the context from the call of Release. The receiver does not use the
	// context after it has canceled the run.
	ctx context.Context
	// canceled is true if the server has told the worker to stop the program.
	canceled bool
	// deaf is true if the caller has returned an error for an event. After this error,
	// the caller gets no more events.
	deaf bool
}

// The method "next" returns the next message. If the context ends, the method tells the
// worker to cancel the run, and continues to wait for the message.
func (c *receiver) next() (*wire.Message, error) {
	for {
		ctx := c.ctx
		if c.canceled {
			ctx = context.WithoutCancel(ctx)
		}
		b, err := c.run.link.Receive(ctx, wire.MaxOutcomeMessage)
		switch {
		case err == nil:
			return wire.Decode(b)
		case c.ctx.Err() != nil && !c.canceled && c.run.link.Err() == nil:
			c.cancel()
		default:
			return nil, err
		}
	}
}

func (c *receiver) cancel() {
	if c.canceled {
		return
	}
	c.canceled = true
	if m, err := wire.Encode(wire.KindCancel, nil); err == nil {
		// Ignore the error: if Send fails, the link has ended.
		_ = c.run.link.Send(context.WithoutCancel(c.ctx), m)
	}
}

// deliver passes an event to the caller. If the caller returns an error, deliver
// cancels the run.
func (c *receiver) deliver(m *wire.Message) {
	if c.run.events != nil && !c.deaf {
		c.check(wire.Deliver(m, c.run.events))
	}
}

func (c *receiver) check(err error) {
	if err != nil {
		c.deaf = true
		c.cancel()
	}
}
