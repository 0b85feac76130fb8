package runs

import (
	"bytes"

	pyth "github.com/pyth-on/pyth-on"
)

// event is one event of a run. Its data is in the outcome: the next Size bytes of
// stdout or stderr, the next result, or the next file.
type event struct {
	Kind string `json:"k"`
	Size int    `json:"n,omitempty"`
}

// Kinds of events.
const (
	eventStdout = "o"
	eventStderr = "e"
	eventResult = "r"
	eventFile   = "f"
)

// capture passes events to "next" and keeps the output, because the outcome of a run
// with events contains no output. If there is not enough memory, it keeps nothing.
type capture struct {
	next    pyth.Events
	memory  *budget
	enabled bool

	failed         bool
	size           int64
	stdout, stderr bytes.Buffer
	events         []event
}

func (c *capture) Started(id pyth.ExecutionID) error { return c.next.Started(id) }

func (c *capture) Output(name pyth.Stream, b []byte) error {
	kind, to := eventStdout, &c.stdout
	if name == pyth.Stderr {
		kind, to = eventStderr, &c.stderr
	}
	// Copy the bytes first, because next owns the slice.
	if c.note(event{kind, len(b)}, len(b)) {
		to.Write(b)
	}
	return c.next.Output(name, b)
}

func (c *capture) Result(r pyth.Result) error {
	c.note(event{Kind: eventResult}, 0)
	return c.next.Result(r)
}

func (c *capture) File(f pyth.File) error {
	c.note(event{Kind: eventFile}, 0)
	return c.next.File(f)
}

// eventBytes is the memory of one event.
const eventBytes = 32

// note keeps an event. It returns false if the event is not kept.
func (c *capture) note(e event, n int) bool {
	if !c.enabled || c.failed {
		return false
	}
	if !c.memory.take(int64(n) + eventBytes) {
		c.release()
		return false
	}
	c.size += int64(n) + eventBytes
	c.events = append(c.events, e)
	return true
}

// content returns the output and the events. The result ok is false if they are
// incomplete.
func (c *capture) content() (stdout, stderr []byte, events []event, ok bool) {
	return c.stdout.Bytes(), c.stderr.Bytes(), c.events, !c.failed
}

// release returns the memory. From then on, capture keeps nothing.
func (c *capture) release() {
	c.memory.release(c.size)
	c.failed, c.size, c.events = true, 0, nil
	c.stdout, c.stderr = bytes.Buffer{}, bytes.Buffer{}
}
