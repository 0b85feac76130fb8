// Package computer implements pyth.ProcessService. It calls the agents in the sandboxes of
// sessions. The agents may be hostile: the package corrects or refuses values that no
// correct agent sends.
package computer

import (
	"context"
	"errors"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// answerTimeout is the time within which the agent must answer.
const answerTimeout = 30 * time.Second

// Service implements pyth.ProcessService.
type Service struct{ streams pyth.SessionStreams }

var _ pyth.ProcessService = (*Service)(nil)

// New returns a Service.
func New(streams pyth.SessionStreams) *Service { return &Service{streams} }

// operation is a call with a request about processes.
type operation struct{ *agentcall.Call }

// request sends a request. The caller must call Close.
func (s *Service) request(ctx context.Context, user pyth.UserID, session pyth.SessionID, kind protocol.Kind, m protocol.Message) (*operation, error) {
	c, err := agentcall.Open(ctx, s.streams, user, session, answerTimeout, kind, m)
	if err != nil {
		return nil, err
	}
	return &operation{c}, nil
}

// process receives a Process.
func (o *operation) process() (*pyth.Process, error) {
	kind, payload, err := o.Receive()
	if err != nil {
		return nil, o.Explain(err)
	}
	return o.processOf(kind, payload)
}

// processOf decodes a Process. It returns an error for any other frame.
func (o *operation) processOf(kind protocol.Kind, payload []byte) (*pyth.Process, error) {
	switch kind {
	case protocol.KindProcess:
		p, err := parseProcess(payload)
		if err != nil {
			return nil, o.Explain(err)
		}
		return p, nil
	case protocol.KindDone:
		if err := failure(payload); err != nil {
			return nil, o.Explain(err)
		}
	}
	return nil, o.Explain(agentcall.ErrAgent)
}

// done receives a Done.
func (o *operation) done() error {
	kind, payload, err := o.Receive()
	switch {
	case err != nil:
		return o.Explain(err)
	case kind != protocol.KindDone:
		return o.Explain(agentcall.ErrAgent)
	}
	if err := failure(payload); err != nil {
		return o.Explain(err)
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
	defer o.Close()
	return o.process()
}

// RunProcess starts a process and passes its output to the caller until the process has
// ended.
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
	defer o.Close()
	p, err := o.process()
	if err != nil {
		return nil, err
	}
	if err := started(p); err != nil {
		return nil, err
	}
	return o.follow(0, output)
}

// Processes returns the processes that the agent remembers, oldest first.
func (s *Service) Processes(ctx context.Context, user pyth.UserID, session pyth.SessionID) ([]*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindListProcesses, nil)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var all []*pyth.Process
	for {
		kind, payload, err := o.Receive()
		switch {
		case err != nil:
			return nil, o.Explain(err)
		case kind == protocol.KindEnd:
			return all, nil
		case kind != protocol.KindProcess || len(all) >= protocol.MaxRemembered+protocol.MaxProcesses:
			return nil, o.Explain(agentcall.ErrAgent)
		}
		p, err := parseProcess(payload)
		if err != nil {
			return nil, o.Explain(err)
		}
		all = append(all, p)
	}
}

// Process waits until the process has ended, but no longer than the time "wait". It then
// returns the process.
func (s *Service) Process(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, wait time.Duration) (*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindWaitProcess, &protocol.WaitProcess{ID: int(id), TimeoutMs: wait.Milliseconds()})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	o.Limit(answerTimeout + wait)
	return o.process()
}

// ReadProcess calls the function "output" with the output that the agent has kept for a
// process. It begins at the position "after".
func (s *Service) ReadProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, after int64, follow bool, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	o, err := s.request(ctx, user, session, protocol.KindReadProcess, &protocol.ReadProcess{ID: int(id), After: after, Follow: follow})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.follow(after, output)
}

// follow receives the output after a position, and then the last state of the process.
func (o *operation) follow(position int64, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	o.NoLimit()
	for {
		kind, payload, err := o.Receive()
		if err != nil {
			return nil, o.Explain(err)
		}
		if kind != protocol.KindOutput {
			return o.processOf(kind, payload)
		}
		part, err := parseOutput(payload, position)
		if err != nil {
			return nil, o.Explain(err)
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
	defer o.Close()
	// The agent itself limits the time that a process may take to read its input. The
	// content may come from a person who types.
	o.NoLimit()
	answer := make(chan error, 1)
	go func() { answer <- o.done() }()
	buffer := make([]byte, inputBytes)
	for {
		n, readErr := content.Read(buffer)
		if n > 0 {
			if err := o.Send(protocol.KindData, buffer[:n]); err != nil {
				return <-answer
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			if err := o.Send(protocol.KindEnd, nil); err != nil {
				return <-answer
			}
			o.Limit(2 * answerTimeout)
			return <-answer
		case readErr != nil:
			return readErr
		}
		select {
		case err := <-answer:
			if err == nil {
				err = o.Explain(agentcall.ErrAgent) // The agent answers only after the end.
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

// simple makes a request that the agent answers with a Done. If the process has ended, it
// returns CodeConflict.
func (s *Service) simple(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, kind protocol.Kind, m protocol.Message) error {
	o, err := s.request(ctx, user, session, kind, m)
	if err != nil {
		return err
	}
	err = o.done()
	o.Close()
	if pyth.ErrorCode(err) != pyth.CodeNotFound {
		return err
	}
	if p, stateErr := s.Process(ctx, user, session, id, 0); stateErr == nil && p.Exited {
		return ended()
	}
	return err
}
