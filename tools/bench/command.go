package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// What all programs are told to do, and what they must print.
const (
	program = "print(42)"
	answer  = "42\n"
)

// command is a program that prints the answer.
type command struct {
	path string
	// args give the arguments anew for every run, its name first.
	args func() []string
}

// fixed are arguments that are the same in every run.
func fixed(args ...string) func() []string { return func() []string { return args } }

// run runs it and tells when the answer was there and when it had ended.
func (c command) run(ctx context.Context) (answered, ended time.Duration, err error) {
	cmd := exec.CommandContext(ctx, c.path)
	cmd.Args = c.args()
	cmd.Env = environment()
	cmd.Dir = "/"
	// What it started must not outlive a benchmark that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	answered = time.Since(start)
	if line != answer {
		err = fmt.Errorf("it printed %q: %w", line, err)
	}
	err = errors.Join(err, cmd.Wait())
	ended = time.Since(start)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return answered, ended, nil
}

// untilAnswered and untilEnded are two ways to time it.
func (c command) untilAnswered(ctx context.Context) (time.Duration, error) {
	answered, _, err := c.run(ctx)
	return answered, err
}

func (c command) untilEnded(ctx context.Context) (time.Duration, error) {
	_, ended, err := c.run(ctx)
	return ended, err
}

// environment is that of everything that is measured: of settings of this
// shell for Python or for the server, none counts.
func environment() []string { return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"} }
