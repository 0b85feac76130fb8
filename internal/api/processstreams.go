package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
)

// DroppedEvent is the data of the event dropped.
type DroppedEvent struct {
	_ struct{} `doc:"The data of the event with the name dropped. The server sends this event if the session no longer has a part of the output."`

	Bytes int64 `json:"bytes" minimum:"1" doc:"The number of bytes that are missing before the next event." example:"4096"`
}

type processEventsInput struct {
	ProcessRef
	Snapshot    bool  `query:"snapshot" doc:"If true, the response contains only the output until now. The server does not wait for further output."`
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" doc:"The id of the last event that the client has received. The response begins with the next event. Without this header, the response begins with the oldest output that the session has."`
}

type attachInput struct {
	ProcessRef
	After int64 `query:"after" minimum:"0" doc:"The number of bytes of output that the client has received. The server sends only the output after these bytes."`
	Split bool  `query:"split" doc:"If true, each binary message of the server begins with a byte that names its stream: 1 for stdout, 2 for stderr."`
}

// processEvents documents the events of a process. exampleProcessEvents shows two of
// these events.
const (
	processEvents = "stdout and stderr (OutputEvent), and dropped (DroppedEvent) where output is missing. The id of an event is the number of bytes of output " +
		"up to the end of this event. The last event is end (Process) or error (Error)."
	exampleProcessEvents = "id: 3\nevent: stdout\ndata: {\"text\":\"42\\n\"}\n\nid: 4\nevent: end\ndata: {\"pid\":42,\"command\":\"echo 42\",\"state\":\"exited\",\"exitCode\":0," +
		"\"startedAt\":\"2026-04-04T08:23:21.123Z\",\"endedAt\":\"2026-04-04T08:23:21.131Z\",\"outputBytes\":3}\n\n"
)

func (h *Handler) registerProcessStreams() {
	events := h.eventSchema(processEvents)
	data := make([]*huma.Schema, 0, 3)
	for _, t := range []reflect.Type{reflect.TypeFor[OutputEvent](), reflect.TypeFor[DroppedEvent](), reflect.TypeFor[Process]()} {
		data = append(data, h.api.OpenAPI().Components.Schemas.Schema(t, true, ""))
	}
	events.Extensions = map[string]any{"contentMediaType": eventStream, contentSchema: &huma.Schema{OneOf: data}}
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "listProcessOutput", Method: http.MethodGet, Path: processPath + "/output",
			Summary: "Get the output of a process", Tags: []string{tagProcesses},
			Description: "Returns the output of the process as events. The first event is the oldest output that the session has, or the event after Last-Event-ID. The response continues until the process has ended. A session keeps the last 16 MiB of output of each process, and 32 MiB for all of its processes together.",
			Responses: map[string]*huma.Response{
				"200": {Description: "The output of the process", Content: map[string]*huma.MediaType{eventStream: {Schema: events, Example: exampleProcessEvents}}},
				"204": {Description: "The process has ended, and the client has received all of its events."},
			},
			Errors: []int{http.StatusNotFound},
		},
		timeout: maxProcessTime,
	}, ifProcesses(h, h.followProcess))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "attachProcess", Method: http.MethodGet, Path: processPath + "/attach",
			Summary: "Attach to a process", Tags: []string{tagProcesses},
			Description: "Opens a WebSocket to the process. Binary messages from the client are input for the process. Binary messages from the server are the output of the process. Text messages from the client are JSON. A TerminalSize changes the size of the terminal, and {\"closeInput\": true} closes the input of the process. When the process has ended, the server sends a text message with the Process, and closes the connection. An API key also needs the scope execute.",
			Responses:   map[string]*huma.Response{"101": {Description: "Switching Protocols"}},
			Errors:      []int{http.StatusNotFound},
		},
		timeout: maxProcessTime,
	}, ifProcesses(h, h.attachProcess))
}

// untilDrained returns a context that ends when ctx ends or when the server stops.
func (h *Handler) untilDrained(ctx context.Context) (context.Context, context.CancelFunc) {
	following, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.drained, func() {
		cancel(&pyth.Error{Code: pyth.CodeDraining, Message: "The server is stopping. Connect again with the header Last-Event-ID."})
	})
	return following, func() {
		stop()
		cancel(nil)
	}
}

