package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
	"github.com/pyth-on/pyth-on/internal/statement"
)

type sessionsPromptCommand struct {
	ID string `arg:"" optional:"" help:"ID of an open session (default: open a session, and close it at the end)."`

	sessionFlags
	connectFlags
}

func (*sessionsPromptCommand) Help() string {
	return "The prompt runs each statement when it is complete. An empty line ends an indented block. Ctrl-C interrupts the running statement. Ctrl-D or :quit leaves the prompt, " +
		"and :files lists the files of the session."
}

func (c *sessionsPromptCommand) Run() error {
	server, err := c.connect("sessions prompt")
	if err != nil {
		return err
	}
	// SIGINT only interrupts a run. Other stop signals end the command.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	session, err := c.session(ctx, server)
	if err != nil {
		return advise(err)
	}
	p := &prompt{session: session, in: bufio.NewReader(os.Stdin), terminal: isatty.IsTerminal(os.Stdin.Fd())}
	err = p.loop(ctx)
	if c.ID == "" {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, session.Close(closing))
	}
	return err
}

// closeTimeout is the maximum time for closing the session when the prompt ends.
const closeTimeout = 10 * time.Second

// session returns the session that the flags select. If the flags select no session, it
// opens a new session.
func (c *sessionsPromptCommand) session(ctx context.Context, server *client.Client) (*client.Session, error) {
	if c.ID != "" {
		return server.Session(ctx, c.ID)
	}
	stop := waiting("Opening the session")
	defer stop()
	return server.OpenSession(ctx, c.request())
}

// prompt reads statements and runs them in a session.
type prompt struct {
	session  *client.Session
	in       *bufio.Reader
	terminal bool
}

// loop runs statements until the end of the input.
func (p *prompt) loop(ctx context.Context) error {
	if p.terminal {
		fmt.Fprintf(os.Stderr, "Session %s (%s). Ctrl-D or :quit leaves the prompt.\n", printable.Clean(p.session.ID), printable.Clean(string(p.session.Language)))
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT)
	defer signal.Stop(interrupts)
	for {
		code, err := p.read(ctx)
		if errors.Is(err, io.EOF) && code == "" {
			if p.terminal {
				fmt.Fprintln(os.Stderr)
			}
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		switch strings.TrimSpace(code) {
		case "":
			continue
		case ":quit":
			return nil
		case ":files":
			err = p.files(ctx)
		default:
			err = p.run(ctx, code, interrupts)
		}
		if err != nil {
			return advise(err)
		}
	}
}

// read returns the next complete statement. At the end of the input, it returns the
// remaining lines and io.EOF. If the context ends, it returns immediately.
func (p *prompt) read(ctx context.Context) (string, error) {
	var lines strings.Builder
	for mark := ">>> "; ; mark = "... " {
		if p.terminal {
			fmt.Fprint(os.Stderr, colour(os.Stderr, "1", mark))
		}
		line, err := unlessDone(ctx, func() (string, error) { return p.in.ReadString('\n') })
		lines.WriteString(line)
		if err != nil {
			return lines.String(), err
		}
		if statement.IsComplete(lines.String()) {
			return lines.String(), nil
		}
	}
}

// run runs the code and prints its output and values. SIGINT interrupts the run.
func (p *prompt) run(ctx context.Context, code string, interrupts <-chan os.Signal) error {
	// Discard a SIGINT that arrived while no statement was running. Such a signal must
	// not interrupt this statement.
	select {
	case <-interrupts:
	default:
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-interrupts:
				// Ignore the error. If the session has ended, the event stream reports
				// the end.
				_ = p.session.Interrupt(ctx)
			case <-done:
				return
			}
		}
	}()
	for event, err := range p.session.Stream(ctx, code) {
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case *client.Output:
			if e.Stderr {
				_, _ = os.Stderr.WriteString(e.Text)
			} else {
				_, _ = os.Stdout.WriteString(e.Text)
			}
		case *client.Result:
			if text, ok := e.Value["text/plain"].(string); ok {
				fmt.Fprintln(os.Stdout, text)
			}
		case *client.Ended:
			return p.ended(&e.ExecuteResponse)
		}
	}
	return nil
}

// ended prints a message if a run ended because of a limit, a signal or an interrupt.
// It returns an error if the session has ended.
func (*prompt) ended(run *client.ExecuteResponse) error {
	switch {
	case run.SessionEnded:
		return fmt.Errorf("the session has ended: %s %s", run.Status, run.Reason)
	case run.Status != client.ExecutionStatusSucceeded && run.Status != client.ExecutionStatusFailed:
		fmt.Fprintf(os.Stderr, "pyth-on: %s\n", printable.Clean(strings.ReplaceAll(string(run.Status), "_", " ")))
	}
	return nil
}

func (p *prompt) files(ctx context.Context) error {
	all, err := p.session.Files(ctx)
	for _, f := range all {
		fmt.Fprintf(os.Stdout, "%10d  %s\n", f.SizeBytes, printable.Clean(f.Path))
	}
	return err
}
