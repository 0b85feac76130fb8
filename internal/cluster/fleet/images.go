package fleet

import (
	"context"
	"errors"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// sendImages answers a worker that needs the manifest of a layer or the content of an
// image.
func (f *Fleet) sendImages(ctx context.Context, l *link.Link, m *wire.Message) error {
	err := f.sendImage(ctx, l, m)
	if err == nil || l.Err() != nil || ctx.Err() != nil {
		return err
	}
	f.config.Logger.Error("packages not sent to a worker", "error", err)
	return unavailable("The packages could not be sent to the worker. Try again in a few seconds.")
}

func (f *Fleet) sendImage(ctx context.Context, l *link.Link, m *wire.Message) error {
	if m.Kind == wire.KindNeedLayer {
		var need wire.NeedLayer
		if err := m.Into(&need); err != nil {
			return err
		}
		manifest, err := f.config.Images.Manifest(need.ID)
		if err != nil {
			return err
		}
		return sendMessage(ctx, l, wire.KindLayer, manifest)
	}
	var need wire.NeedImage
	if err := m.Into(&need); err != nil {
		return err
	}
	file, err := f.config.Images.OpenImage(need.Layer, need.Key)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := sendContent(ctx, l, file); err != nil {
		return err
	}
	return sendMessage(ctx, l, wire.KindEnd, nil)
}

func sendMessage(ctx context.Context, l *link.Link, kind wire.Kind, meta any, blobs ...[]byte) error {
	m, err := wire.Encode(kind, meta, blobs...)
	if err != nil {
		return err
	}
	return l.Send(ctx, m)
}

// sendContent sends the content of a reader. The result "broken" is true if err is an
// error of the reader.
func sendContent(ctx context.Context, l *link.Link, content io.Reader) (broken bool, err error) {
	for {
		buffer := make([]byte, wire.MaxContent)
		n, end := io.ReadFull(content, buffer)
		if n > 0 {
			if err := sendMessage(ctx, l, wire.KindContent, nil, buffer[:n]); err != nil {
				return false, err
			}
		}
		switch {
		case errors.Is(end, io.EOF), errors.Is(end, io.ErrUnexpectedEOF):
			return false, nil
		case end != nil:
			return true, end
		}
	}
}

// contentReader reads the content of a session's file from a worker.
type contentReader struct {
	ctx  context.Context
	link *link.Link
	rest []byte
	err  error
}

func (r *contentReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.receive()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *contentReader) receive() {
	b, err := r.link.Receive(r.ctx, wire.MaxSmallMessage)
	if err != nil {
		r.err = sessionError(r.ctx, err)
		return
	}
	m, err := wire.Decode(b)
	switch {
	case err != nil:
		r.err = err
	case m.Kind == wire.KindContent && len(m.Blobs) == 1:
		r.rest = m.Blobs[0]
	case m.Kind == wire.KindEnd:
		r.err = io.EOF
	case m.Kind == wire.KindFailed:
		r.err = wire.DecodeFailure(m)
	default:
		r.err = wire.ErrInvalid
	}
}

// sessionError converts the error of a link for the user of a session.
func sessionError(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(notStarted(err), errNotStarted) {
		return &pyth.Error{
			Code: pyth.CodeUnavailable, Message: "The machine of the session cannot be reached. Try again in a few seconds.",
			RetryAfter: 2 * retryAfter, Err: err,
		}
	}
	return err
}
