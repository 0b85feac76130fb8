package e2b

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// pingInterval is the time between two events that keep the connection alive.
const pingInterval = 5 * time.Second

// events writes the events of a run as lines of JSON. It implements pyth.Events. A second
// goroutine writes events that keep the connection alive.
type events struct {
	out    *streamWriter
	count  *atomic.Int64
	cancel func(error)

	mu      sync.Mutex
	started bool
	// The field "characters" keeps incomplete characters of the output.
	characters pyth.Characters
	held       heldResults
}

func newEvents(w http.ResponseWriter, hasValue bool, count *atomic.Int64, cancel func(error)) *events {
	return &events{out: newStreamWriter(w, streamTimeout), count: count, cancel: cancel, held: heldResults{hasValue: hasValue}}
}

// begun reports whether the response has begun.
func (e *events) begun() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// Started writes the number of the run.
func (e *events) Started(pyth.ExecutionID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = true
	e.out.Header().Set("Content-Type", "application/json; charset=utf-8")
	return e.writeLocked(map[string]any{"type": "number_of_executions", "execution_count": e.count.Add(1)})
}

// Output writes output of the program. It keeps the bytes of an incomplete character
// until the next call.
func (e *events) Output(name pyth.Stream, b []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.textLocked(name, e.characters.Add(name, b))
}

func (e *events) textLocked(name pyth.Stream, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return e.writeLocked(map[string]any{
		"type": string(name), "text": strings.ToValidUTF8(string(b), "\ufffd"), "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
	})
}

// Result writes rich values. It holds back a value that may be the value of the final
// expression. Only later values or the end of the program show whether this is the case.
func (e *events) Result(r pyth.Result) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.held.add(r) {
		if err := e.writeLocked(line); err != nil {
			return err
		}
	}
	return nil
}

// File does nothing, because the programs of the protocol return no files.
func (*events) File(pyth.File) error { return nil }

// ended writes the last events of a run.
func (e *events) ended(x *pyth.Execution, timeout time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x.Status == pyth.StatusCanceled {
		return // The client has disconnected.
	}
	lines := e.held.end(x.Error == nil)
	if err := errorOf(x, timeout); err != nil {
		lines = append(lines, err)
	}
	if x.SessionEnded {
		lines = append(lines, map[string]any{"type": "unexpected_end_of_execution"})
	}
	e.finishLocked(lines)
}

// failed writes the last events of a run that the server could not complete.
func (e *events) failed(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finishLocked([]map[string]any{
		{"type": "error", "name": "ServerError", "value": text, "traceback": ""},
		{"type": "unexpected_end_of_execution"},
	})
}

func (e *events) finishLocked(lines []map[string]any) {
	for _, name := range []pyth.Stream{pyth.Stdout, pyth.Stderr} {
		// Ignore errors here and below, because the client may have disconnected.
		_ = e.textLocked(name, e.characters.Rest(name))
	}
	for _, line := range append(lines, map[string]any{"type": "end_of_execution"}) {
		_ = e.writeLocked(line)
	}
}

// keepAlive starts a goroutine that writes an event at each interval. The function "stop"
// ends the goroutine and waits for its end.
func (e *events) keepAlive() (stop func()) {
	return repeat(pingInterval, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.started {
			// Ignore the error, because the next event fails with the same error.
			_ = e.writeLocked(map[string]any{"type": "keepalive"})
		}
	})
}

func (e *events) writeLocked(line map[string]any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := e.out.Write(append(data, '\n')); err != nil {
		e.cancel(err)
		return err
	}
	e.out.Flush()
	return nil
}

// errorOf returns the event with the reason why a program did not succeed. It returns nil
// if the program succeeded.
func errorOf(x *pyth.Execution, timeout time.Duration) map[string]any {
	event := func(name, value, traceback string) map[string]any {
		return map[string]any{"type": "error", "name": name, "value": value, "traceback": traceback}
	}
	switch {
	case x.Error != nil:
		return event(x.Error.Name, x.Error.Message, x.Error.Traceback)
	case x.Status == pyth.StatusSucceeded:
		return nil
	case x.Status == pyth.StatusTimedOut:
		return event("TimeoutError", fmt.Sprintf("The run took longer than the maximum of %s on this server.", timeout), "")
	case x.Status == pyth.StatusOutOfMemory:
		return event("MemoryError", "The sandbox has used all of its memory.", "")
	case x.Status == pyth.StatusOutputLimit:
		return event("OutputLimitError", "The run has written more than the maximum of output.", "")
	case x.Signal != "":
		return event("ProcessEnded", "The interpreter was ended by "+x.Signal+".", "")
	case x.ExitCode != nil:
		return event("SystemExit", fmt.Sprint(*x.ExitCode), "")
	default:
		return event("ProcessEnded", "The interpreter ended.", "")
	}
}
