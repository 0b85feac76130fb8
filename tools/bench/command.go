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

// program is the usual program, which most measurements run. answer is the expected
// output of this program.
const (
	program = "print(42)"
	// importing is a program that imports common Python modules.
	importing = "import json, random, datetime, re, collections\n" + program
	answer    = "42\n"
)

// command is a command line to measure. The process must print the expected answer.
type command struct {
	path string
	// args returns the arguments for the next run. The first argument is the name of
	// the program.
	args func() []string
}

// fixedArgs returns a function for the field "args" of a command. This function always
// returns the same arguments.
func fixedArgs(args ...string) func() []string { return func() []string { return args } }

// run executes the command. It returns two times: until the command has printed the
// answer, and until the process has ended.
func (c command) run(ctx context.Context) (answered, ended time.Duration, err error) {
	cmd := exec.CommandContext(ctx, c.path)
	cmd.Args = c.args()
	cmd.Env = environment()
	cmd.Dir = "/"
	// If the benchmark is killed, the kernel must also kill the process of the command.
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
		err = fmt.Errorf("read the answer %q: %w", line, err)
	}
	err = errors.Join(err, cmd.Wait())
	ended = time.Since(start)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return answered, ended, nil
}

// untilAnswered runs the command and returns the time until the command has printed the
// answer.
func (c command) untilAnswered(ctx context.Context) (time.Duration, error) {
	answered, _, err := c.run(ctx)
	return answered, err
}

func (c command) untilEnded(ctx context.Context) (time.Duration, error) {
	_, ended, err := c.run(ctx)
	return ended, err
}

// environment returns the environment variables for all measured processes. It contains
// no variables that configure Python or the server.
func environment() []string { return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"} }
