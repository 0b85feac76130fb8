package sandbox

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/guest/protocol"
)

// What a run may return of files, in number and bytes; the same as it may be
// given.
const (
	maxOutputFiles     = 64
	maxOutputFileBytes = 10 << 20
	maxSkipped         = 128
	maxPath            = 1024 + len("…")
)

// Bounds on what is shown of an exception.
const (
	maxErrorName      = 256
	maxErrorMessage   = 16 << 10
	maxErrorTraceback = 64 << 10
)

// file takes in an output file. An honest guest keeps to the bounds.
func (r *run) file(payload []byte) error {
	name, content, err := protocol.DecodeFile(payload)
	if err != nil {
		return errGuest
	}
	r.fileBytes += len(content)
	if len(r.outcome.Files) >= maxOutputFiles || r.fileBytes > maxOutputFileBytes || !printablePath(name) {
		return errGuest
	}
	f := pyth.File{Path: name, Content: content}
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
	if len(r.outcome.FilesSkipped) >= maxSkipped || len(s.Path) > maxPath || len(s.Reason) > maxPath {
		return errGuest
	}
	// Names that are refused for their characters are shown without these.
	s.Path = strings.Map(func(c rune) rune {
		if !printable(c) {
			return utf8.RuneError
		}
		return c
	}, s.Path)
	r.outcome.FilesSkipped = append(r.outcome.FilesSkipped, pyth.SkippedFile{Path: s.Path, Reason: s.Reason})
	return nil
}

// printablePath is whether the name is a clean relative path without
// characters that could deceive a reader or a client that writes files.
func printablePath(name string) bool {
	return len(name) <= maxPath && utf8.ValidString(name) && name != "" && name != "." &&
		path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") &&
		strings.IndexFunc(name, func(c rune) bool { return !printable(c) }) < 0
}

// printable refuses control and format characters: newlines in a listing,
// right-to-left overrides in a name.
func printable(c rune) bool { return !unicode.Is(unicode.C, c) && c != utf8.RuneError }

// programError bounds what the program's process says of its exception.
func programError(r *protocol.Report) *pyth.ProgramError {
	if r == nil {
		return nil
	}
	return &pyth.ProgramError{
		Name:      bounded(r.Name, maxErrorName),
		Message:   bounded(r.Message, maxErrorMessage),
		Traceback: bounded(r.Traceback, maxErrorTraceback),
		Line:      max(r.Line, 0),
	}
}

func bounded(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
