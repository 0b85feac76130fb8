package egress

import (
	"net"
	"sync"
	"time"
)

// The type "watch" ends a connection at a deadline, or after a time without traffic.
// While a deadline is set, traffic does not postpone the end.
type watch struct {
	idle  time.Duration
	timer *time.Timer

	mu sync.Mutex
	// hasDeadline is true between setDeadline and clearDeadline.
	hasDeadline bool
}

func newWatch(idle time.Duration, end func()) *watch {
	return &watch{idle: idle, timer: time.AfterFunc(idle, end)}
}

// setDeadline ends the connection after d, regardless of traffic.
func (w *watch) setDeadline(d time.Duration) { w.set(d, true) }

// clearDeadline removes the deadline and restarts the idle time-out.
func (w *watch) clearDeadline() { w.set(w.idle, false) }

func (w *watch) set(d time.Duration, hasDeadline bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hasDeadline = hasDeadline
	w.timer.Reset(d)
}

// touch restarts the idle time-out. It has no effect while a deadline is set.
func (w *watch) touch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.hasDeadline {
		w.timer.Reset(w.idle)
	}
}

func (w *watch) stop() { w.timer.Stop() }

// watchedConn calls the method touch of its watch after each read and write.
type watchedConn struct {
	net.Conn
	watch *watch
}

func (o watchedConn) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if n > 0 {
		o.watch.touch()
	}
	return n, err
}

func (o watchedConn) Write(p []byte) (int, error) {
	n, err := o.Conn.Write(p)
	if n > 0 {
		o.watch.touch()
	}
	return n, err
}

// closeWrite closes the connection for writing. If c has no method CloseWrite, closeWrite
// closes c completely, so that the peer sees the end of the data.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
