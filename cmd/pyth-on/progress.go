package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/internal/printable"
)

// progressEvery is the minimum time between two lines about the same step. It does not
// apply to a terminal.
const progressEvery = 5 * time.Second

// The type "progress" prints the progress of a long task. On a terminal, it updates a
// single line.
type progress struct {
	w        io.Writer
	terminal bool
	last     string
	at       time.Time
}

func newProgress(f *os.File) *progress {
	return &progress{w: f, terminal: isatty.IsTerminal(f.Fd())}
}

// The method "step" prints the progress of the named step. The parameter "done" is the
// number of completed parts. The parameter "total" is the number of all parts, or 0 if
// this number is unknown.
func (p *progress) step(name string, done, total int) {
	// The name may come from a server. So replace characters that could control the
	// terminal.
	name = printable.Clean(name)
	finished := done == total
	if p.terminal {
		fmt.Fprintf(p.w, "\r\033[K\033[1m==>\033[0m %s", name)
		if total > 0 {
			fmt.Fprintf(p.w, " %d%%", done*100/total)
		}
		if finished {
			fmt.Fprintln(p.w)
		}
		return
	}
	if name == p.last && time.Since(p.at) < progressEvery {
		return
	}
	p.last, p.at = name, time.Now()
	fmt.Fprintf(p.w, "==> %s\n", name)
}
