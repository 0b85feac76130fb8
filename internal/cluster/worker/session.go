package worker

import (
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// The function "broken" returns the error for a call in which the server could not read
// the whole file.
func broken() error {
	return pyth.Errorf(pyth.CodeInvalid, "The content of the file is incomplete. Send the file again.")
}

// The function "interrupted" returns the error for a call that ended during the
// transfer of a file. The error has a code, because the Host ends a session after an
// error without a code.
func interrupted(err error) error {
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The transfer of the file was interrupted. Try again.", Err: err}
}

func gone() error {
	return pyth.Errorf(pyth.CodeNotFound, "The session has ended. Open a new session.")
}

// openSession opens a session.
func (c *call) openSession(m *wire.Message) error {
	spec := new(pyth.SessionSpec)
	if err := m.Into(spec); err != nil {
		return err
	}
	if spec.ID == "" || !spec.Language.Known() || spec.Limits.MemoryBytes <= 0 {
		return wire.ErrInvalid
	}
	if err := c.worker.enter(); err != nil {
		return err
	}
	defer c.worker.leave()
	if err := c.fetchLayers(spec.Layers); err != nil {
		return err
	}
	go c.watch(make(chan *wire.Release, 1))
	if err := c.worker.config.Host.OpenSession(c.ctx, spec); err != nil {
		return err
	}
	w := c.worker
	w.mu.Lock()
	w.sessions[spec.ID] = &session{server: c.link.Peer(), turn: make(chan struct{}, 1)}
	w.mu.Unlock()
	if err := c.send(wire.KindDone, nil); err != nil || !c.link.Delivered() {
		// Close the session, because the answer did not reach the server, and nobody
		// will use the session.
		w.closeSession(spec.ID)
	}
	return nil
}

// takeTurn waits until no other call uses the session. The caller must call the
// function "leave" after it has used the session.
func (c *call) takeTurn(id pyth.SessionID) (leave func(), err error) {
	w := c.worker
	w.mu.Lock()
	s := w.sessions[id]
	w.mu.Unlock()
	if s == nil {
		return nil, gone()
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
}

// useSession closes a session, or performs an operation on the files of a session.
func (c *call) useSession(m *wire.Message) error {
	var f wire.SessionFile
	if err := m.Into(&f); err != nil {
		return err
	}
	if m.Kind == wire.KindCloseSession {
		c.worker.closeSession(f.Session)
		return c.send(wire.KindDone, nil)
	}
	if m.Kind != wire.KindWrite {
		go c.watch(make(chan *wire.Release, 1))
	}
	leave, err := c.takeTurn(f.Session)
	if err != nil {
		return err
	}
	defer leave()
	host := c.worker.config.Host
	switch m.Kind {
	case wire.KindFiles:
		files, err := host.SessionFiles(c.ctx, f.Session)
		if err != nil {
			return err
		}
		return c.send(wire.KindDone, files)
	case wire.KindDelete:
		if err := host.DeleteSessionFile(c.ctx, f.Session, f.Path); err != nil {
			return err
		}
		return c.send(wire.KindDone, nil)
	case wire.KindRead:
		return host.ReadSessionFile(c.ctx, f.Session, f.Path, c.sendContent)
	default:
		created, err := host.WriteSessionFile(c.ctx, f.Session, f.Path, &wire.ContentReader{Source: c})
		if err != nil {
			return err
		}
		return c.send(wire.KindDone, wire.Written{Created: created})
	}
}

// sendContent sends the size and the content of a file to the server.
func (c *call) sendContent(size int64, content io.Reader) error {
	if err := c.send(wire.KindSize, wire.Size{Bytes: size}); err != nil {
		return interrupted(err)
	}
	for chunk, err := range wire.Chunks(content) {
		if err != nil && c.ctx.Err() != nil {
			return interrupted(err)
		}
		if err != nil {
			return err
		}
		if err := c.send(wire.KindContent, nil, chunk); err != nil {
			return interrupted(err)
		}
	}
	if err := c.send(wire.KindEnd, nil); err != nil {
		return interrupted(err)
	}
	return nil
}

// NextContent receives the next part of a file's content from the server.
func (c *call) NextContent() ([]byte, error) {
	m, err := c.receive()
	switch {
	case err != nil:
		return nil, interrupted(err)
	case m.Kind == wire.KindContent && len(m.Blobs) == 1:
		return m.Blobs[0], nil
	case m.Kind == wire.KindEnd:
		return nil, io.EOF
	default:
		return nil, broken()
	}
}

// reserve reserves a sandbox for a user.
func (c *call) reserve(m *wire.Message) error {
	var r wire.Reserve
	if err := m.Into(&r); err != nil {
		return err
	}
	if r.ID == "" || r.User == "" {
		return wire.ErrInvalid
	}
	if err := c.worker.enter(); err != nil {
		return err
	}
	defer c.worker.leave()
	if err := c.fetchLayers(r.Layers); err != nil {
		return err
	}
	go c.watch(make(chan *wire.Release, 1))
	reservation, err := c.worker.config.Host.Reserve(c.ctx, r.User, r.Layers, r.ID)
	if err != nil {
		return err
	}
	lifetime := time.Until(reservation.ExpiresAt)
	c.worker.remember(r.ID, lifetime)
	return c.send(wire.KindDone, wire.Reserved{PublicKey: reservation.PublicKey, LifetimeMs: lifetime.Milliseconds()})
}

// remember records that this worker has the reservation.
func (w *Worker) remember(id pyth.ReservationID, lifetime time.Duration) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for old, expires := range w.reservations {
		if now.After(expires) {
			delete(w.reservations, old)
		}
	}
	w.reservations[id] = now.Add(lifetime)
}
