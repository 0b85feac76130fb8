package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/coder/websocket"
)

// StartProcess starts a process in the session, beside its interpreter. The process
// continues after the call, and ends with the session.
func (s *Session) StartProcess(ctx context.Context, r *ProcessRequest) (*Process, error) {
	p := new(Process)
	return p, s.client.do(ctx, &call{method: http.MethodPost, path: s.path() + "/processes", body: r, header: idempotent(), repeatable: true}, p)
}

// RunProcess starts a process and waits for its end. The result contains the output of
// the process. If ctx ends first, the process continues.
func (s *Session) RunProcess(ctx context.Context, r *ProcessRequest) (*Process, error) {
	p := new(Process)
	query := url.Values{"wait": {"true"}}
	return p, s.client.do(ctx, &call{method: http.MethodPost, path: s.path() + "/processes", query: query, body: r, header: idempotent(), repeatable: true}, p)
}

// Processes returns the running processes of the session, and the processes that ended
// most recently. The oldest process comes first.
func (s *Session) Processes(ctx context.Context) ([]Process, error) {
	var answer ProcessList
	err := s.client.do(ctx, &call{method: http.MethodGet, path: s.path() + "/processes", repeatable: true}, &answer)
	return answer.Processes, err
}

// Process returns a process of the session.
func (s *Session) Process(ctx context.Context, pid int64) (*Process, error) {
	return s.process(ctx, pid, nil)
}

func (s *Session) process(ctx context.Context, pid int64, query url.Values) (*Process, error) {
	p := new(Process)
	return p, s.client.do(ctx, &call{method: http.MethodGet, path: s.processPath(pid, ""), query: query, repeatable: true}, p)
}

// WaitProcess waits until the process has ended, and returns it. It returns an error if
// the context ends first.
func (s *Session) WaitProcess(ctx context.Context, pid int64) (*Process, error) {
	for {
		p, err := s.process(ctx, pid, url.Values{"wait": {strconv.Itoa(maxWait)}})
		if err != nil || p.State == ProcessStateExited {
			return p, err
		}
	}
}

// FollowProcess calls the function "output" with each part of the output of the process.
// It begins with the oldest output that the session still has, and returns when the
// process has ended. If the connection fails, FollowProcess connects again and continues
// with the next output.
func (s *Session) FollowProcess(ctx context.Context, pid int64, output func(*Output)) (*Process, error) {
	last := int64(0)
	for failures := 0; ; {
		r := &call{method: http.MethodGet, path: s.processPath(pid, "/output"), repeatable: true}
		if last > 0 {
			r.header = http.Header{"Last-Event-Id": {strconv.FormatInt(last, 10)}}
		}
		failure := errStreamEnded
		for m, err := range s.client.stream(ctx, r) {
			if err != nil {
				failure = err
				break
			}
			last, failures = m.id, 0
			ended, err := m.ofProcess(output)
			if ended != nil || err != nil {
				return ended, err
			}
		}
		_, refused := errors.AsType[*Error](failure)
		if failures++; refused || ctx.Err() != nil || failures > s.client.retries || s.client.wait(ctx, &attempt{number: failures, err: failure}) != nil {
			return nil, failure
		}
	}
}

// ofProcess processes an event of a process. After the last event, it returns the process.
func (m *message) ofProcess(output func(*Output)) (*Process, error) {
	switch m.name {
	case "stdout", "stderr":
		o := &Output{Stderr: m.name == "stderr"}
		if err := json.Unmarshal(m.data, o); err != nil {
			return nil, fmt.Errorf("the event %s is not from a Pyth-On server: %w", m.name, err)
		}
		output(o)
	case "end":
		p := new(Process)
		if err := json.Unmarshal(m.data, p); err != nil {
			return nil, fmt.Errorf("the event %s is not from a Pyth-On server: %w", m.name, err)
		}
		return p, nil
	case "error":
		return nil, m.problem()
	}
	return nil, nil //nolint:nilnil // The process has not ended.
}

