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
	// rules contains the hosts that the session's processes may connect to.
	rules pyth.Network
	// memoryBytes is the memory limit of the session.
	memoryBytes int64
	// serving counts the goroutines that serve the guest. The channel "done" is closed
	// when the streams end.
	serving sync.WaitGroup
	done    chan struct{}
}

// serveStreams tells the guest that a session begins.
func (s *Sandbox) serveStreams(spec *pyth.SessionSpec) error {
	if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
		return err
	}
	x := &s.streams
	m := &protocol.Serve{Processes: spec.Limits.Processes}
	if x.rules = (pyth.Network{Rules: spec.Network}); !x.rules.None() && s.launcher.config.Network != nil {
		m.Network = true
		// Set all variables, because a process may be of any runtime.
		m.Env = withProxy(nil, pyth.NodeRuntime, protocol.SessionProxyAddress)
	}
	if err := s.conn.SendMessage(protocol.KindServe, m); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.served, x.memoryBytes, x.done = true, spec.Limits.MemoryBytes, make(chan struct{})
	return nil
}

// Stream opens a stream to the guest. It is safe for concurrent use, also while a
// program runs. The method Close of the stream ends blocked calls of Read and Write.
// Everything that the stream returns may come from a hostile guest.
func (s *Sandbox) Stream(ctx context.Context) (io.ReadWriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mux, err := s.streams.take(s)
	if err != nil {
		return nil, err
	}
	return s.streams.stream(mux)
}

func (s *streams) stream(mux *yamux.Session) (io.ReadWriteCloser, error) {
	// Do not hold the lock here, because a hostile guest may not read from the socket.
	x, err := mux.OpenStream()
	if err != nil {
		s.release()
		return nil, streamsGone(err)
	}
	return &stream{Stream: x, release: s.release}, nil
}

// take counts a new stream, and returns the multiplexer.
func (s *streams) take(sandbox *Sandbox) (*yamux.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, !s.served:
		return nil, streamsGone(nil)
	case s.open >= protocol.MaxStreams, s.mux != nil && s.mux.NumStreams() >= protocol.MaxOpenStreams:
		return nil, pyth.Errorf(pyth.CodeTooManyExecutions, "The session already has %d open streams to its sandbox. Close some of them, or try again later.", protocol.MaxStreams)
	case s.mux == nil:
		var err error
		if s.mux, err = s.begin(sandbox); err != nil {
			return nil, err
		}
	}
	s.open++
	return s.mux, nil
}

// begin starts to multiplex streams. From now on, processes can run outside of runs, so
// begin also starts to serve their network and to watch their memory.
func (s *streams) begin(sandbox *Sandbox) (*yamux.Session, error) {
	var network Network
	if open := sandbox.launcher.config.Network; open != nil && !s.rules.None() {
		var err error
		if network, err = open(s.rules); err != nil {
			return nil, err
		}
	}
	mux, err := yamux.Client(protocol.JoinWrites(s.socket), protocol.StreamsConfig())
	if err != nil {
		if network != nil {
			network.Close()
		}
		return nil, err
	}
	s.serving.Go(func() { sandbox.watchMemory(s.memoryBytes, s.done) })
	if network != nil { // Without a network, the host accepts no streams from the guest.
		s.serving.Go(func() {
			s.accept(mux, network)
			network.Close()
		})
	}
	return mux, nil
}

// accept serves the connections of processes.
func (s *streams) accept(mux *yamux.Session, network Network) {
	for {
		x, err := acceptStream(mux)
		if err != nil {
			return
		}
		s.serving.Go(func() {
			defer func() { _ = x.Close() }()
			network.Serve(context.Background(), halfCloser{x})
		})
	}
}

// memoryInterval is the time between two checks of the memory of a session outside of
// runs.
const memoryInterval = 100 * time.Millisecond

// watchMemory destroys the sandbox if its programs use more memory than the limit. With
// a cgroup of version 1, the host's kernel kills only one process of the sandbox, and
// the rest is useless. Without a cgroup, watchMemory enforces the limit.
func (s *Sandbox) watchMemory(limit int64, done <-chan struct{}) {
	isOver := s.outOfMemory
	if s.group == nil {
		isOver = func() bool { return s.meter.memory() > limit }
	}
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	for !isOver() {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
	_ = s.cmd.Process.Kill()
}

func (s *streams) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// close ends all streams and closes the socket.
func (s *streams) close() error {
	s.mu.Lock()
	mux, closed := s.mux, s.closed
	s.closed = true
	s.mu.Unlock()
	if mux == nil || closed {
		return s.socket.Close()
	}
	close(s.done)
	err := mux.Close() // This also closes the socket.
	s.serving.Wait()
	return err
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
