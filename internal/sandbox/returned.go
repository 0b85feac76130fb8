package sandbox

import (
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// What a run may return of files, in number and bytes; the same as it may be
// given.
const (
	maxOutputFiles     = 64
	maxOutputFileBytes = 10 << 20
	maxSkipped         = 128
	maxReason          = 256
)

// maxReported bounds each text of an exception. What is shown of them is less: it
// is cut when the values of secrets were replaced.
const maxReported = 512 << 10

// file takes in an output file. An honest guest keeps to the bounds.
func (r *run) file(payload []byte) error {
	name, content, err := protocol.DecodeFile(payload)
	if err != nil || r.incoming != nil || len(r.outcome.Files) >= maxOutputFiles {
		return errGuest
	}
	r.incoming = &pyth.File{Path: name}
	return r.fileData(content)
}

// fileData takes in a piece of the file that is being returned.
func (r *run) fileData(piece []byte) error {
	r.fileBytes += len(piece)
	if r.incoming == nil || r.fileBytes > maxOutputFileBytes {
		return errGuest
	}
	r.incoming.Content = append(r.incoming.Content, piece...)
	return nil
}

// fileEnd takes in that the file is whole.
func (r *run) fileEnd() error {
	if r.incoming == nil {
		return errGuest
	}
	f := *r.incoming
	r.incoming = nil
	// The guest goes by the same rule; a name is no reason to end anything.
	if fault := workpath.Fault(f.Path); fault != "" {
		return r.skip(f.Path, "its path "+fault)
	}
	r.outcome.Files = append(r.outcome.Files, f)
	if r.events != nil {
		r.told(r.events.File(f))
	}
	return nil
}

// skipped takes in word of a file that is not sent.
func (r *run) skipped(payload []byte) error {
	var s protocol.Skipped
	if err := decode(payload, &s); err != nil {
		return err
	}
	return r.skip(s.Path, s.Reason)
}

// skip notes a file that is not returned, and shows its name without what would
// deceive a reader.
func (r *run) skip(name, reason string) error {
	if len(r.outcome.FilesSkipped) >= maxSkipped || len(reason) > maxReason {
		return errGuest
	}
	skipped := pyth.SkippedFile{Path: workpath.Display(name), Reason: workpath.Display(reason)}
	r.outcome.FilesSkipped = append(r.outcome.FilesSkipped, skipped)
	return nil
}

// programError bounds what the program's process says of its exception.
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

func bounded(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReported)], "\ufffd")
}
