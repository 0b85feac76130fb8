package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/internal/printable"
)

// jsonFlag is the flag that selects JSON as the output format.
type jsonFlag struct {
	JSON bool `name:"json" env:"-" help:"Print the result as JSON."`
}

// printRows prints a table with a header. The cells can contain any text, because
// printRows replaces characters that could control the terminal.
func printRows(header string, rows [][]string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable.Clean(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// localTime formats a time in the local time zone for a table. It returns "" for the
// zero time.
func localTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// colour adds escape sequences for a colour to the text. If the file is not a terminal
// or NO_COLOR is set, it returns the text unchanged. The parameter "code" is the number
// of the colour in the SGR sequence (ECMA-48).
func colour(f *os.File, code, text string) string {
	if os.Getenv("NO_COLOR") != "" || !isatty.IsTerminal(f.Fd()) {
		return text
	}
	return "\033[" + code + "m" + text + "\033[0m"
}

// waiting prints the name of a step on the terminal if the step takes longer than
// progressDelay. The caller must call the function "stop" before the caller prints
// other output.
func waiting(step string) (stop func()) {
	if !isatty.IsTerminal(os.Stderr.Fd()) {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(progressDelay)
		defer timer.Stop()
		select {
		case <-done:
			return
		case <-timer.C:
		}
		fmt.Fprintf(os.Stderr, "\033[1m==>\033[0m %s", step)
		<-done
		fmt.Fprint(os.Stderr, "\r\033[K")
	}()
	stopped := false
	return func() {
		if !stopped {
			stopped = true
			close(done)
			<-ended
		}
	}
}

// askSecret asks for a secret on the terminal and reads one line without echo. Without
// a terminal, it reads one line from standard input and leaves the other lines in the
// reader. A secret cannot be an argument, because all users of the machine can read the
// arguments of a process.
func askSecret(ctx context.Context, in *bufio.Reader, prompt, name string) (string, error) {
	var line string
	var err error
	if isatty.IsTerminal(os.Stdin.Fd()) {
		var show func()
		if show, err = hideInput(int(os.Stdin.Fd())); err != nil {
			return "", err
		}
		defer show()
		line, err = ask(ctx, in, prompt)
	} else {
		line, err = readLine(in)
	}
	if err == nil && line == "" {
		err = errors.New("the " + name + " is empty; write the " + name + " to standard input as one line")
	}
	return line, err
}

// cleanLines replaces unprintable characters, except line ends and tabs. The text may
// come from a server or from another user's program. This text must not control the
// terminal.
func cleanLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || printable.Rune(r) {
			return r
		}
		return utf8.RuneError
	}, text)
}
