package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/client"
)

type sessionsExecCommand struct {
	sessionArg
	Cwd string            `env:"-" placeholder:"DIR" help:"Working directory in the session."`
	Set map[string]string `name:"env" env:"-" mapsep:"none" placeholder:"NAME=VALUE" help:"An environment variable. You can repeat this flag."`
	TTY string            `name:"tty" env:"-" enum:"auto,yes,no" default:"auto" help:"Whether the command gets a terminal: yes, no or auto. With auto, the command gets a terminal if standard input and standard output are terminals."`
	connectFlags
	Command []string `arg:"" optional:"" passthrough:"" help:"The command and its arguments (default: a shell)."`
}

func (*sessionsExecCommand) Help() string {
	return "Runs a command in a session, beside the interpreter of the session. `pyth-on` exits with the exit code of the command. If a signal ended the command, the exit code is 128 plus the number of the signal. " +
		"If the connection is lost, the command continues in the session."
}

func (c *sessionsExecCommand) Run() error {
	server, err := c.connect("sessions exec")
	if err != nil {
		return err
	}
	// If the started command has a terminal, the interrupt key sends no signal. It is
	// input for the started command.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	defer stop()
	session, err := server.Session(ctx, c.ID)
	if err != nil {
		return advise(err)
	}
	ended, err := c.exec(ctx, session)
	if err != nil {
		return advise(err)
	}
	if ended.Signal != "" {
		return exitCode(128 + int(unix.SignalNum(ended.Signal)))
	}
	if ended.ExitCode != nil && *ended.ExitCode != 0 {
		return exitCode(int(*ended.ExitCode))
	}
	return nil
}

// exec runs the command and returns the process when it has ended.
func (c *sessionsExecCommand) exec(ctx context.Context, session *client.Session) (*client.Process, error) {
	r := &client.ProcessRequest{Args: c.arguments(), Cwd: c.Cwd, Env: c.Set, Stdin: true}
	if c.wantsTerminal() {
		size := terminalSize()
		r.TTY = &size
		if name := os.Getenv("TERM"); name != "" && r.Env["TERM"] == "" {
			if r.Env == nil {
				r.Env = map[string]string{}
			}
			r.Env["TERM"] = name
		}
	}
	p, err := session.StartProcess(ctx, r)
	if err != nil {
		return nil, err
	}
	attached, err := session.AttachProcess(ctx, p.PID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = attached.Close() }()
	if r.TTY != nil {
		restore, err := makeRaw(int(os.Stdin.Fd()))
		if err != nil {
			return nil, err
		}
		defer restore()
		go followSize(ctx, attached)
	}
	go func() {
		if _, err := io.Copy(attached, os.Stdin); err == nil {
			_ = attached.CloseInput()
		}
	}()
	return attached.Copy(os.Stdout, os.Stderr)
}

// arguments returns the command line of the process.
func (c *sessionsExecCommand) arguments() []string {
	all := c.Command
	if len(all) > 0 && all[0] == "--" {
		all = all[1:]
	}
	if len(all) == 0 {
		return []string{"bash"}
	}
	return all
}

func (c *sessionsExecCommand) wantsTerminal() bool {
	switch c.TTY {
	case "yes":
		return true
	case "no":
		return false
	default:
		return isatty.IsTerminal(os.Stdin.Fd()) && isatty.IsTerminal(os.Stdout.Fd())
	}
}

// terminalSize returns the size of the terminal, or a default size if there is no
// terminal.
func terminalSize() client.TerminalSize {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return client.TerminalSize{Columns: 80, Rows: 24}
	}
	return client.TerminalSize{Columns: int64(size.Col), Rows: int64(size.Row)}
}

// followSize sends each change of the size of the terminal to the process.
func followSize(ctx context.Context, attached *client.Attachment) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	defer signal.Stop(changed)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if attached.Resize(terminalSize()) != nil {
			return
		}
	}
}

// makeRaw sets the terminal to raw mode. In this mode, the terminal passes each key to
// this command without interpretation. The caller must call the function "restore" at the
// end. Without a terminal, makeRaw does nothing.
func makeRaw(fd int) (restore func(), err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if errors.Is(err, unix.ENOTTY) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	raw := *before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}
