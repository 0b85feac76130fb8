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

// maxPasswordLine is the maximum length of a line with a password, in bytes.
const maxPasswordLine = 4 << 10

// readPassword asks for a password twice on the terminal, without echo. Without a
// terminal, it reads one line from standard input. A password cannot be an argument,
// because all users of the machine can read the arguments of a process.
func readPassword(ctx context.Context) (string, error) {
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		return askSecret(ctx, bufio.NewReader(io.LimitReader(os.Stdin, maxPasswordLine)), "Password: ", "password")
	}
	return readPasswordTwice(ctx, "Password: ", "Repeat the password: ", "passwords")
}

// readPasswordTwice asks for a secret twice on the terminal, without echo. The
// parameter "plural" is the plural noun for the secrets in the error message, for
// example "passwords".
func readPasswordTwice(ctx context.Context, prompt, repeat, plural string) (string, error) {
	in := bufio.NewReader(io.LimitReader(os.Stdin, maxSecretValue))
	show, err := hideInput(int(os.Stdin.Fd()))
	if err != nil {
		return "", err
	}
	defer show()
	first, err := ask(ctx, in, prompt)
	if err != nil {
		return "", err
	}
	second, err := ask(ctx, in, repeat)
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two " + plural + " differ; try again")
	}
	return first, nil
}

// ask prints the prompt and reads a line from the terminal. It returns early if the
// context ends.
func ask(ctx context.Context, in *bufio.Reader, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr) // Print a line break, because the terminal does not show the user's line break.
	return unlessDone(ctx, func() (string, error) { return readLine(in) })
}

// unlessDone calls the function "read" and returns its results. If the context ends
// first, unlessDone returns the error of the context. The function "read" then
// continues in its goroutine, because Go cannot interrupt a read from a terminal.
func unlessDone(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// hideInput turns off the echo of the terminal. The returned function "show" turns the
// echo on again.
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
