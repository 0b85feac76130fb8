package session_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/session"
)

// These are the durations of the fake host's operations.
const (
	openTime  = 100 * time.Millisecond
	closeTime = 10 * time.Millisecond
	fileTime  = time.Second
)

// host is a fake SessionHost. It runs no programs.
type host struct {
	mu sync.Mutex
	// specs holds the settings of all open sessions. The field "closed" holds the IDs of
	// the closed sessions.
	specs  map[pyth.SessionID]*pyth.SessionSpec
	closed []pyth.SessionID
	// files maps paths to contents. All sessions share these files.
	files map[string]string
	// streams contains the host's ends of all streams. openFails is the error that
	// OpenSession and SessionStream return.
	streams   []net.Conn
	openFails error
}

var _ pyth.SessionHost = (*host)(nil)

func (h *host) Start(context.Context, *pyth.Job, pyth.Events) (pyth.Run, error) {
	panic("jobs are dispatched by others")
}

func (h *host) OpenSession(ctx context.Context, spec *pyth.SessionSpec) error {
	time.Sleep(openTime)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.openFails == nil {
		h.specs[spec.ID] = spec
	}
	return h.openFails
}

func (h *host) CloseSession(id pyth.SessionID) {
	time.Sleep(closeTime)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.specs, id)
	h.closed = append(h.closed, id)
}

func (h *host) SessionFiles(ctx context.Context, _ pyth.SessionID) ([]pyth.FileInfo, error) {
	var files []pyth.FileInfo
	return files, h.file(ctx, func() error {
		for path, content := range h.files {
			files = append(files, pyth.FileInfo{Path: path, SizeBytes: int64(len(content))})
		}
		return nil
	})
}

func (h *host) WriteSessionFile(ctx context.Context, _ pyth.SessionID, path string, content io.Reader) (created bool, err error) {
	return created, h.file(ctx, func() error {
		b, err := io.ReadAll(content)
		if err != nil {
			return pyth.Errorf(pyth.CodeUnavailable, "Something failed.")
		}
		_, had := h.files[path]
		created, h.files[path] = !had, string(b)
		return nil
	})
}

func (h *host) ReadSessionFile(ctx context.Context, _ pyth.SessionID, path string, to func(int64, io.Reader) error) error {
	return h.file(ctx, func() error {
		content, ok := h.files[path]
		if !ok {
			return pyth.Errorf(pyth.CodeNotFound, "There is no such file.")
		}
		return to(int64(len(content)), &reader{content})
	})
}

func (h *host) DeleteSessionFile(ctx context.Context, _ pyth.SessionID, path string) error {
	return h.file(ctx, func() error {
		delete(h.files, path)
		return nil
	})
}

// file waits for fileTime and then calls the given function. If ctx ends earlier, it
// returns an error.
func (h *host) file(ctx context.Context, do func() error) error {
	select {
	case <-time.After(fileTime):
	case <-ctx.Done():
		return pyth.Errorf(pyth.CodeUnavailable, "It was stopped.")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return do()
}

// reader returns the text in its only field. It implements no interface except
// io.Reader.
type reader struct{ left string }

func (r *reader) Read(p []byte) (int, error) {
	if r.left == "" {
		return 0, io.EOF
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// scene is a subtest with a session service and a fake host.
type scene struct {
	*testing.T
	*session.Service
	host *host
}

// runScene runs a subtest in a bubble of package synctest. The bubble fails if a
// goroutine remains after the subtest.
func runScene(t *testing.T, name string, change func(*session.Config), test func(s *scene)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := &host{specs: map[pyth.SessionID]*pyth.SessionSpec{}, files: map[string]string{}}
			config := session.Config{
				Host:      h,
				Limits:    execution.DefaultLimits(),
				Languages: []pyth.LanguageInfo{{Name: pyth.Python, Version: "3.14"}},
			}
			if change != nil {
				change(&config)
			}
			s := &scene{T: t, Service: session.New(config), host: h}
			test(s)
			s.Close()
			if len(h.specs) > 0 {
				s.Errorf("%d sessions remain", len(h.specs))
			}
			slices.Sort(h.closed)
			if ids := slices.Compact(slices.Clone(h.closed)); len(ids) != len(h.closed) {
				s.Error("a session was closed twice")
			}
		})
	})
}

