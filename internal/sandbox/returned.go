package sandbox

import (
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// Limits for the output files of a run. Input files have the same limits.
const (
	maxOutputFiles     = 64
	maxOutputFileBytes = 10 << 20
	maxSkipped         = 128
	maxReason          = 256
)

// maxReported limits the size of each text about an exception, in bytes. The texts are
// cut again to a lower limit later, after secret values in them are replaced.
const maxReported = 512 << 10

// The method "file" starts an output file. The guest (the code inside the sandbox) also
// enforces the limits for files, so a violation is a protocol error.
func (r *run) file(payload []byte) error {
	var f protocol.File
	if err := decode(payload, &f); err != nil || r.incoming != nil || len(r.outcome.Files) >= maxOutputFiles {
		return errGuest
	}
	r.incoming = &pyth.File{Path: f.Path}
	return r.fileData(f.Content)
}

// fileData appends a piece to the file that is being received.
func (r *run) fileData(piece []byte) error {
	r.fileBytes += len(piece)
	if r.incoming == nil || r.fileBytes > maxOutputFileBytes {
		return errGuest
	}
	r.incoming.Content = append(r.incoming.Content, piece...)
	return nil
}

// fileEnd adds the received file to the outcome.
func (r *run) fileEnd() error {
	if r.incoming == nil {
		return errGuest
	}
	f := *r.incoming
	r.incoming = nil
	// The guest has already checked the path with the same rule. If the path is still
	// invalid, the host skips the file and does not end the run.
	if fault := workpath.Fault(f.Path); fault != "" {
		return r.skip(f.Path, "its path "+fault)
	}
	r.outcome.Files = append(r.outcome.Files, f)
	if r.events != nil {
		r.checkDelivery(r.events.File(f))
	}
	return nil
}

// The method "skipped" processes a message from the guest. The message says that the
// guest did not send a file.
func (r *run) skipped(payload []byte) error {
	var s protocol.Skipped
	if err := decode(payload, &s); err != nil {
		return err
	}
	return r.skip(s.Path, s.Reason)
}

// skip adds a file to the list of skipped files. Unprintable characters could
// mislead a reader, so skip replaces them.
func (r *run) skip(name, reason string) error {
	if len(r.outcome.FilesSkipped) >= maxSkipped || len(reason) > maxReason {
		return errGuest
	}
	skipped := pyth.SkippedFile{Path: workpath.Display(name), Reason: workpath.Display(reason)}
	r.outcome.FilesSkipped = append(r.outcome.FilesSkipped, skipped)
	return nil
}

// programError converts the guest's report of an exception, and limits its size.
func programError(r *protocol.Report) *pyth.ProgramError {
	if r == nil {
		return nil
	}
	return &pyth.ProgramError{
		Name:      bounded(r.Name),
		Message:   bounded(r.Message),
		Traceback: bounded(r.Traceback),
		Line:      max(r.Line, 0),
	}
}

// The function "bounded" limits the size of a string from the guest, and replaces NUL and
// invalid UTF-8.
func bounded(s string) string {
	const replacement = "\ufffd"
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), maxReported)], replacement), "\x00", replacement)
}
