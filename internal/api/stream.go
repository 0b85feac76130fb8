package api

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// keepAlive is the interval between two comments in a stream. A proxy would close a
// connection that transfers no data for a long time. The comments prevent this.
const keepAlive = 15 * time.Second

// eventTimeout is the maximum time for sending one event. If a client does not read the
// stream, the server cancels the run after this time. The sandbox of the run then becomes
// free.
const eventTimeout = 20 * time.Second

// stream runs a program and sends the events of the run. If stream returns an error, it
// has sent no event. The caller can then send an error response.
func (h *Handler) stream(ctx context.Context, run func(pyth.Events) (*pyth.Execution, error)) error {
	return h.streamTo(ctx, func(s *stream) (any, error) {
		s.numbered = true
		e, err := run(s)
		if err != nil {
			return nil, err
		}
		return executeResponse(e), nil
	})
}

// streamTo calls the function "run", which sends events. Then it sends the result of
// "run" as the last event. If "run" fails after the first event, the error is the last
// event. If "run" fails before the first event, streamTo returns the error.
func (h *Handler) streamTo(ctx context.Context, run func(*stream) (any, error)) error {
	w := requestOf(ctx).w
	s := &stream{w: w, control: http.NewResponseController(w), timeout: min(h.cfg.ResponseTimeout, eventTimeout)}
	stop := everyKeepAlive(func() {
		// Ignore the error, because the next event will fail with the same error.
		_ = s.write([]byte(keepAliveComment))
	})
	last, err := run(s)
	stop()
	if err == nil && s.failed == nil && !s.suppressed {
		// Ignore errors, because the client may have disconnected.
		_ = s.end(last)
	}
	if err == nil {
		err = s.failed
	}
	switch {
	case err == nil && !s.begun:
		// The client has received all events. The status 204 tells an EventSource not to
		// connect again.
		w.WriteHeader(http.StatusNoContent)
	case err == nil:
	case !s.begun:
		return err
	default:
		_ = s.send("error", newProblem(requestOf(ctx), err))
	}
	return nil
}

// inJSON returns a function that writes the response as JSON with the given status. If
// the response cannot be encoded, the function responds with an internal error.
func (h *Handler) inJSON(status int, answer any) func(huma.Context) {
	return func(ctx huma.Context) {
		req := requestOf(ctx.Context())
		w := req.w
		data, err := encode(answer)
		if err != nil {
			h.writeError(w, req.r, err)
			return
		}
		w.Header().Set("Content-Type", applicationJSON)
		w.WriteHeader(status)
		// Ignore errors, because the client may have disconnected.
		_, _ = w.Write(data)
	}
}

// The type "stream" sends the progress of a run as server-sent events. It implements
// pyth.Events. A second goroutine sends comments at the same time as the events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	// If "numbered" is true, each event has a number as its ID, starting with 1. The
	// stream omits all events up to the number "skip", because the client has already
	// received them.
	numbered   bool
	skip, last int
	// endID is the id of the last event. If it is 0, the last event has the next number.
	endID int
	// If the field "id" is not 0, it is the ID of the next events.
	id int64
	// The field "suppressed" is true if the client has already received the last event.
	suppressed bool

	// The field "failed" holds the error if an event could not be encoded. The run
	// continues, and the last event reports this error.
	failed error

	mu    sync.Mutex
	begun bool
	// The field "characters" keeps incomplete characters of the output.
	characters pyth.Characters
}

func (s *stream) Started(id pyth.ExecutionID) error {
	return s.send("start", StartEvent{ID: string(id)})
}

// Output sends output of the program. If the output ends with an incomplete character,
// Output stores the bytes of this character. The next call sends these bytes.
func (s *stream) Output(name pyth.Stream, b []byte) error {
	return s.text(name, s.characters.Add(name, b))
}

func (s *stream) Result(r pyth.Result) error { return s.send("result", resultValue(r)) }

func (s *stream) File(f pyth.File) error { return s.send("file", outputFile(f)) }

// The method "end" sends the remaining output and the last event.
func (s *stream) end(last any) error {
	if err := s.flush(); err != nil {
		return err
	}
	if s.endID != 0 {
		s.last = s.endID - 1
	}
	return s.send("end", last)
}