func (h *Handler) followProcess(ctx context.Context, in *processEventsInput) (*getFileOutput, error) {
	following, stop := h.untilDrained(ctx)
	defer stop()
	user := caller(ctx).User.ID
	return &getFileOutput{Body: func(huma.Context) {}}, h.streamTo(ctx, func(s *stream) (any, error) {
		p, err := h.cfg.Processes.ReadProcess(following, user, in.id(), in.pid(), in.LastEventID, !in.Snapshot, s.processOutput)
		switch {
		case err != nil:
			return nil, err
		case p.Exited && in.LastEventID > p.OutputBytes:
			s.suppressed = true
		}
		s.id = p.OutputBytes
		if err := s.flush(); err != nil {
			return nil, err
		}
		s.id++
		return process(p), nil
	})
}

// processOutput sends output of a process. The id of the event is the position in the
// output from which a client can continue.
func (s *stream) processOutput(o *pyth.ProcessOutput) error {
	if o.Dropped > 0 {
		if err := s.flush(); err != nil {
			return err
		}
		s.id = o.End - int64(len(o.Data))
		if err := s.send("dropped", DroppedEvent{Bytes: o.Dropped}); err != nil {
			return err
		}
	}
	// The stream sends the bytes of an incomplete character with the next output. A
	// client that reconnects before the next output must get these bytes again. So the id
	// does not include these bytes.
	s.id = o.End - int64(len(o.Data)) + int64(len(pyth.TrimIncompleteRune(o.Data)))
	return s.Output(o.Stream, o.Data)
}

// Limits of WebSockets. If a client does not answer a ping within pingTimeout, the server
// treats the client as disconnected.
const (
	maxMessageBytes = 1 << 20
	pingInterval    = 20 * time.Second
	pingTimeout     = 20 * time.Second
)

func (h *Handler) attachProcess(ctx context.Context, in *attachInput) (*getFileOutput, error) {
	if err := h.requireScope(ctx, pyth.ScopeExecute); err != nil {
		return nil, err
	}
	req := requestOf(ctx)
	if err := checkUpgrade(req.r); err != nil {
		return nil, err
	}
	user := caller(ctx).User.ID
	// Report an unknown process with an HTTP error, before the WebSocket opens.
	if _, err := h.cfg.Processes.Process(ctx, user, in.id(), in.pid(), 0); err != nil {
		return nil, err
	}
	socket, err := websocket.Accept(req.w, req.r, &websocket.AcceptOptions{
		// Without a cookie, the origin does not matter, because the client had to know the
		// credentials. With a cookie, only the page of this server may open a WebSocket.
		InsecureSkipVerify: !req.byCookie,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		// The connection was already used, or the client has disconnected.
		return &getFileOutput{Body: func(huma.Context) {}}, nil
	}
	socket.SetReadLimit(maxMessageBytes)
	attached, stop := h.untilDrained(ctx)
	defer stop()
	a := &attachment{socket: socket, processes: h.cfg.Processes, user: user, session: in.id(), pid: in.pid(), split: in.Split}
	a.serve(attached, in.After)
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}

// checkUpgrade returns an error if the request does not open a WebSocket.
func checkUpgrade(r *http.Request) error {
	upgrades := func(name, value string) bool {
		for _, line := range r.Header.Values(name) {
			for part := range strings.SplitSeq(line, ",") {
				if strings.EqualFold(strings.TrimSpace(part), value) {
					return true
				}
			}
		}
		return false
	}
	if r.ProtoMajor != 1 || !upgrades("Connection", "upgrade") || !upgrades("Upgrade", "websocket") ||
		r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") == "" {
		return pyth.Invalid("header.Upgrade", "must open a WebSocket of version 13 over HTTP/1.1; use a WebSocket client")
	}
	return nil
}

// attachment connects a WebSocket with a process.
type attachment struct {
	socket    *websocket.Conn
	processes pyth.ProcessService
	user      pyth.UserID
	session   pyth.SessionID
	pid       pyth.ProcessID
	split     bool
}

