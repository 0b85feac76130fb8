package session

import (
	"context"
	"errors"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

// Files returns the files in the session's working directory.
func (s *Service) Files(ctx context.Context, user pyth.UserID, id pyth.SessionID) (files []pyth.FileInfo, err error) {
	err = s.withFiles(ctx, user, id, func(ctx context.Context, _ *session) error {
		files, err = s.config.Host.SessionFiles(ctx, id)
		return err
	})
	return files, err
}

// WriteFile creates or replaces a file of the session atomically.
func (s *Service) WriteFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, content io.Reader) (created bool, err error) {
	if err := s.checkPath(user, id, path); err != nil {
		return false, err
	}
	err = s.withFiles(ctx, user, id, func(ctx context.Context, x *session) error {
		from := &source{content: content, size: x.spec.Limits.DiskBytes, left: x.spec.Limits.DiskBytes}
		created, err = s.config.Host.WriteSessionFile(ctx, id, path, from)
		if err != nil && from.err != nil {
			// Prefer the error of the reader. A SessionHost on another machine only
			// knows that the read has failed, but not why.
			return from.err
		}
		return err
	})
	return created, err
}

// ReadFile passes the size and the content of a file to a callback function.
func (s *Service) ReadFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, to func(size int64, content io.Reader) error) error {
	if err := s.checkPath(user, id, path); err != nil {
		return err
	}
	return s.withFiles(ctx, user, id, func(ctx context.Context, _ *session) error {
		return s.config.Host.ReadSessionFile(ctx, id, path, to)
	})
}

// DeleteFile deletes a file of the session.
func (s *Service) DeleteFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string) error {
	if err := s.checkPath(user, id, path); err != nil {
		return err
	}
	return s.withFiles(ctx, user, id, func(ctx context.Context, _ *session) error {
		return s.config.Host.DeleteSessionFile(ctx, id, path)
	})
}

// withFiles waits for a turn of the session. It calls the given function during the
// turn.
func (s *Service) withFiles(ctx context.Context, user pyth.UserID, id pyth.SessionID, do func(context.Context, *session) error) error {
	x, t, err := s.turn(ctx, user, id, false)
	if err != nil {
		return err
	}
	defer s.release(x, t, nil, nil)
	err = do(t.context, x)
	if err != nil && pyth.ErrorCode(context.Cause(t.context)) == pyth.CodeNotFound {
		// The operation failed because the session has ended.
		return context.Cause(t.context)
	}
	return err
}

func (s *Service) checkPath(user pyth.UserID, id pyth.SessionID, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.findLocked(user, id)
	if err != nil {
		return err
	}
	if fault := execution.PathFault(path, x.spec.Language.File()); fault != "" {
		return pyth.Invalid("path.path", "%s", fault)
	}
	return nil
}

// source reads the content of a file for the host. The method Read returns an error if
// the file is larger than the disk limit of the session.
type source struct {
	content io.Reader
	// size is the disk limit of the session in bytes. The field "left" is the number of
	// bytes that may still be read.
	size, left int64
	// err is the error of a failed Read, or nil.
	err error
}

func (r *source) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.content.Read(p)
	r.left -= int64(n)
	switch {
	case r.left < 0:
		r.err = pyth.Errorf(pyth.CodeTooLarge, "The file is too large: the disk limit of the session is %s bytes (limits.diskBytes). Send a smaller file, or open a session with a higher limit.", pyth.Digits(r.size))
		return 0, r.err
	case err != nil && !errors.Is(err, io.EOF):
		r.err = err
	}
	return n, err
}
