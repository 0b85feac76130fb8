package runs

import (
	"bytes"
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// FollowExecution passes all events of a run to the receiver, beginning with the first
// event. When the run has ended, it returns the record. Each call passes the same
// events. If the caller of the run does not receive events, FollowExecution passes all
// events after the end of the run. If the content is not stored, the receiver gets only
// the event Started.
func (s *Service) FollowExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, to pyth.Events) (*pyth.RecordedExecution, error) {
	stored, out, err := s.followToEnd(ctx, user, id, to)
	if stored == nil || err != nil {
		return out, err
	}
	c, err := s.open(ctx, stored)
	if err != nil {
		return nil, err
	}
	out = &pyth.RecordedExecution{ExecutionRecord: stored.ExecutionRecord}
	if c == nil {
		c = new(content)
	}
	out.Code, out.Outcome = c.Code, c.Outcome
	return out, replay(out, c.Events, to)
}

// followToEnd waits for the end of a run. If the run is live, followToEnd passes the
// events of the run to the receiver and returns the run. If the run is not live,
// followToEnd returns the record and the encrypted content after the end of the run.
func (s *Service) followToEnd(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, to pyth.Events) (*pyth.SealedExecution, *pyth.RecordedExecution, error) {
	for {
		changed, poll, stop := s.next(user, id)
		if r := s.live.find(user, id); r != nil {
			stop()
			out, err := s.follow(ctx, r, to)
			if err != nil || out.State == pyth.StateEnded {
				return nil, out, err
			}
			// The run has returned to the queue, so wait again.
			changed, poll, stop = s.next(user, id)
		}
		stored, err := s.config.Store.SealedExecution(ctx, user, id)
		if err != nil || stored.State == pyth.StateEnded {
			stop()
			return stored, nil, err
		}
		select {
		case <-changed:
		case <-poll:
		case <-ctx.Done():
			stop()
			return nil, nil, context.Cause(ctx)
		}
		stop()
	}
}

// follow passes the events of a live run to the receiver.
func (s *Service) follow(ctx context.Context, r *run, to pyth.Events) (*pyth.RecordedExecution, error) {
	if r.capture == nil || !r.stores {
		select {
		case <-r.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		out := r.snapshot()
		if out.State != pyth.StateEnded {
			return out, nil
		}
		return out, replay(out, r.events, to)
	}
	select {
	case <-r.started:
	case <-r.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if out := r.snapshot(); !out.StartedAt.IsZero() {
		if err := to.Started(out.ID); err != nil {
			return nil, err
		}
	}
	reader := reader{}
	for {
		// Check for the end before reading. If the run has ended, the following call of
		// the method "read" gets the last events.
		ended := isClosed(r.ended)
		changed, err := r.capture.read(&reader, to)
		if err != nil {
			return nil, err
		}
		if ended {
			return r.snapshot(), nil
		}
		select {
		case <-changed:
		case <-r.ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// reader is a position in the events of a run.
type reader struct{ order, stdout, stderr, results, files int }

// The method "next" takes the next event. It returns a function that passes the event to
// a receiver. The function has a copy of the output. The result "ok" is false if there
// are no more events.
func (p *reader) next(l *events) (deliver func(pyth.Events) error, ok bool) {
	if p.order >= len(l.order) {
		return nil, false
	}
	e := l.order[p.order]
	p.order++
	output := func(stream pyth.Stream, b []byte, at *int) func(pyth.Events) error {
		end := min(*at+e.Size, len(b))
		part := bytes.Clone(b[*at:end])
		*at = end
		return func(to pyth.Events) error { return to.Output(stream, part) }
	}
	switch {
	case e.Kind == eventStdout:
		return output(pyth.Stdout, l.stdout.Bytes(), &p.stdout), true
	case e.Kind == eventStderr:
		return output(pyth.Stderr, l.stderr.Bytes(), &p.stderr), true
	case e.Kind == eventResult && p.results < len(l.results):
		r := l.results[p.results]
		p.results++
		return func(to pyth.Events) error { return to.Result(r) }, true
	case e.Kind == eventFile && p.files < len(l.files):
		f := l.files[p.files]
		p.files++
		return func(to pyth.Events) error { return to.File(f) }, true
	}
	return func(pyth.Events) error { return nil }, true
}

// read passes the events after the current position to the receiver. It returns a
// channel. The channel is closed when there are more events.
func (c *capture) read(p *reader, to pyth.Events) (changed <-chan struct{}, err error) {
	for {
		c.mu.Lock()
		if c.failed {
			c.mu.Unlock()
			return nil, &pyth.Error{
				Code: pyth.CodeUnavailable, Message: "The server has no memory for the output of this run. Get the record of the run after the run has ended.",
			}
		}
		changed := c.changed
		deliver, ok := p.next(&c.log)
		c.mu.Unlock()
		if !ok {
			return changed, nil
		}
		if err := deliver(to); err != nil {
			return nil, err
		}
	}
}

// replay passes the events of an ended run to the receiver. If the parameter "order" is
// nil, the run had no receiver of events. Then replay passes stdout, stderr, the results
// and the files in this order.
func replay(r *pyth.RecordedExecution, order []event, to pyth.Events) error {
	if !r.StartedAt.IsZero() {
		if err := to.Started(r.ID); err != nil {
			return err
		}
	}
	o := r.Outcome
	if o == nil {
		return nil
	}
	if order == nil {
		order = defaultOrder(o)
	}
	l := events{order: order, results: o.Results, files: o.Files}
	l.stdout.Write(o.Stdout)
	l.stderr.Write(o.Stderr)
	p := reader{}
	for {
		deliver, ok := p.next(&l)
		if !ok {
			return nil
		}
		if err := deliver(to); err != nil {
			return err
		}
	}
}

func defaultOrder(o *pyth.Outcome) (order []event) {
	if len(o.Stdout) > 0 {
		order = append(order, event{eventStdout, len(o.Stdout)})
	}
	if len(o.Stderr) > 0 {
		order = append(order, event{eventStderr, len(o.Stderr)})
	}
	for range o.Results {
		order = append(order, event{Kind: eventResult})
	}
	for range o.Files {
		order = append(order, event{Kind: eventFile})
	}
	return order
}
