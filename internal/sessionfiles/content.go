package sessionfiles

import (
	"context"
	"errors"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// OpenFile opens a regular file for reading.
func (s *Service) OpenFile(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string) (pyth.OpenFile, error) {
	if err := check("path", path); err != nil {
		return nil, err
	}
	c, err := s.call(ctx, user, session, protocol.KindRead, &protocol.FileRequest{Path: path})
	if err != nil {
		return nil, err
	}
	e, err := c.node()
	if err == nil && (e.Type != pyth.FileRegular || e.Path != path) {
		err = c.Explain(agentcall.ErrAgent)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &openFile{call: c, entry: *e}, nil
}

// openFile is an open file.
type openFile struct {
	call  *call
	entry pyth.FileEntry
}

func (f *openFile) Entry() pyth.FileEntry { return f.entry }

func (f *openFile) Close() error {
	f.call.Close()
	return nil
}

func (f *openFile) Section(offset, length int64) (io.Reader, error) {
	if offset < 0 || length < 0 || offset > f.entry.SizeBytes || length > f.entry.SizeBytes-offset {
		return nil, errors.New("sessionfiles: the section is outside the file")
	}
	if err := f.call.SendMessage(protocol.KindRange, &protocol.Range{Offset: offset, Length: length}); err != nil {
		return nil, f.call.Explain(err)
	}
	return &content{call: f.call, left: length}, nil
}

// content reads Data frames until Done. The field "left" is the number of bytes that must
// follow. If it is negative, any number of bytes may follow.
type content struct {
	call *call
	left int64
	rest []byte
	err  error
}

func (r *content) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.rest, r.err = r.next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *content) next() ([]byte, error) {
	kind, payload, err := r.call.receive()
	switch {
	case err != nil:
		return nil, err
	case kind == protocol.KindDone:
		d := new(protocol.Done)
		if protocol.Decode(payload, d) != nil {
			return nil, r.call.Explain(agentcall.ErrAgent)
		}
		if d.Failure == "ESTALE" {
			return nil, pyth.Errorf(pyth.CodeConflict, "A program made the file shorter during the transfer. Try again.")
		}
		if err := failure(d.Failure); err != nil {
			return nil, err
		}
		if r.left > 0 {
			return nil, r.call.Explain(agentcall.ErrAgent)
		}
		return nil, io.EOF
	case kind != protocol.KindData || r.left >= 0 && int64(len(payload)) > r.left:
		return nil, r.call.Explain(agentcall.ErrAgent)
	case r.left >= 0:
		r.left -= int64(len(payload))
	}
	return payload, nil
}

// CreateFile creates or replaces a file atomically.
func (s *Service) CreateFile(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, from io.Reader) (created bool, err error) {
	if err := check("path", path); err != nil {
		return false, err
	}
	c, err := s.call(ctx, user, session, protocol.KindWrite, &protocol.FileRequest{Path: path})
	if err != nil {
		return false, err
	}
	defer c.Close()
	payload, err := c.upload(from, protocol.KindDone)
	if err != nil {
		return false, err
	}
	d, err := c.result(payload)
	if err != nil {
		return false, err
	}
	return d.Created, nil
}

// upload sends the content, and returns the answer of the agent. The agent may answer
// before the end. If the reader fails, upload waits until the agent has discarded the
// content, and returns the error of the reader.
func (c *call) upload(from io.Reader, answer protocol.Kind) ([]byte, error) {
	type reply struct {
		kind    protocol.Kind
		payload []byte
		err     error
	}
	replies := make(chan reply, 1)
	go func() {
		// Do not set a time-out here, because the client determines how long the upload
		// takes.
		kind, payload, err := c.Receive()
		replies <- reply{kind, payload, err}
	}()
	c.NoLimit()
	readErr := c.sendContent(from, func() bool { return len(replies) > 0 })
	c.Limit(answerTimeout)
	r := <-replies
	c.NoLimit()
	switch {
	case readErr != nil && !c.Canceled():
		return nil, readErr
	case r.err != nil:
		return nil, c.Explain(r.err)
	case r.kind != answer:
		return nil, c.Explain(agentcall.ErrAgent)
	}
	return r.payload, nil
}

// sendContent sends the content until its end, or until the agent has answered. It
// returns the error of the reader.
func (c *call) sendContent(from io.Reader, answered func() bool) error {
	buffer := make([]byte, protocol.MaxData)
	for !answered() {
		n, err := io.ReadFull(from, buffer)
		if n > 0 && !c.sendPart(protocol.KindData, buffer[:n]) {
			return nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			c.sendPart(protocol.KindEnd, nil)
			return nil
		case err != nil:
			c.sendPart(protocol.KindAbort, nil)
			return err
		}
	}
	return nil
}

// sendPart sends a frame. It returns false if the agent has closed the stream or does not
// read. The answer of the agent then contains the reason.
func (c *call) sendPart(kind protocol.Kind, payload []byte) bool {
	c.Limit(answerTimeout)
	defer c.NoLimit()
	return c.Send(kind, payload) == nil
}
