package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// fileTimeout is how long the guest may take for one step of an operation on
// files.
const fileTimeout = 30 * time.Second

// maxListed is how many files a list has; an honest guest keeps to it.
const maxListed = 10_000

// Open makes a sandbox that has run nothing ready for a session. All jobs that
// it is given from then on must be of that session.
func (s *Sandbox) Open(ctx context.Context, spec *pyth.SessionSpec) error {
	s.disk = spec.Limits.DiskBytes
	if spec.Limits.DiskBytes == protocol.UsualDisk && spec.Language.Runtime() == s.language.Runtime() {
		return nil
	}
	s.language = spec.Language
	s.broken = s.prepare(ctx, spec.Limits.DiskBytes)
	return s.broken
}

// again makes ready for another run of a session.
func (s *Sandbox) again() error {
	if s.group != nil {
		s.group.ResetPeak()
	}
	// The last run may have left a deadline that has passed.
	return s.socket.SetDeadline(time.Time{})
}

// Files lists the files of the session.
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
			if kind != protocol.KindEntry || decode(payload, &e) != nil || len(files) >= maxListed {
				return errGuest
			}
			if workpath.Fault(e.Path) == "" {
				files = append(files, pyth.FileInfo{Path: e.Path, SizeBytes: e.SizeBytes, ModifiedAt: time.UnixMilli(e.ModifiedMs)})
			}
		}
	})
	return files, err
}

// WriteFile replaces a file of the session, when all of the content is there.
func (s *Sandbox) WriteFile(ctx context.Context, path string, content io.Reader) (created bool, err error) {
	err = s.operate(ctx, protocol.KindPut, path, func() error {
		unread, err := s.upload(content)
		if err != nil {
			return err
		}
		var d protocol.Done
		if err := s.done(&d); unread == nil || errors.Is(err, errGuest) {
			created = d.Created
			return err
		}
		return &fileError{unread}
	})
	return created, err
}

// upload sends the content. Unread is why there is no more of it: half a file is
// none.
func (s *Sandbox) upload(content io.Reader) (unread, err error) {
	buffer := make([]byte, protocol.MaxData)
	for {
		n, more := io.ReadFull(content, buffer)
		if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
			return nil, err
		}
		if n > 0 {
			if err := s.conn.Send(protocol.KindData, buffer[:n]); err != nil {
				return nil, err
			}
		}
		switch {
		case more == io.EOF, more == io.ErrUnexpectedEOF:
			return nil, s.conn.Send(protocol.KindEnd, nil)
		case more != nil:
			return more, s.conn.Send(protocol.KindAbort, nil)
		}
	}
}

// ReadFile passes the size and the content of a file of the session on.
func (s *Sandbox) ReadFile(ctx context.Context, path string, to func(size int64, content io.Reader) error) error {
	return s.operate(ctx, protocol.KindGet, path, func() error {
		var d protocol.Done
		if err := s.done(&d); err != nil {
			return err
		}
		if d.SizeBytes > s.disk {
			return errGuest
		}
		r := &fileReader{context: ctx, sandbox: s, left: d.SizeBytes}
		cause := to(d.SizeBytes, r)
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
	return s.operate(ctx, protocol.KindRemove, path, func() error { return s.done(new(protocol.Done)) })
}

// fileError is one after which the sandbox is as good as before.
type fileError struct{ error }

func (e *fileError) Unwrap() error { return e.error }

// operate asks for an operation and has its answer heard. After any error but a
// fileError the sandbox is of no more use.
func (s *Sandbox) operate(ctx context.Context, kind protocol.Kind, path string, answer func() error) error {
	if s.broken != nil {
		return s.broken
	}
	if err := ctx.Err(); err != nil {
		return err
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

// receive hears the guest, who has a while to speak.
func (s *Sandbox) receive() (protocol.Kind, []byte, error) {
	if err := s.socket.SetDeadline(time.Now().Add(fileTimeout)); err != nil {
		return 0, nil, err
	}
	return s.conn.Receive()
}

// done hears how an operation went.
func (s *Sandbox) done(d *protocol.Done) error {
	kind, payload, err := s.receive()
	if err != nil {
		return err
	}
	if kind != protocol.KindDone {
		return errGuest
	}
	return failure(payload, d)
}

// failure is the error that the guest tells of.
func failure(payload []byte, d *protocol.Done) error {
	if json.Unmarshal(payload, d) != nil || d.SizeBytes < 0 {
		return errGuest
	}
	switch d.Failure {
	case "":
		return nil
	case "ENOENT", "ENOTDIR":
		return &fileError{pyth.Errorf(pyth.CodeNotFound, "The session has no such file.")}
	case "EISDIR", "ELOOP", "EEXIST", "ENOTEMPTY", "EPERM":
		return &fileError{pyth.Errorf(pyth.CodeConflict, "There is something else than a file at this path of the session.")}
	case "ENOSPC", "EDQUOT":
		return &fileError{pyth.Errorf(pyth.CodeTooLarge, "The disk of the session is full. Delete files, or open a session with a larger limits.diskBytes.")}
	case "EFBIG":
		return &fileError{pyth.Errorf(pyth.CodeConflict, "The file is larger than the session's disk, since it has holes, and cannot be sent. Copy what you need of it to another file.")}
	case "EINVAL", "ENAMETOOLONG":
		return &fileError{pyth.Invalid("path", "is not the path of a file")}
	default:
		return &fileError{pyth.Errorf(pyth.CodeConflict, "The file of the session could not be used.")}
	}
}

// maxUnread bounds what an honest guest still sends of a file after it was told
// to stop: what was on its way.
const maxUnread = 4 << 20

// fileReader is the content of a file as it comes. It ends with its context.
type fileReader struct {
	context context.Context
	sandbox *Sandbox
	left    int64
	rest    []byte
	done    bool
	// failed is why the file has ended early, broken why the guest is not heard
	// any more.
	failed, broken error
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
			return 0, context.Cause(r.context)
		}
		r.hear()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// end takes in what is left of the guest's answer, so that it is out of the way
// of the next one. It tells the guest to stop if the file was not read to its
// end, and returns whether it was not.
func (r *fileReader) end() (aborted bool) {
	if aborted = r.left > 0 && !r.done && r.broken == nil; aborted {
		if r.broken = r.sandbox.socket.SetDeadline(time.Now().Add(fileTimeout)); r.broken == nil {
			r.broken = r.sandbox.conn.Send(protocol.KindAbort, nil)
		}
	}
	unread := 0
	for start := time.Now(); !r.done && r.broken == nil; {
		r.hear()
		if unread += len(r.rest); unread > maxUnread || time.Since(start) > fileTimeout {
			r.broken = errGuest
		}
		r.rest = nil
	}
	return aborted
}

func (r *fileReader) hear() {
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
