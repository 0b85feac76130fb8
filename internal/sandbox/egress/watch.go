package egress

import (
	"net"
	"sync"
	"time"
)

// watch ends a connection that takes too long: for what has to be done within
// a time, or without anything that passes.
type watch struct {
	idle  time.Duration
	timer *time.Timer

	mu    sync.Mutex
	fixed bool
}

func newWatch(idle time.Duration, end func()) *watch {
	return &watch{idle: idle, timer: time.AfterFunc(idle, end)}
}

// within begins something that has to be done in d, whatever passes.
func (w *watch) within(d time.Duration) { w.set(d, true) }

// relax ends it: from now on it is enough that something passes.
func (w *watch) relax() { w.set(w.idle, false) }

func (w *watch) set(d time.Duration, fixed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fixed = fixed
	w.timer.Reset(d)
}

// touch tells that something has passed.
func (w *watch) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fixed {
		w.timer.Reset(w.idle)
	}
}

func (w *watch) stop() { w.timer.Stop() }

// observed tells a watch what passes on a connection.
type observed struct {
	net.Conn
	watch *watch
}

func (o observed) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if n > 0 {
		o.watch.touch()
	}
	return n, err
}

func (o observed) Write(p []byte) (int, error) {
	n, err := o.Conn.Write(p)
	if n > 0 {
		o.watch.touch()
	}
	return n, err
}

// closeWrite tells the other side that no more comes. A connection that cannot
// do so is closed: the other side must learn it.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
