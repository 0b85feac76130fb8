package runs

import (
	"bytes"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// event is one event of a run. The data of the event is in the outcome: the next bytes
// of stdout or stderr, the next result, or the next file. Size is the number of these
// bytes.
type event struct {
	Kind string `json:"k"`
	Size int    `json:"n,omitempty"`
}

// These constants are the kinds of events.
const (
	eventStdout = "o"
	eventStderr = "e"
	eventResult = "r"
	eventFile   = "f"
)

// capture passes the events of a run to the receiver "next" and keeps a copy. The
// outcome of a run with events contains no output. Therefore the copy is the only source
// for the record and for followers. If there is not enough memory, capture keeps no
// copy.
type capture struct {
	next    pyth.Events
	memory  *budget
	enabled bool

	mu sync.Mutex
	// The channel "changed" is closed when one of the following fields changes. Then a
	// new channel replaces it.
	changed chan struct{}
	failed  bool
	size    int64
	log     events
}

// events are the events of a run with their data.
type events struct {
	order          []event
	stdout, stderr bytes.Buffer
	results        []pyth.Result
	files          []pyth.File
}

func newCapture(next pyth.Events, memory *budget, enabled bool) *capture {
	return &capture{next: next, memory: memory, enabled: enabled, changed: make(chan struct{})}
}

func (c *capture) Started(id pyth.ExecutionID) error { return c.next.Started(id) }

func (c *capture) Output(name pyth.Stream, b []byte) error {
	// Keep a copy first, because the receiver "next" owns the slice after the call.
	c.keep(int64(len(b)), func(l *events) {
		kind, to := eventStdout, &l.stdout
		if name == pyth.Stderr {
			kind, to = eventStderr, &l.stderr
		}
		l.order = append(l.order, event{kind, len(b)})
		to.Write(b)
	})
	return c.next.Output(name, b)
}

func (c *capture) Result(r pyth.Result) error {
	c.keep(0, func(l *events) {
		l.order = append(l.order, event{Kind: eventResult})
		l.results = append(l.results, r)
	})
	return c.next.Result(r)
}

func (c *capture) File(f pyth.File) error {
	c.keep(0, func(l *events) {
		l.order = append(l.order, event{Kind: eventFile})
		l.files = append(l.files, f)
	})
	return c.next.File(f)
}

// eventBytes is the memory that one event uses, in bytes.
const eventBytes = 32

// The method "keep" stores one event of the given size. It calls the function "add" to
// store the event. If there is not enough memory, it does nothing. Results and files
// need no memory here, because the outcome contains them.
func (c *capture) keep(size int64, add func(*events)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.enabled || c.failed {
		return
	}
	if !c.memory.take(size + eventBytes) {
		c.releaseLocked()
		return
	}
	c.size += size + eventBytes
	add(&c.log)
	c.changedLocked()
}

func (c *capture) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// content returns the output, the order of the events, and the memory that the output
// and the order use. The result "ok" is false if capture could not keep all events.
func (c *capture) content() (stdout, stderr []byte, order []event, size int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.stdout.Bytes(), c.log.stderr.Bytes(), c.log.order, c.size, !c.failed
}

// release returns the memory to the budget. After this call, the capture keeps no more
// events.
func (c *capture) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked()
}

func (c *capture) releaseLocked() {
	c.memory.release(c.size)
	c.failed, c.size, c.log = true, 0, events{}
	c.changedLocked()
}
