package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// host is a fake pool of sandboxes. The code of a job says what the fake program does.
type host struct {
	name string

	mu       sync.Mutex
	started  []pyth.ExecutionID // The jobs that have a sandbox.
	released []pyth.ExecutionID // The jobs whose program has started.
	secrets  map[string]string
	password string
	sessions map[pyth.SessionID]map[string][]byte
	reserved map[pyth.ReservationID]bool
	canceled int
	streams  int // The open streams.
	refuse   error
	running  int
}

func newHost(name string) *host {
	return &host{name: name, secrets: map[string]string{}, sessions: map[pyth.SessionID]map[string][]byte{}, reserved: map[pyth.ReservationID]bool{}}
}

// The method "change" locks the host while it calls f.
func (h *host) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *host) Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	if string(job.Code) == "wait for a sandbox" {
		<-ctx.Done()
		h.change(func() { h.canceled++ })
		return &fakeRun{h, job, events, &pyth.Outcome{Status: pyth.StatusCanceled}}, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	if _, ok := h.sessions[job.Session]; job.Session != "" && !ok {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no session")
	}
	if e := job.Encrypted; e != nil {
		if e.Sandbox != "" && !h.reserved[e.Sandbox] {
			return nil, pyth.Errorf(pyth.CodeNotFound, "no reservation")
		}
		delete(h.reserved, e.Sandbox)
		h.password = string(e.Password)
	}
	h.started = append(h.started, job.ID)
	h.running++
	return &fakeRun{h, job, events, nil}, nil
}

type fakeRun struct {
	host    *host
	job     *pyth.Job
	events  pyth.Events
	outcome *pyth.Outcome
}

func (r *fakeRun) Abandon() { r.host.change(func() { r.host.running-- }) }

func (r *fakeRun) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	h := r.host
	h.mu.Lock()
	h.released = append(h.released, r.job.ID)
	for _, s := range secrets {
		h.secrets[s.Name] = string(s.Value)
	}
	h.mu.Unlock()
	defer h.change(func() { h.running-- })
	code := 0
	done := &pyth.Outcome{Status: pyth.StatusSucceeded, ExitCode: &code, Stdout: []byte(h.name), Usage: pyth.Usage{Wall: time.Second}}
	switch string(r.job.Code) {
	case "sleep":
		<-ctx.Done()
		h.change(func() { h.canceled++ })
		return &pyth.Outcome{Status: pyth.StatusCanceled, Stdout: []byte("partial")}, nil
	case "one second":
		time.Sleep(time.Second)
	case "fail to start":
		return nil, &pyth.Error{Code: pyth.CodeUnavailable, Message: "no sandbox"}
	case "print":
		done.Stdout = nil
		for range 100 {
			if err := r.events.Output(pyth.Stdout, bytes.Repeat([]byte("x"), 10_000)); err != nil {
				return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
			}
		}
		_ = r.events.Result(pyth.Result{"text/plain": "42"})
		_ = r.events.File(pyth.File{Path: "f", Content: []byte("content")})
	case "large":
		done.Stdout = bytes.Repeat([]byte("y"), 8<<20)
		done.Files = []pyth.File{{Path: "f", Content: bytes.Repeat([]byte("z"), 10<<20)}}
	}
	return done, nil
}

func (h *host) OpenSession(_ context.Context, spec *pyth.SessionSpec) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.sessions[spec.ID] = map[string][]byte{}
	return nil
}

func (h *host) CloseSession(id pyth.SessionID) { h.change(func() { delete(h.sessions, id) }) }

func (h *host) SessionFiles(_ context.Context, id pyth.SessionID) (all []pyth.FileInfo, err error) {
	h.change(func() {
		for _, name := range slices.Sorted(maps.Keys(h.sessions[id])) {
			all = append(all, pyth.FileInfo{Path: name, SizeBytes: int64(len(h.sessions[id][name])), ModifiedAt: time.UnixMilli(1)})
		}
	})
	return all, nil
}

func (h *host) WriteSessionFile(_ context.Context, id pyth.SessionID, path string, content io.Reader) (created bool, err error) {
	if path == "full" {
		return false, pyth.Errorf(pyth.CodeTooLarge, "the disk is full")
	}
	b, err := io.ReadAll(content)
	if err != nil {
		h.endAfter(id, err)
		return false, err
	}
	h.change(func() {
		_, exists := h.sessions[id][path]
		created = !exists
		h.sessions[id][path] = b
	})
	return created, nil
}

func (h *host) ReadSessionFile(ctx context.Context, id pyth.SessionID, path string, to func(int64, io.Reader) error) (err error) {
	var b []byte
	h.change(func() {
		var ok bool
		if b, ok = h.sessions[id][path]; !ok {
			err = pyth.Errorf(pyth.CodeNotFound, "no file")
		}
	})
	if err != nil {
		return err
	}
	var content io.Reader = bytes.NewReader(b)
	if path == "slow" {
		content = stuckReader{ctx}
	}
	err = to(int64(len(b)), content)
	h.endAfter(id, err)
	return err
}

// stuckReader is a reader that waits until the context has ended, like the reader of a
// slow sandbox.
type stuckReader struct{ ctx context.Context }

func (r stuckReader) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

// endAfter ends the session if err is an internal error. The real pool does the same.
func (h *host) endAfter(id pyth.SessionID, err error) {
	if pyth.ErrorCode(err) == pyth.CodeInternal {
		h.CloseSession(id)
	}
}

func (h *host) DeleteSessionFile(_ context.Context, id pyth.SessionID, path string) error {
	h.change(func() { delete(h.sessions[id], path) })
	return nil
}

func (h *host) Reserve(_ context.Context, _ pyth.UserID, _ pyth.Layers, id pyth.ReservationID) (*pyth.Reservation, error) {
	h.change(func() { h.reserved[id] = true })
	return &pyth.Reservation{ID: id, PublicKey: []byte("key of " + h.name), ExpiresAt: time.Now().Add(time.Minute)}, nil
}

// recorder is a pyth.Events that stores all events. If the field "fail" is true, each
// call returns an error. Each call takes as long as the field "pause" says.
type recorder struct {
	started int
	output  []byte
	results []pyth.Result
	files   []pyth.File
	fail    bool
	pause   time.Duration
}

func (r *recorder) err() error {
	time.Sleep(r.pause)
	if r.fail {
		return errors.New("the client is gone")
	}
	return nil
}

func (r *recorder) Started(pyth.ExecutionID) error { r.started++; return nil }

func (r *recorder) Output(_ pyth.Stream, b []byte) error {
	r.output = append(r.output, b...)
	return r.err()
}

func (r *recorder) Result(x pyth.Result) error { r.results = append(r.results, x); return r.err() }

func (r *recorder) File(f pyth.File) error { r.files = append(r.files, f); return r.err() }

// SessionStream opens a stream that sends back all bytes. After the byte 'q', the
// stream ends.
func (h *host) SessionStream(_ context.Context, id pyth.SessionID) (io.ReadWriteCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.sessions[id]; !ok {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no session")
	}
	ours, theirs := net.Pipe()
	h.streams++
	go func() {
		defer h.change(func() { h.streams-- })
		defer ours.Close()
		buffer := make([]byte, 1000)
		for {
			n, err := ours.Read(buffer)
			if err != nil {
				return
			}
			if _, err := ours.Write(buffer[:n]); err != nil || bytes.ContainsRune(buffer[:n], 'q') {
				return
			}
		}
	}()
	return theirs, nil
}
