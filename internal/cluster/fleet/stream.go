package fleet

import (
	"context"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// SessionStream opens a stream to the agent in the sandbox of a session. The worker of
// the session relays the stream.
func (f *Fleet) SessionStream(ctx context.Context, id pyth.SessionID) (io.ReadWriteCloser, error) {
	l, err := f.callSession(ctx, wire.KindStream, id, "")
	if err != nil {
		return nil, err
	}
	if _, err := f.awaitMessage(ctx, l, wire.KindAccepted); err != nil {
		l.Close()
		return nil, sessionError(ctx, err)
	}
	return &stream{link: l, content: wire.ContentReader{Source: contentSource{context.Background(), l}}}, nil
}

// stream is an open stream. One goroutine may read and another may write at the same
// time.
type stream struct {
	link    *link.Link
	content wire.ContentReader
}

func (s *stream) Read(p []byte) (int, error) { return s.content.Read(p) }

// Write sends b to the worker. It waits until the worker has used enough of the earlier
// bytes.
func (s *stream) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		part := b[:min(len(b), wire.MaxContent)]
		if err := sendMessage(context.Background(), s.link, wire.KindContent, nil, part); err != nil {
			return n, err
		}
		n += len(part)
		b = b[len(part):]
	}
	return n, nil
}

// Close ends the call, and with it the stream.
func (s *stream) Close() error {
	s.link.Close()
	return nil
}