// flush sends the bytes of incomplete characters.
func (s *stream) flush() error {
	for _, name := range []pyth.Stream{pyth.Stdout, pyth.Stderr} {
		// The JSON encoder replaces the incomplete character with U+FFFD.
		if err := s.text(name, s.characters.Rest(name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) text(name pyth.Stream, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return s.send(string(name), OutputEvent{Text: string(b)})
}

// send writes one event. JSON without line breaks needs only one "data:" line. An error
// means that the client has disconnected or does not read the stream. The caller must
// then stop the run.
func (s *stream) send(event string, data any) error {
	var message []byte
	if s.numbered {
		if s.last++; s.last <= s.skip {
			return nil
		}
		message = formatID(int64(s.last))
	} else if s.id != 0 {
		message = formatID(s.id)
	}
	message = append(message, "event: "+event+"\ndata: "...)
	encoded, err := encode(data)
	if err != nil {
		s.failed = err
		return nil
	}
	return s.write(append(append(message, encoded...), "\n\n"...))
}

// formatID returns the line with the ID of an event.
func formatID(id int64) []byte { return append(strconv.AppendInt([]byte("id: "), id, 10), '\n') }

func (s *stream) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = true
		header := s.w.Header()
		header.Set("Content-Type", eventStream)
		// Disable buffering in proxies such as nginx, because buffering would delay
		// events.
		header.Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
	}
	// Set a deadline, because a client that does not read must not block the sandbox.
	// Ignore the error, because the writer in a test may not support deadlines.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// keepAliveComment is a comment in a stream of events.
const keepAliveComment = ": keep-alive\n\n"

// everyKeepAlive starts a goroutine that calls "send" at each interval keepAlive. The
// result "stop" is a function that ends the goroutine and waits until it has ended.
func everyKeepAlive(send func()) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(keepAlive)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				send()
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// runEvents documents the events of a run. exampleRunEvents shows two of these events.
const (
	runEvents = "start (StartEvent), stdout and stderr (OutputEvent), result (ResultEvent) and file (FileEvent). Each event has an id. " +
		"The last event is end (EndEvent) or error (Error). In the event end, stdout and stderr are empty."
	exampleRunEvents = "id: 1\nevent: start\ndata: {\"id\":\"exe_01k7\"}\n\nid: 2\nevent: stdout\ndata: {\"text\":\"42\\n\"}\n\n"
)

// runForms describes the response of all operations that run a program. The description
// is a part of the OpenAPI document.
func (h *Handler) runForms() map[string]*huma.Response {
	return h.bothForms("The result of the run", reflect.TypeFor[ExecuteResponse](), runEvents, exampleRunEvents)
}

// eventForm documents a response that is always the stream of events of a run.
func (h *Handler) eventForm() map[string]*huma.Response {
	schema := h.eventSchema(runEvents)
	data := make([]*huma.Schema, 0, len(runEventTypes()))
	for _, t := range runEventTypes() {
		data = append(data, h.api.OpenAPI().Components.Schemas.Schema(t, true, ""))
	}
	// JSON Schema uses these keywords to describe the content of a string. huma does not
	// know these keywords.
	schema.Extensions = map[string]any{"contentMediaType": eventStream, contentSchema: &huma.Schema{OneOf: data}}
	return map[string]*huma.Response{"200": {Description: "The events of the run", Content: map[string]*huma.MediaType{
		eventStream: {Schema: schema, Example: exampleRunEvents},
	}}}
}

// bothForms documents a response that is either JSON or a stream of events.
func (h *Handler) bothForms(description string, body reflect.Type, events, exampleEvents string) map[string]*huma.Response {
	r := h.jsonForm(description, body)
	r.Content[eventStream] = &huma.MediaType{
		Schema:  h.eventSchema(events),
		Example: exampleEvents,
	}
	return map[string]*huma.Response{"200": r}
}

// contentSchema is the JSON Schema keyword that contains the schema of the data of
// events.
const contentSchema = "contentSchema"

func (h *Handler) eventSchema(events string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "Server-sent events with JSON as data: " + events}
}

func (h *Handler) jsonForm(description string, body reflect.Type) *huma.Response {
	schema := h.api.OpenAPI().Components.Schemas.Schema(body, true, "")
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{applicationJSON: {Schema: schema}}}
}
