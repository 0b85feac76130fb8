package sessionfiles

import (
	"context"
	"fmt"
	"io"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// format returns the name of a format in the protocol.
func format(f pyth.ArchiveFormat) (string, error) {
	switch f {
	case pyth.ArchiveTarGzip:
		return protocol.FormatTarGzip, nil
	case pyth.ArchiveZip:
		return protocol.FormatZip, nil
	default:
		return "", pyth.Invalid("format", "must be tar.gz or zip")
	}
}

// PackFiles writes an archive of a directory or of a file.
func (s *Service) PackFiles(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, f pyth.ArchiveFormat, begin func(), w io.Writer) error {
	name, err := format(f)
	if err == nil {
		err = checkOrRoot(path)
	}
	if err != nil {
		return err
	}
	c, err := s.call(ctx, user, session, protocol.KindPack, &protocol.FileRequest{Path: path, Format: name})
	if err != nil {
		return err
	}
	defer c.Close()
	r := &content{call: c, left: -1}
	// Wait for the first bytes, which every archive has. If an error occurs before these
	// bytes, return the error and do not call begin.
	if r.rest, r.err = r.next(); r.err != nil {
		return r.err
	}
	begin()
	_, err = io.Copy(w, r)
	return err
}

// UnpackFiles unpacks an archive into a directory.
func (s *Service) UnpackFiles(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, f pyth.ArchiveFormat, from io.Reader) (entries int, err error) {
	name, err := format(f)
	if err == nil {
		err = checkOrRoot(path)
	}
	if err != nil {
		return 0, err
	}
	c, err := s.call(ctx, user, session, protocol.KindUnpack, &protocol.FileRequest{Path: path, Format: name})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	payload, err := c.upload(from, protocol.KindUnpacked)
	if err != nil {
		return 0, err
	}
	var u protocol.Unpacked
	if protocol.Decode(payload, &u) != nil || u.Entries < 0 {
		return 0, c.Explain(agentcall.ErrAgent)
	}
	if u.Failure == "EBADMSG" {
		return 0, refused(&u)
	}
	return u.Entries, failure(u.Failure)
}

// refused returns the error for a refused archive. The texts in the error come from the
// guest, so the function cleans and truncates them.
func refused(u *protocol.Unpacked) error {
	reason := workpath.Display(u.Reason)
	if u.Entry != "" {
		reason = fmt.Sprintf("%q: %s", workpath.Display(u.Entry), reason)
	}
	return &pyth.Error{
		Code:    pyth.CodeInvalid,
		Message: "The archive was refused, and nothing was changed: " + reason + ".",
		Fields:  []pyth.FieldError{{Location: "body", Message: reason}},
	}
}
