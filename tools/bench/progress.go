package main

import (
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// progress prints which measurement is running.
type progress struct {
	w        io.Writer
	terminal bool
}

func newProgress(f *os.File) progress {
	return progress{w: f, terminal: isatty.IsTerminal(f.Fd())}
}

func (p progress) step(name string) {
	if p.terminal {
		fmt.Fprintf(p.w, "\033[1m==>\033[0m %s\n", name)
		return
	}
	fmt.Fprintf(p.w, "==> %s\n", name)
}

// rounds returns a function that prints the progress of a step. The caller calls this
// function at the beginning of each round.
func (p progress) rounds(name string, total int) func(round int) {
	return func(round int) {
		switch {
		case !p.terminal && round == 0:
			p.step(fmt.Sprintf("%s (rounds: %d)", name, total))
		case p.terminal:
			fmt.Fprintf(p.w, "\r\033[K\033[1m==>\033[0m %s, round %d of %d", name, round+1, total)
			if round+1 == total {
				fmt.Fprintln(p.w)
			}
		}
	}
}
