package sandbox

import (
	"context"
	"errors"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// fileTimeout is the time that the guest has for one step of a file operation.
const fileTimeout = 30 * time.Second

// Open prepares a warm sandbox for a session. All later jobs in the sandbox must
// belong to this session.
func (s *Sandbox) Open(ctx context.Context, spec *pyth.SessionSpec) error {
	s.disk = spec.Limits.DiskBytes
	if spec.Limits.DiskBytes != protocol.DefaultDiskBytes || spec.Language.Runtime() != s.language.Runtime() {
		s.language = spec.Language
		if s.broken = s.prepare(ctx, spec.Limits.DiskBytes); s.broken != nil {
			return s.broken
		}
	}
	// Set the limits now, because the processes of a session can start before its first
	// run.
	if s.broken = s.grant(spec.Limits.MemoryBytes, spec.Limits.Processes); s.broken != nil {
		return s.broken
	}
	s.broken = s.serveStreams(spec)
	return s.broken
}

// The method "rearm" resets the memory peak and the deadline before the next run of a
// session.
func (s *Sandbox) rearm() error {
	if s.group != nil {
		s.group.ResetPeak()
	}
	// Clear the deadline. The last run may have left a deadline that has expired.
	return s.socket.SetDeadline(time.Time{})
}

// Files returns the files of the session.
func (s *Sandbox) Files(ctx context.Context) ([]pyth.FileInfo, error) {
	var files []pyth.FileInfo
	err := s.operate(ctx, protocol.KindList, "", func() error {
		for {
			kind, payload, err := s.receive()
			if err != nil {
				return err
			}
			if kind == protocol.KindDone {
				return failure(payload, new(protocol.Done))
			}
			var e protocol.Entry
			if kind != protocol.KindEntry || decode(payload, &e) != nil || len(files) >= protocol.MaxListed {
				return errGuest
			}
			if workpath.Fault(e.Path) == "" {
				files = append(files, pyth.FileInfo{Path: e.Path, SizeBytes: e.SizeBytes, ModifiedAt: time.UnixMilli(e.ModifiedMs)})
			}
		}
	})
	return files, err
}

// WriteFile creates or replaces a file of the session. If the new content cannot be read
// completely, an existing file stays unchanged.
func (s *Sandbox) WriteFile(ctx context.Context, path string, content io.Reader) (created bool, err error) {
	err = s.operate(ctx, protocol.KindPut, path, func() error {
		readErr, err := s.upload(content)
		if err != nil {
			return err
		}
		var d protocol.Done
		if err := s.receiveDone(&d); readErr == nil || errors.Is(err, errGuest) {
			created = d.Created
			return err
		}
		return &fileError{readErr}
	})
	return created, err
}

// upload sends the content. If content returns an error, the method aborts the transfer
// and returns this error as readErr.
func (s *Sandbox) upload(content io.Reader) (readErr, err error) {
	buffer := make([]byte, protocol.MaxData)
	for {
		n, end := io.ReadFull(content, buffer)
		if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
			return nil, err
		}
		if n > 0 {
			if err := s.conn.Send(protocol.KindData, buffer[:n]); err != nil {
				return nil, err
			}
		}
		switch {
		case end == io.EOF, end == io.ErrUnexpectedEOF:
			return nil, s.conn.Send(protocol.KindEnd, nil)
		case end != nil:
			return end, s.conn.Send(protocol.KindAbort, nil)
		}
	}
}

// ReadFile calls the function "consume" with the size and the content of a file. The
// function does not have to read the whole content. ReadFile returns the error of the
// function.
func (s *Sandbox) ReadFile(ctx context.Context, path string, consume func(size int64, content io.Reader) error) error {
	return s.operate(ctx, protocol.KindGet, path, func() error {
		var d protocol.Done
		if err := s.receiveDone(&d); err != nil {
			return err
		}
		if d.SizeBytes > s.disk {
			return errGuest
		}
		r := &fileReader{context: ctx, sandbox: s, left: d.SizeBytes}
		cause := consume(d.SizeBytes, r)
		aborted := r.end()
		switch {
		case r.broken != nil:
			return r.broken
		case cause != nil:
			return &fileError{cause}
		case aborted:
			return nil
		default:
			return r.failed
		}
	})
}

// DeleteFile deletes a file of the session.
func (s *Sandbox) DeleteFile(ctx context.Context, path string) error {
	return s.operate(ctx, protocol.KindRemove, path, func() error { return s.receiveDone(new(protocol.Done)) })
}

// The function "interrupted" returns the error of a file operation whose context has
// ended. The error has a code, because the pool ends a session after an error without a
// code.
func interrupted(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, ok := errors.AsType[*pyth.Error](cause); ok {
		return cause
	}
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The transfer of the file was interrupted. Try again.", Err: cause}
}