// serve forwards messages in both directions until the process ends or the client
// disconnects.
func (a *attachment) serve(ctx context.Context, after int64) {
	defer func() { _ = a.socket.CloseNow() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reader, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	written := make(chan struct{})
	go func() { cancel(a.receive(ctx, writer, written)) }()
	go func() {
		defer close(written)
		if err := a.write(ctx, reader); err != nil {
			_ = reader.CloseWithError(err)
		}
	}()
	go func() { a.ping(ctx, cancel) }()
	p, err := a.processes.ReadProcess(ctx, a.user, a.session, a.pid, after, true, func(o *pyth.ProcessOutput) error {
		sending, stop := context.WithTimeout(ctx, eventTimeout)
		defer stop()
		return a.socket.Write(sending, websocket.MessageBinary, a.message(o))
	})
	if err != nil {
		a.fail(err)
		return
	}
	if text, err := encode(process(p)); err == nil {
		sending, stop := context.WithTimeout(ctx, eventTimeout)
		defer stop()
		_ = a.socket.Write(sending, websocket.MessageText, text)
	}
	_ = a.socket.Close(websocket.StatusNormalClosure, "")
}

// message returns the binary message with output.
func (a *attachment) message(o *pyth.ProcessOutput) []byte {
	switch {
	case !a.split:
		return o.Data
	case o.Stream == pyth.Stderr:
		return append([]byte{2}, o.Data...)
	default:
		return append([]byte{1}, o.Data...)
	}
}

// fail closes the connection and sends the error as the reason.
func (a *attachment) fail(err error) {
	status := websocket.StatusInternalError
	switch code := pyth.ErrorCode(err); code {
	case pyth.CodeInvalid, pyth.CodeConflict, pyth.CodeNotFound:
		status = websocket.StatusPolicyViolation
	case pyth.CodeDraining:
		status = websocket.StatusGoingAway
	}
	reason := "internal error"
	if e, ok := errors.AsType[*pyth.Error](err); ok && e.Code != pyth.CodeInternal {
		reason = string(e.Code) + ": " + e.Message
	}
	_ = a.socket.Close(status, reason[:min(len(reason), 120)])
}

// receive forwards the messages of the client to the process. It returns the error that
// stopped it. When the client ends the input, receive waits for the channel "written".
// This channel is closed when the process has received all earlier input.
func (a *attachment) receive(ctx context.Context, input io.WriteCloser, written <-chan struct{}) error {
	for {
		kind, message, err := a.socket.Read(ctx)
		if err != nil {
			return err
		}
		if kind == websocket.MessageBinary {
			if _, err := input.Write(message); err != nil {
				return err
			}
			continue
		}
		command, err := parseCommand(message)
		switch {
		case err != nil:
		case command.CloseInput:
			_ = input.Close()
			<-written
			err = a.processes.WriteProcess(ctx, a.user, a.session, a.pid, strings.NewReader(""), true)
		default:
			err = a.processes.ResizeProcess(ctx, a.user, a.session, a.pid, pyth.TerminalSize{Columns: command.Columns, Rows: command.Rows})
		}
		if err != nil {
			return err
		}
	}
}

// write writes the client's input to the process. It calls WriteProcess only after the
// first input has arrived, so that a client can also attach to a process without standard
// input.
func (a *attachment) write(ctx context.Context, input *io.PipeReader) error {
	// If a message is longer than this buffer, the pipe keeps the rest.
	first := make([]byte, 4<<10)
	n, err := input.Read(first)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	content := io.MultiReader(strings.NewReader(string(first[:n])), input)
	return a.processes.WriteProcess(ctx, a.user, a.session, a.pid, content, false)
}

// ping detects disconnected clients.
func (a *attachment) ping(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting, stop := context.WithTimeout(ctx, pingTimeout)
		err := a.socket.Ping(waiting)
		stop()
		if err != nil {
			cancel(err)
			return
		}
	}
}

// command is a text message of a client: the new size of the terminal, or the end of the
// input.
type command struct {
	Columns    int  `json:"columns"`
	Rows       int  `json:"rows"`
	CloseInput bool `json:"closeInput"`
}

func parseCommand(message []byte) (command, error) {
	var c command
	if err := json.Unmarshal(message, &c, json.RejectUnknownMembers(true)); err != nil || c.CloseInput == (c.Columns != 0 || c.Rows != 0) {
		return c, pyth.Invalid("message", "must be JSON such as %s or %s", `{"columns":120,"rows":30}`, `{"closeInput":true}`)
	}
	return c, nil
}
