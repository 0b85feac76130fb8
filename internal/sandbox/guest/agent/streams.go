package agent

import (
	"os"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// requestTimeout limits the time between the start of a stream and its request.
const requestTimeout = 30 * time.Second

// streams serves the streams that the host opens in a session. Each stream is one
// operation. Goroutines serve the streams, so that operations and programs run at the
// same time. No goroutine runs outside a session.
type streams struct {
	// fd is the descriptor of the socket from the host.
	fd int
	// mux is nil until a session begins.
	mux *yamux.Session
}

// newStreams returns the streams of the socket fd.
func newStreams(fd int) *streams {
	// Mark the socket as close-on-exec, because programs must not inherit it.
	unix.CloseOnExec(fd)
	return &streams{fd: fd}
}

// serve begins to serve streams. It does not wait for a stream. The payload is a
// protocol.Serve.
func (s *streams) serve(payload []byte) error {
	var session protocol.Serve
	if err := protocol.Decode(payload, &session); err != nil || s.mux != nil {
		return err
	}
	// Go's poller accepts only non-blocking descriptors.
	if err := unix.SetNonblock(s.fd, true); err != nil {
		return err
	}
	var err error
	if s.mux, err = yamux.Server(os.NewFile(uintptr(s.fd), "streams"), protocol.StreamsConfig()); err != nil {
		return err
	}
	go s.accept(s.mux)
	return nil
}

func (s *streams) accept(mux *yamux.Session) {
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = stream.Close() }()
			s.handle(stream)
		}()
	}
}

// handle serves one operation.
func (s *streams) handle(stream *yamux.Stream) {
	if stream.SetReadDeadline(time.Now().Add(requestTimeout)) != nil {
		return
	}
	conn := protocol.NewStream(stream)
	if _, _, err := conn.Receive(); err != nil {
		return
	}
	_ = conn.SendMessage(protocol.KindDone, &protocol.Done{Failure: "ENOSYS"})
}