// fileError wraps an error of a file operation after which the sandbox is still usable.
type fileError struct{ error }

func (e *fileError) Unwrap() error { return e.error }

// The method "operate" requests a file operation, and calls the function "answer" to
// receive the result. If the method returns an error that is not a fileError, the sandbox
// is unusable.
func (s *Sandbox) operate(ctx context.Context, kind protocol.Kind, path string, answer func() error) error {
	if s.broken != nil {
		return s.broken
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	err := s.socket.SetDeadline(time.Now().Add(fileTimeout))
	if err == nil {
		err = s.conn.Send(kind, []byte(path))
	}
	if err == nil {
		err = answer()
	}
	if harmless, ok := errors.AsType[*fileError](err); ok {
		return harmless.error
	}
	s.broken = err
	return err
}

// receive returns the guest's next message, or an error after fileTimeout.
func (s *Sandbox) receive() (protocol.Kind, []byte, error) {
	if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
		return 0, nil, err
	}
	return s.conn.Receive()
}

// receiveDone receives the result of an operation into d. It returns an error if
// the operation failed.
func (s *Sandbox) receiveDone(d *protocol.Done) error {
	kind, payload, err := s.receive()
	if err != nil {
		return err
	}
	if kind != protocol.KindDone {
		return errGuest
	}
	return failure(payload, d)
}

// failure decodes the result of an operation into d. It returns an error if the
// operation failed.
func failure(payload []byte, d *protocol.Done) error {
	if decode(payload, d) != nil || d.SizeBytes < 0 {
		return errGuest
	}
	switch d.Failure {
	case "":
		return nil
	case "ENOENT", "ENOTDIR":
		return &fileError{pyth.Errorf(pyth.CodeNotFound, "The file does not exist in the session.")}
	case "EISDIR", "ELOOP", "EEXIST", "ENOTEMPTY", "EPERM":
		return &fileError{pyth.Errorf(pyth.CodeConflict, "The path is not a regular file in the session. Choose another path.")}
	case "ENOSPC", "EDQUOT":
		return &fileError{pyth.Errorf(pyth.CodeTooLarge, "The disk of the session is full. Delete files, or open a session with a larger limits.diskBytes.")}
	case "EFBIG":
		return &fileError{pyth.Errorf(pyth.CodeConflict, "The server cannot send a sparse file that is larger than the session's disk limit. Copy the part that you need to a new file.")}
	case "EINVAL", "ENAMETOOLONG":
		return &fileError{pyth.Invalid("path", "is not the path of a file")}
	default:
		return &fileError{pyth.Errorf(pyth.CodeConflict, "The file operation failed in the session. Check the path and the type of the file.")}
	}
}

// maxUnread limits how many bytes of a file the guest may send after an abort. A correct
// guest sends only data that was already in transit.
const maxUnread = 4 << 20

// fileReader reads a file while the guest sends it. Read fails when the context
// has ended.
type fileReader struct {
	context context.Context
	sandbox *Sandbox
	left    int64
	rest    []byte
	done    bool
	// The field "failed" is an error that ended the transfer, but left the sandbox
	// usable.
	failed error
	// The field "broken" is an error that made the sandbox unusable.
	broken error
}

func (r *fileReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		switch {
		case r.broken != nil:
			return 0, r.broken
		case r.failed != nil:
			return 0, r.failed
		case r.done:
			return 0, io.EOF
		case r.context.Err() != nil:
			return 0, interrupted(r.context)
		}
		r.receive()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// The method "end" reads the rest of the guest's answer. Otherwise the host would read
// this rest as the answer to the next operation. If a part of the file was not read, the
// method tells the guest to stop and returns true.
func (r *fileReader) end() (aborted bool) {
	if aborted = r.left > 0 && !r.done && r.broken == nil; aborted {
		if r.broken = r.sandbox.socket.SetDeadline(time.Now().Add(fileTimeout)); r.broken == nil {
			r.broken = r.sandbox.conn.Send(protocol.KindAbort, nil)
		}
	}
	unread := 0
	for start := time.Now(); !r.done && r.broken == nil; {
		r.receive()
		if unread += len(r.rest); unread > maxUnread || time.Since(start) > fileTimeout {
			r.broken = errGuest
		}
		r.rest = nil
	}
	return aborted
}

// receive processes the guest's next message.
func (r *fileReader) receive() {
	kind, payload, err := r.sandbox.receive()
	switch {
	case err != nil:
		r.broken = err
	case kind == protocol.KindData && int64(len(payload)) <= r.left:
		r.left -= int64(len(payload))
		r.rest = payload
	case kind == protocol.KindDone:
		r.done, r.failed = true, failure(payload, new(protocol.Done))
		if errors.Is(r.failed, errGuest) || (r.failed == nil && r.left > 0) {
			r.broken = errGuest
		}
	default:
		r.broken = errGuest
	}
}
