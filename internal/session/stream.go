package session

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Stream opens a stream to the agent in the sandbox of the session. It does not wait for
// a turn, so a client can use streams while a program runs.
func (s *Service) Stream(ctx context.Context, user pyth.UserID, id pyth.SessionID) (io.ReadWriteCloser, error) {
	s.mu.Lock()
	x, err := s.findLocked(user, id)
	if err == nil && s.streams[user] >= maxStreams {
		err = pyth.Errorf(pyth.CodeTooManyExecutions, "You already have %d open streams to your sessions. Close some of them, or try again later.", maxStreams)
	}
	if err == nil {
		s.streams[user]++
		s.touchLocked(x)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	inner, err := s.openStream(ctx, x)
	if err != nil {
		s.leaveStream(user)
		return nil, err
	}
	return &stream{ReadWriteCloser: inner, service: s, session: x}, nil
}

// maxStreams is the maximum number of open streams to all sessions of one user. Each
// stream needs memory on the server, and a call to a worker.
const maxStreams = 256

func (s *Service) leaveStream(user pyth.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[user]--; s.streams[user] == 0 {
		delete(s.streams, user)
	}
}

// openStream opens a stream. If the sandbox has ended, the session ends. A sandbox can
// end between runs, for example because its processes used too much memory.
func (s *Service) openStream(ctx context.Context, x *session) (io.ReadWriteCloser, error) {
	inner, err := s.config.Host.SessionStream(ctx, x.spec.ID)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		s.expire(x, func() bool { return true })
	}
	return inner, err
}

// useInterval is the minimum time between two restarts of the idle time-out by the bytes
// of one stream. It is shorter than the shortest idle time-out.
const useInterval = minIdle / 4

// stream is an open stream. The session counts as used when bytes pass through it.
type stream struct {
	io.ReadWriteCloser
	service *Service
	session *session
	// The field "used" is the time of the last restart of the idle time-out, as
	// nanoseconds since the creation of the session.
	used   atomic.Int64
	closed atomic.Bool
}

// Read reads from the agent. If Read fails, it checks whether the sandbox has ended. If
// the sandbox has ended, Read ends the session. Without this check, the session would
// remain until its next use.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.use(n)
	if err != nil && !s.closed.Load() {
		s.check()
	}
	return n, err
}

// checkTimeout limits the check whether a sandbox has ended.
const checkTimeout = 5 * time.Second

func (s *stream) check() {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	if probe, err := s.service.openStream(ctx, s.session); err == nil {
		_ = probe.Close()
	}
}

// Close closes the stream, and ends blocked calls of Read and Write.
func (s *stream) Close() error {
	if !s.closed.Swap(true) {
		s.service.leaveStream(s.session.spec.Tenant)
	}
	return s.ReadWriteCloser.Close()
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Write(p)
	s.use(n)
	return n, err
}

func (s *stream) use(bytes int) {
	now := int64(s.service.config.Clock().Sub(s.session.created))
	last := s.used.Load()
	if bytes == 0 || now-last < int64(useInterval) && last > 0 || !s.used.CompareAndSwap(last, now) {
		return
	}
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	if !s.session.ended {
		s.service.touchLocked(s.session)
	}
}

var _ pyth.SessionStreams = (*Service)(nil)
