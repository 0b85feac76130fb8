// Package computer implements pyth.ProcessService. It speaks with the agents in the
// sandboxes of sessions over streams. The agents may be hostile: the package limits the
// size of each message and the time of each operation, and it corrects or refuses values
// that no correct agent sends.
package computer

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// answerTimeout is the time within which the agent must answer.
const answerTimeout = 30 * time.Second

// Service implements pyth.ProcessService.
type Service struct{ streams pyth.SessionStreams }

var _ pyth.ProcessService = (*Service)(nil)

// New returns a Service.
func New(streams pyth.SessionStreams) *Service { return &Service{streams} }

// errAgent reports a violation of the protocol. Only a hostile agent violates it.
var errAgent = errors.New("computer: the agent violated the protocol")

// operation is one stream with its request.
type operation struct {
	ctx     context.Context
	stream  io.ReadWriteCloser
	conn    *protocol.Conn
	unwatch func() bool
	// The timer "limit" closes the stream when the agent does not answer, and sets the
	// field "late". The timer can fire more than once, because the method "patient" can
	// start it again.
	limit *time.Timer
	late  atomic.Bool
}

// request opens a stream and sends a request. The caller must call close.
func (s *Service) request(ctx context.Context, user pyth.UserID, session pyth.SessionID, kind protocol.Kind, m protocol.Message) (*operation, error) {
	stream, err := s.streams.Stream(ctx, user, session)
	if err != nil {
		return nil, err
	}
	o := &operation{ctx: ctx, stream: stream, conn: protocol.NewStream(stream)}
	o.unwatch = context.AfterFunc(ctx, func() { _ = stream.Close() })
	o.limit = time.AfterFunc(answerTimeout, func() {
		o.late.Store(true)
		_ = stream.Close()
	})
	frame := protocol.Frame{Kind: kind}
	if m != nil {
		frame = protocol.NewFrame(kind, m)
	}
	if err := o.conn.SendAll(frame); err != nil {
		err = o.explain(err)
		o.close()
		return nil, err
	}
	return o, nil
}

// patient lets the agent take the additional time for its answer. A negative time means
// that the agent may take any time.
func (o *operation) patient(more time.Duration) {
	if more < 0 {
		o.limit.Stop()
	} else {
		o.limit.Reset(answerTimeout + more)
	}
}

func (o *operation) close() {
	o.unwatch()
	o.limit.Stop()
	_ = o.stream.Close()
}

// explain converts an error of the stream into an error for the user.
func (o *operation) explain(err error) error {
	switch {
	case o.ctx.Err() != nil:
		return context.Cause(o.ctx)
	case errors.Is(err, errAgent), errors.Is(err, protocol.ErrTooLarge), errors.Is(err, protocol.ErrMalformed):
		return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The sandbox of the session gave an invalid answer. Open a new session.", Err: err}
	case o.late.Load():
		return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The sandbox of the session did not answer in time. Try again, or open a new session.", Err: err}
	}
	if _, ok := errors.AsType[*pyth.Error](err); ok {
		return err
	}
	return &pyth.Error{Code: pyth.CodeNotFound, Message: "The session has ended. Open a new session.", Err: err}
}

// process receives a Process.
func (o *operation) process() (*pyth.Process, error) {
	kind, payload, err := o.conn.Receive()
	switch {
	case err != nil:
		return nil, o.explain(err)
	case kind == protocol.KindProcess:
		p, err := parseProcess(payload)
		if err != nil {
			return nil, o.explain(err)
		}
		return p, nil
	case kind == protocol.KindDone:
		if err := failure(payload); err != nil {
			return nil, o.explain(err)
		}
	}
	return nil, o.explain(errAgent)
}

// done receives a Done.
func (o *operation) done() error {
	kind, payload, err := o.conn.Receive()
	switch {
	case err != nil:
		return o.explain(err)
	case kind != protocol.KindDone:
		return o.explain(errAgent)
	}
	if err := failure(payload); err != nil {
		return o.explain(err)
	}
	return nil
}

// StartProcess starts a process.
func (s *Service) StartProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest) (*pyth.Process, error) {
	m, err := startMessage(r)
	if err != nil {
		return nil, err
	}
	o, err := s.request(ctx, user, session, protocol.KindStartProcess, m)
	if err != nil {
		return nil, err
	}
	defer o.close()
	return o.process()
}

// RunProcess starts a process and passes on its output until it has ended.
func (s *Service) RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	m, err := startMessage(r)
	if err != nil {
		return nil, err
	}
	m.Follow = true
	o, err := s.request(ctx, user, session, protocol.KindStartProcess, m)
	if err != nil {
		return nil, err
	}
	defer o.close()
	p, err := o.process()
	if err != nil {
		return nil, err
	}
	if err := started(p); err != nil {
		return nil, err
	}
	return o.follow(0, output)
}

