package resolve

import (
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/printable"
)

const (
	// maxLines is the maximum number of output lines that an error quotes. The error
	// quotes the last lines of the output.
	maxLines     = 20
	maxLineBytes = 500
	// maxProgress is the maximum number of output lines to report as progress.
	maxProgress = 2000
)

// output receives the events of a resolver's job. It splits the output into lines. It
// truncates each line, removes facts about the server, and reports the line as progress.
// It also keeps the last lines and the output files.
type output struct {
	progress pyth.PackageProgress
	line     []byte
	last     []string
	files    []pyth.File
	reported int
	err      error
}

func (*output) Started(pyth.ExecutionID) error { return nil }
func (*output) Result(pyth.Result) error       { return nil }

func (o *output) File(f pyth.File) error {
	o.files = append(o.files, f)
	return nil
}

func (o *output) Output(_ pyth.Stream, b []byte) error {
	for _, c := range b {
		switch {
		case c == '\n':
			o.endLine()
		case len(o.line) < maxLineBytes:
			o.line = append(o.line, c)
		}
	}
	return o.err
}

// endLine reports the current line as progress and starts a new line.
func (o *output) endLine() {
	line := strings.Map(func(r rune) rune {
		if !printable.Rune(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(o.line), "\ufffd"))
	o.line = o.line[:0]
	onlyProgress := strings.HasPrefix(line, "npm http ")
	if line = strings.TrimRight(scrub(line), " "); line == "" {
		return
	}
	if !onlyProgress {
		if len(o.last) == maxLines {
			o.last = o.last[1:]
		}
		o.last = append(o.last, line)
	}
	if o.reported++; o.progress != nil && o.err == nil && o.reported <= maxProgress {
		o.err = o.progress("resolve", line)
	}
}
