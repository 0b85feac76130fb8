package fleet

import (
	"context"
	"errors"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// closeTimeout is the time-out for closing a session on its worker.
const closeTimeout = 10 * time.Second

// OpenSession opens a session on one of the workers.
func (f *Fleet) OpenSession(ctx context.Context, spec *pyth.SessionSpec) error {
	runtime := spec.Runtime
	if runtime == "" {
		runtime = spec.Language.Runtime()
	}
	m, err := wire.Encode(wire.KindOpenSession, spec)
	if err != nil {
		return err
	}
	d := demand{tenant: spec.Tenant, runtime: runtime, memory: spec.Limits.MemoryBytes, lasting: true}
	_, worker, err := f.place(ctx, d, m)
	if err == nil {
		f.pin(string(spec.ID), worker, time.Time{}, "")
	}
	return err
}

// place sends the message m to one worker after another, until a worker answers with
// KindDone.
func (f *Fleet) place(ctx context.Context, d demand, m []byte) (*wire.Message, wire.ID, error) {
	refused := map[wire.ID]bool{}
	var refusal error
	for {
		worker, err := f.choose(d, refused)
		if err != nil {
			return nil, wire.ID{}, refusalOr(refusal, err)
		}
		answer, err := f.ask(ctx, worker.ID, m)
		switch {
		case err == nil:
			return answer, worker.ID, nil
		case ctx.Err() != nil:
			return nil, wire.ID{}, ctx.Err()
		case errors.Is(err, errNotStarted):
			refusal = unavailable("The worker was lost. Try again in a few seconds.")
		case movable(err):
			refusal = err
		default:
			return nil, wire.ID{}, err
		}
		refused[worker.ID] = true
		f.moved.Add(1)
	}
}

// ask sends the message m to the worker and waits for the answer KindDone.
func (f *Fleet) ask(ctx context.Context, worker wire.ID, m []byte) (*wire.Message, error) {
	l, err := f.node.Call(ctx, worker, m)
	if err != nil {
		return nil, notStarted(err)
	}
	defer l.Close()
	answer, err := f.awaitMessage(ctx, l, wire.KindDone)
	return answer, notStarted(err)
}

// CloseSession destroys the session. If the server cannot reach the worker of the
// session, the worker closes the session on its own after some time.
func (f *Fleet) CloseSession(id pyth.SessionID) {
	f.mu.Lock()
	p := f.pins[string(id)]
	f.mu.Unlock()
	if p == nil {
		return
	}
	f.unpin(string(id))
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	m, err := wire.Encode(wire.KindCloseSession, wire.SessionFile{Session: id})
	if err == nil {
		_, err = f.ask(ctx, p.worker, m)
	}
	if err != nil {
		f.config.Logger.WarnContext(ctx, "session not closed on its worker", "session_id", id, "error", err)
	}
}

// askSession sends a message about a session to the worker of this session, and waits
// for the answer KindDone.
func (f *Fleet) askSession(ctx context.Context, kind wire.Kind, id pyth.SessionID, path string) (*wire.Message, error) {
	l, err := f.callSession(ctx, kind, id, path)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	m, err := f.awaitMessage(ctx, l, wire.KindDone)
	if err != nil {
		return nil, sessionError(ctx, err)
	}
	return m, nil
}

func (f *Fleet) callSession(ctx context.Context, kind wire.Kind, id pyth.SessionID, path string) (*link.Link, error) {
	worker, err := f.pinned(ctx, string(id), sessionGone)
	if err != nil {
		return nil, err
	}
	m, err := wire.Encode(kind, wire.SessionFile{Session: id, Path: path})
	if err != nil {
		return nil, err
	}
	l, err := f.node.Call(ctx, worker, m)
	if err != nil {
		return nil, sessionError(ctx, err)
	}
	return l, nil
}

// SessionFiles returns the files of a session.
func (f *Fleet) SessionFiles(ctx context.Context, id pyth.SessionID) ([]pyth.FileInfo, error) {
	m, err := f.askSession(ctx, wire.KindFiles, id, "")
	if err != nil {
		return nil, err
	}
	var files []pyth.FileInfo
	return files, m.Into(&files)
}

// DeleteSessionFile deletes a file of a session.
func (f *Fleet) DeleteSessionFile(ctx context.Context, id pyth.SessionID, path string) error {
	_, err := f.askSession(ctx, wire.KindDelete, id, path)
	return err
}

// WriteSessionFile creates or replaces a file of a session.
func (f *Fleet) WriteSessionFile(ctx context.Context, id pyth.SessionID, path string, content io.Reader) (bool, error) {
	l, err := f.callSession(ctx, wire.KindWrite, id, path)
	if err != nil {
		return false, err
	}
	defer l.Close()
	type answer struct {
		m   *wire.Message
		err error
	}
	answered := make(chan answer, 1)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		// Wait for the answer during the transfer, because the worker can fail before it
		// has received all of the content.
		m, err := f.awaitMessage(ctx, l, wire.KindDone)
		answered <- answer{m, err}
		stop()
	}()
	broken, err := sendContent(sending, l, content)
	switch {
	case broken:
		if err2 := sendMessage(sending, l, wire.KindBroken, nil); err2 != nil {
			return false, err
		}
	case err == nil:
		// Ignore the error here, because the worker's answer contains the cause.
		_ = sendMessage(sending, l, wire.KindEnd, nil)
	}
	a := <-answered
	if broken {
		return false, err
	}
	if a.err != nil {
		return false, sessionError(ctx, a.err)
	}
	var w wire.Written
	return w.Created, a.m.Into(&w)
}

// ReadSessionFile passes the size and the content of a file to the function "consume".
func (f *Fleet) ReadSessionFile(ctx context.Context, id pyth.SessionID, path string, consume func(size int64, content io.Reader) error) error {
	l, err := f.callSession(ctx, wire.KindRead, id, path)
	if err != nil {
		return err
	}
	defer l.Close()
	m, err := f.awaitMessage(ctx, l, wire.KindSize)
	if err != nil {
		return sessionError(ctx, err)
	}
	var size wire.Size
	if err := m.Into(&size); err != nil || size.Bytes < 0 {
		return errors.Join(wire.ErrInvalid, err)
	}
	return consume(size.Bytes, io.LimitReader(&wire.ContentReader{Source: contentSource{ctx, l}}, size.Bytes))
}

// Reserve reserves a sandbox on one of the workers.
func (f *Fleet) Reserve(ctx context.Context, user pyth.UserID, layers pyth.Layers, id pyth.ReservationID) (*pyth.Reservation, error) {
	m, err := wire.Encode(wire.KindReserve, wire.Reserve{User: user, Layers: layers, ID: id})
	if err != nil {
		return nil, err
	}
	answer, worker, err := f.place(ctx, demand{tenant: user, runtime: pyth.PythonRuntime, lasting: true}, m)
	if err != nil {
		return nil, err
	}
	var r wire.Reserved
	if err := answer.Into(&r); err != nil {
		return nil, err
	}
	expires := time.Now().Add(time.Duration(r.LifetimeMs) * time.Millisecond)
	f.pin(string(id), worker, expires, user)
	return &pyth.Reservation{ID: id, PublicKey: r.PublicKey, ExpiresAt: expires}, nil
}
