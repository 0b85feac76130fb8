package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// streams opens streams to the guest of a session's sandbox.
type streams struct {
	socket *os.File

	mu sync.Mutex
	// The field "served" is true if the guest serves streams. The guest does this only
	// in a session.
	served, closed bool
	// mux multiplexes streams over the socket. It is nil until the first stream.
	mux *yamux.Session
	// The field "open" is the number of open streams.
	open int
}

// serveStreams tells the guest that a session begins.
func (s *Sandbox) serveStreams(spec *pyth.SessionSpec) error {
	if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
		return err
	}
	m := &protocol.Serve{Processes: spec.Limits.Processes}
	if err := s.conn.SendMessage(protocol.KindServe, m); err != nil {
		return err
	}
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	s.streams.served = true
	return nil
}

// Stream opens a stream to the guest. It is safe for concurrent use, also while a
// program runs. The method Close of the stream ends blocked calls of Read and Write.
// Everything that the stream returns may come from a hostile guest.
func (s *Sandbox) Stream(ctx context.Context) (io.ReadWriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.streams.stream()
}

func (s *streams) stream() (io.ReadWriteCloser, error) {
	mux, err := s.take()
	if err != nil {
		return nil, err
	}
	// Do not hold the lock here, because a hostile guest may not read from the socket.
	x, err := mux.OpenStream()
	if err != nil {
		s.release()
		return nil, streamsGone(err)
	}
	return &stream{Stream: x, release: s.release}, nil
}

// take counts a new stream, and returns the multiplexer.
func (s *streams) take() (*yamux.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, !s.served:
		return nil, streamsGone(nil)
	case s.open >= protocol.MaxStreams:
		return nil, pyth.Errorf(pyth.CodeTooManyExecutions, "The session already has %d open streams to its sandbox. Close some of them, or try again later.", protocol.MaxStreams)
	case s.mux == nil:
		var err error
		if s.mux, err = yamux.Client(s.socket, protocol.StreamsConfig()); err != nil {
			return nil, err
		}
	}
	s.open++
	return s.mux, nil
}

func (s *streams) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// close ends all streams and closes the socket.
func (s *streams) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed = true; s.mux == nil {
		return s.socket.Close()
	}
	return s.mux.Close() // This also closes the socket.
}

func streamsGone(err error) error {
	return &pyth.Error{Code: pyth.CodeNotFound, Message: "The session has ended. Open a new session.", Err: err}
}

// stream is an open stream. It is safe for concurrent use.
type stream struct {
	*yamux.Stream
	release func()
	once    sync.Once
}

// Close closes both directions. It is different from the method Close of a yamux stream,
// which closes only the direction for writing.
func (s *stream) Close() error {
	err := errors.Join(s.SetDeadline(time.Unix(1, 0)), s.Stream.Close())
	s.once.Do(s.release)
	return err
}
