package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/pyth-on/pyth-on/client"
)

type sessionsCommands struct {
	List      sessionsListCommand      `cmd:"" help:"List the open sessions."`
	Open      sessionsOpenCommand      `cmd:"" help:"Open a session, and print its ID."`
	Prompt    sessionsPromptCommand    `cmd:"" help:"Type code and run it in a session, one statement at a time."`
	Show      sessionsShowCommand      `cmd:"" help:"Show a session. This also prolongs the session."`
	Change    sessionsChangeCommand    `cmd:"" help:"Change the name, the labels or the idle time-out of a session. This also prolongs the session."`
	Exec      sessionsExecCommand      `cmd:"" help:"Run a command or a shell in a session, with or without a terminal."`
	Interrupt sessionsInterruptCommand `cmd:"" help:"Interrupt the current run of a session. The session keeps its variables."`
	Close     sessionsCloseCommand     `cmd:"" help:"End a session, and delete its variables and files."`
}

// sessionFlags are the flags with the settings of a new session.
type sessionFlags struct {
	Language string        `env:"-" default:"python" help:"Language of a new session: python, javascript, typescript or bash."`
	Idle     time.Duration `env:"-" help:"Time without use after which a new session ends (default: a setting of the server)."`
	Memory   int64         `env:"-" help:"Memory limit of a new session, in MiB (default: a setting of the server)."`
	Secret   []string      `env:"-" sep:"none" placeholder:"NAME" help:"A secret for a new session (default: all secrets). You can repeat this flag. With 'none', the session gets no secrets."`
	Allow    []string      `env:"-" placeholder:"HOSTS" help:"Hosts that programs of a new session may connect to."`
	Name     string        `env:"-" help:"Name of a new session."`
	Label    []string      `env:"-" sep:"none" help:"A label for a new session. You can repeat this flag."`
}

func (f *sessionFlags) request() *client.SessionRequest {
	r := &client.SessionRequest{
		Language: client.Language(f.Language), IdleTimeoutMs: f.Idle.Milliseconds(), Secrets: secretNames(f.Secret),
		Name: f.Name, Labels: f.Label,
	}
	if f.Memory > 0 {
		r.Limits = &client.LimitsRequest{MemoryBytes: f.Memory << 20}
	}
	if len(f.Allow) > 0 {
		r.Network = &client.NetworkRequest{Allow: f.Allow}
	}
	return r
}

type sessionsListCommand struct {
	jsonFlag
	connectFlags
}

func (c *sessionsListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions list")
	if err != nil {
		return err
	}
	all, err := client.Collect(server.Sessions(ctx))
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"sessions": all})
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		state := "idle"
		if s.Running {
			state = "running"
		}
		rows[i] = []string{s.ID, s.Name, string(s.Language), state, strconv.FormatInt(s.Executions, 10), localTime(s.CreatedAt), localTime(s.ExpiresAt)}
	}
	return printRows("ID\tNAME\tLANGUAGE\tSTATE\tRUNS\tCREATED\tEXPIRES", rows)
}

type sessionsOpenCommand struct {
	sessionFlags
	jsonFlag
	connectFlags
}

func (*sessionsOpenCommand) Help() string {
	return "Run programs in the session with `pyth-on run --session ID --remote FILE` or `pyth-on sessions prompt ID`."
}

func (c *sessionsOpenCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions open")
	if err != nil {
		return err
	}
	stopWaiting := waiting("Opening the session")
	session, err := server.OpenSession(ctx, c.request())
	stopWaiting()
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(session.SessionInfo)
	}
	_, err = fmt.Fprintln(os.Stdout, session.ID)
	return err
}

// sessionArg is the argument that selects a session.
type sessionArg struct {
	ID string `arg:"" help:"ID of the session."`
}

type sessionsInterruptCommand struct {
	sessionArg
	jsonFlag
	connectFlags
}

func (c *sessionsInterruptCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions interrupt")
	if err != nil {
		return err
	}
	session, err := server.Session(ctx, c.ID)
	if err == nil {
		err = session.Interrupt(ctx)
	}
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"session": c.ID, "interrupted": true})
	}
	_, err = fmt.Fprintf(os.Stdout, "Interrupted the session %s.\n", c.ID)
	return err
}

type sessionsCloseCommand struct {
	sessionArg
	jsonFlag
	connectFlags
}

func (c *sessionsCloseCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions close")
	if err != nil {
		return err
	}
	session, err := server.Session(ctx, c.ID)
	if err == nil {
		err = session.Close(ctx)
	}
	if err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "session", c.ID)
}
