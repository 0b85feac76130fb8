package fleet

import (
	"context"
	"errors"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// sendImages responds to a worker that needs packages. The worker asks for the manifest
// of a layer (a set of packages), or for the content of one image.
func (f *Fleet) sendImages(ctx context.Context, l *link.Link, m *wire.Message) error {
	err := f.sendImage(ctx, l, m)
	if err == nil || l.Err() != nil || ctx.Err() != nil {
		return err
	}
	f.config.Logger.ErrorContext(ctx, "packages not sent to a worker", "error", err)
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

// sendContent sends all bytes of the reader "content". The result "broken" is true if
// the error comes from this reader.
func sendContent(ctx context.Context, l *link.Link, content io.Reader) (broken bool, err error) {
	for chunk, err := range wire.Chunks(content) {
		if err != nil {
			return true, err
		}
		if err := sendMessage(ctx, l, wire.KindContent, nil, chunk); err != nil {
			return false, err
		}
	}
	return false, nil
}

// contentSource receives from a worker the content of a file in a session.
type contentSource struct {
	ctx  context.Context
	link *link.Link
}

func (s contentSource) NextContent() ([]byte, error) {
	b, err := s.link.Receive(s.ctx, wire.MaxSmallMessage)
	if err != nil {
		return nil, sessionError(s.ctx, err)
	}
	m, err := wire.Decode(b)
	switch {
	case err != nil:
		return nil, err
	case m.Kind == wire.KindContent && len(m.Blobs) == 1:
		return m.Blobs[0], nil
	case m.Kind == wire.KindEnd:
		return nil, io.EOF
	case m.Kind == wire.KindFailed:
		return nil, wire.DecodeFailure(m)
	default:
		return nil, wire.ErrInvalid
	}
}

// sessionError converts an error from a call to a worker into an error for the user.
func sessionError(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(notStarted(err), errNotStarted) {
		return &pyth.Error{
			Code: pyth.CodeUnavailable, Message: "The machine of the session cannot be reached. Try again in a few seconds.",
			RetryAfter: 2 * retryAfter, Err: err,
		}
	}
	return err
}