// WriteProcess writes to the standard input or to the terminal of the process. If end is
// true, the input ends after the content.
func (s *Session) WriteProcess(ctx context.Context, pid int64, content io.ReadSeeker, end bool) error {
	query := url.Values{"close": {strconv.FormatBool(end)}}
	// The server may have written a part of the content before a failure, so do not
	// repeat the request.
	return s.client.do(ctx, &call{method: http.MethodPost, path: s.processPath(pid, "/stdin"), query: query, content: content}, nil)
}

// SignalProcess sends a signal, such as SIGTERM, to the process and its children.
func (s *Session) SignalProcess(ctx context.Context, pid int64, signal string) error {
	body := &ProcessSignal{Signal: signal}
	return s.client.do(ctx, &call{method: http.MethodPost, path: s.processPath(pid, "/signal"), body: body, header: idempotent(), repeatable: true}, nil)
}

// ResizeProcess changes the size of the terminal of the process.
func (s *Session) ResizeProcess(ctx context.Context, pid int64, size TerminalSize) error {
	return s.client.do(ctx, &call{method: http.MethodPut, path: s.processPath(pid, "/tty"), body: &size, repeatable: true}, nil)
}

func (s *Session) processPath(pid int64, rest string) string {
	return s.path() + "/processes/" + strconv.FormatInt(pid, 10) + rest
}

// Attachment is a connection to a process. One goroutine may call Copy while others call
// the other methods.
type Attachment struct {
	ctx    context.Context
	socket *websocket.Conn
}

// maxAttached is the maximum size of a message from the server in bytes.
const maxAttached = 16 << 20

// AttachProcess connects to the process. The connection ends when ctx ends. The process
// survives the connection.
func (s *Session) AttachProcess(ctx context.Context, pid int64) (*Attachment, error) {
	header := s.client.headers.Clone()
	header.Set("User-Agent", s.client.agent)
	address := s.client.base + s.processPath(pid, "/attach") + "?split=true"
	socket, answer, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: s.client.http, HTTPHeader: header})
	if err != nil {
		if answer != nil && answer.Body != nil && answer.StatusCode != http.StatusSwitchingProtocols {
			defer func() { _ = answer.Body.Close() }()
			return nil, readError(answer)
		}
		return nil, err
	}
	socket.SetReadLimit(maxAttached)
	return &Attachment{ctx: ctx, socket: socket}, nil
}

// Copy writes the output of the process to stdout and stderr, and returns when the process
// has ended. A process with a terminal writes only to stdout.
func (a *Attachment) Copy(stdout, stderr io.Writer) (*Process, error) {
	for {
		kind, message, err := a.socket.Read(a.ctx)
		if err != nil {
			if reason, ok := errors.AsType[websocket.CloseError](err); ok && reason.Reason != "" {
				return nil, fmt.Errorf("the server closed the connection: %s", reason.Reason)
			}
			return nil, err
		}
		if kind == websocket.MessageText {
			ended := new(Process)
			if err := json.Unmarshal(message, ended); err != nil {
				return nil, fmt.Errorf("the message is not from a Pyth-On server: %w", err)
			}
			return ended, nil
		}
		if len(message) == 0 {
			continue
		}
		to := stdout
		if message[0] == 2 {
			to = stderr
		}
		if _, err := to.Write(message[1:]); err != nil {
			return nil, err
		}
	}
}

// Write sends input to the process.
func (a *Attachment) Write(b []byte) (int, error) {
	if err := a.socket.Write(a.ctx, websocket.MessageBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Resize changes the size of the terminal of the process.
func (a *Attachment) Resize(size TerminalSize) error {
	text, err := json.Marshal(size)
	if err != nil {
		return err
	}
	return a.socket.Write(a.ctx, websocket.MessageText, text)
}

// CloseInput ends the input of the process.
func (a *Attachment) CloseInput() error {
	return a.socket.Write(a.ctx, websocket.MessageText, []byte(`{"closeInput":true}`))
}

// Close closes the connection. The process continues.
func (a *Attachment) Close() error { return a.socket.Close(websocket.StatusNormalClosure, "") }