// The method "open" opens a session for the user ada.
func (s *scene) open() *pyth.Session {
	s.Helper()
	x, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{})
	if err != nil {
		s.Fatal(err)
	}
	return x
}

// run describes a run that was started with scene.begin.
type run struct {
	cancel context.CancelFunc
	// begun and ended are the times when the turn of the run began and ended. Both times
	// are measured from the call of scene.begin.
	begun, ended time.Duration
	// err is the error if the session refused the run. cause is the reason for which the
	// context of the run was canceled.
	err, cause error
	done       chan struct{}
}

// begin starts a run in the session. The run takes the given time and then returns the
// outcome o.
func (s *scene) begin(x *pyth.Session, takes time.Duration, o *pyth.Outcome) *run {
	ctx, cancel := context.WithCancel(s.Context())
	r := &run{cancel: cancel, done: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(r.done)
		defer cancel()
		turn, _, release, err := s.Turn(ctx, "ada", x.ID)
		r.begun = time.Since(start)
		if err != nil {
			r.err = err
			return
		}
		select {
		case <-time.After(takes):
		case <-turn.Done():
			r.cause = context.Cause(turn)
		}
		r.ended = time.Since(start)
		release(o, nil)
		release(o, nil) // A second call must have no effect.
	}()
	synctest.Wait()
	return r
}

func ok() *pyth.Outcome { return &pyth.Outcome{Status: pyth.StatusSucceeded} }

// expect waits for the end of the run, and checks when the run began and ended.
func (s *scene) expect(r *run, begun, ended time.Duration) {
	s.Helper()
	<-r.done
	if r.err != nil || r.cause != nil || r.begun != begun || r.ended != ended {
		s.Errorf("the run lasted from %v to %v, want %v to %v: %v, %v", r.begun, r.ended, begun, ended, r.err, r.cause)
	}
}

// expectRefused waits until the session refuses the run. It checks the error code
// and the time.
func (s *scene) expectRefused(r *run, code pyth.Code, at time.Duration) {
	s.Helper()
	<-r.done
	if pyth.ErrorCode(r.err) != code || r.begun != at {
		s.Errorf("the run was refused after %v with %v, want %s after %v", r.begun, r.err, code, at)
	}
}

// expectStopped waits until the run stops because its session has ended. It checks when
// the run ended.
func (s *scene) expectStopped(r *run, at time.Duration) {
	s.Helper()
	<-r.done
	if r.err != nil || pyth.ErrorCode(r.cause) != pyth.CodeNotFound || r.ended != at {
		s.Errorf("the run ended after %v with %v, cause %v; want the end of the session after %v", r.ended, r.err, r.cause, at)
	}
}

// expectGone checks that neither the service nor the host has the session.
func (s *scene) expectGone(x *pyth.Session) {
	s.Helper()
	time.Sleep(closeTime)
	synctest.Wait()
	if _, err := s.Session(s.Context(), "ada", x.ID); pyth.ErrorCode(err) != pyth.CodeNotFound {
		s.Errorf("the session exists: %v", err)
	}
	if s.host.specs[x.ID] != nil {
		s.Error("the host still has the session")
	}
}

// expectThere checks the state of a session. It does not use the session, so the idle
// time-out continues.
func (s *scene) expectThere(x *pyth.Session, executions int, running bool) *pyth.Session {
	s.Helper()
	synctest.Wait()
	all, err := s.Sessions(s.Context(), "ada")
	if err != nil {
		s.Fatal(err)
	}
	i := slices.IndexFunc(all, func(other *pyth.Session) bool { return other.ID == x.ID })
	if i < 0 {
		s.Fatal("the session does not exist")
	}
	got := all[i]
	if got.Executions != executions || got.Running != running {
		s.Errorf("the session had %d runs, running %v; want %d, %v", got.Executions, got.Running, executions, running)
	}
	return got
}

// SessionStream opens a stream that sends back all bytes.
func (h *host) SessionStream(context.Context, pyth.SessionID) (io.ReadWriteCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.openFails != nil {
		return nil, h.openFails
	}
	ours, theirs := net.Pipe()
	h.streams = append(h.streams, ours)
	go func() { _, _ = io.Copy(ours, ours) }()
	return theirs, nil
}

// endStreams ends all streams, as if their sandboxes had ended.
func (h *host) endStreams() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.streams {
		_ = s.Close()
	}
}