// Processes returns the remembered processes, oldest first.
func (s *Service) Processes(ctx context.Context, user pyth.UserID, session pyth.SessionID) ([]*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindListProcesses, nil)
	if err != nil {
		return nil, err
	}
	defer o.close()
	var all []*pyth.Process
	for {
		kind, payload, err := o.conn.Receive()
		switch {
		case err != nil:
			return nil, o.explain(err)
		case kind == protocol.KindEnd:
			return all, nil
		case kind != protocol.KindProcess || len(all) >= protocol.MaxRemembered+protocol.MaxProcesses:
			return nil, o.explain(errAgent)
		}
		p, err := parseProcess(payload)
		if err != nil {
			return nil, o.explain(err)
		}
		all = append(all, p)
	}
}

// Process returns a process, and first waits for its end.
func (s *Service) Process(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, wait time.Duration) (*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindWaitProcess, &protocol.WaitProcess{ID: int(id), TimeoutMs: wait.Milliseconds()})
	if err != nil {
		return nil, err
	}
	defer o.close()
	o.patient(wait)
	return o.process()
}

// ReadProcess passes on the kept output of a process.
func (s *Service) ReadProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, after int64, follow bool, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindReadProcess, &protocol.ReadProcess{ID: int(id), After: after, Follow: follow})
	if err != nil {
		return nil, err
	}
	defer o.close()
	return o.follow(after, output)
}

// follow receives output from a position on, and then the last state of the process.
func (o *operation) follow(position int64, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	o.patient(-1)
	for {
		kind, payload, err := o.conn.Receive()
		switch {
		case err != nil:
			return nil, o.explain(err)
		case kind == protocol.KindProcess:
			p, err := parseProcess(payload)
			if err != nil {
				return nil, o.explain(err)
			}
			return p, nil
		case kind == protocol.KindDone:
			if err := failure(payload); err != nil {
				return nil, o.explain(err)
			}
			return nil, o.explain(errAgent)
		case kind != protocol.KindOutput:
			return nil, o.explain(errAgent)
		}
		part, err := parseOutput(payload, position)
		if err != nil {
			return nil, o.explain(err)
		}
		position = part.End
		if err := output(part); err != nil {
			return nil, err
		}
	}
}

// inputBytes is the maximum size of one Data frame of a process's input.
const inputBytes = 32 << 10

// WriteProcess writes to the standard input of a process.
func (s *Service) WriteProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, content io.Reader, end bool) error {
	o, err := s.request(ctx, user, session, protocol.KindWriteProcess, &protocol.WriteProcess{ID: int(id), Close: end})
	if err != nil {
		return err
	}
	defer o.close()
	// The agent itself limits the time that a process may take to read its input. The
	// content may come from a person who types.
	o.patient(-1)
	answer := make(chan error, 1)
	go func() { answer <- o.done() }()
	buffer := make([]byte, inputBytes)
	for {
		n, readErr := content.Read(buffer)
		if n > 0 {
			if err := o.conn.Send(protocol.KindData, buffer[:n]); err != nil {
				return <-answer
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			if err := o.conn.Send(protocol.KindEnd, nil); err != nil {
				return <-answer
			}
			o.patient(answerTimeout)
			return <-answer
		case readErr != nil:
			return readErr
		}
		select {
		case err := <-answer:
			if err == nil {
				err = o.explain(errAgent) // The agent answers only after the end.
			}
			return err
		default:
		}
	}
}

// SignalProcess sends a signal to a process.
func (s *Service) SignalProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, signal string) error {
	number, err := signalNumber(signal)
	if err != nil {
		return err
	}
	return s.simple(ctx, user, session, id, protocol.KindSignalProcess, &protocol.SignalProcess{ID: int(id), Signal: number})
}

// ResizeProcess changes the size of a terminal.
func (s *Service) ResizeProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, size pyth.TerminalSize) error {
	var faults pyth.FieldErrors
	checkSize(&faults, "body", size)
	if err := faults.Err(); err != nil {
		return err
	}
	return s.simple(ctx, user, session, id, protocol.KindResizeProcess, &protocol.ResizeProcess{ID: int(id), Columns: size.Columns, Rows: size.Rows})
}

// simple makes a request that is answered with a Done. If the process has ended, it
// returns CodeConflict.
func (s *Service) simple(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, kind protocol.Kind, m protocol.Message) error {
	o, err := s.request(ctx, user, session, kind, m)
	if err != nil {
		return err
	}
	err = o.done()
	o.close()
	if pyth.ErrorCode(err) != pyth.CodeNotFound {
		return err
	}
	if p, stateErr := s.Process(ctx, user, session, id, 0); stateErr == nil && p.Exited {
		return ended()
	}
	return err
}
