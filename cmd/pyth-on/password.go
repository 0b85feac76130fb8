package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"
)

// maxPasswordLine is more than a password takes.
const maxPasswordLine = 4 << 10

// readPassword reads a password: from the terminal, twice and without showing it,
// or else one line of standard input. It never is an argument, since those can be
// read by every user.
func readPassword(ctx context.Context) (string, error) {
	in := bufio.NewReader(io.LimitReader(os.Stdin, maxPasswordLine))
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		line, err := readLine(in)
		if err == nil && line == "" {
			err = errors.New("the password is empty; give it as one line of standard input")
		}
		return line, err
	}
	show, err := hideInput(int(os.Stdin.Fd()))
	if err != nil {
		return "", err
	}
	defer show()
	first, err := ask(ctx, in, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask(ctx, in, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

// ask reads a line from the terminal unless the context ends before.
func ask(ctx context.Context, in *bufio.Reader, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr) // The user's own line break is hidden, too.
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := readLine(in)
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// hideInput keeps the terminal from showing what is typed, until show is called.
func hideInput(terminal int) (show func(), err error) {
	before, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(terminal, unix.TCSETS, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(terminal, unix.TCSETS, before) }, nil
}
