package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
)

type sessionsShowCommand struct {
	sessionArg
	jsonFlag
	connectFlags
}

func (c *sessionsShowCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions show")
	if err != nil {
		return err
	}
	session, err := server.Session(ctx, c.ID)
	if err != nil {
		return advise(err)
	}
	return printSession(c.JSON, &session.SessionInfo)
}

type sessionsChangeCommand struct {
	sessionArg

	Name     *string       `env:"-" help:"New name. An empty name removes the name."`
	Label    []string      `env:"-" sep:"none" help:"A new label. You can repeat this flag. The new labels replace all earlier labels."`
	NoLabels bool          `env:"-" help:"Remove all labels."`
	Idle     time.Duration `env:"-" help:"New idle time-out."`
	jsonFlag
	connectFlags
}

func (*sessionsChangeCommand) Help() string {
	return "Without flags, the command only prolongs the session: the idle time-out starts again."
}

func (c *sessionsChangeCommand) Run() error {
	change, err := c.change()
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("sessions change")
	if err != nil {
		return err
	}
	session, err := server.Session(ctx, c.ID)
	if err == nil {
		err = session.Change(ctx, change)
	}
	if err != nil {
		return advise(err)
	}
	return printSession(c.JSON, &session.SessionInfo)
}

// change returns the change that the flags describe.
func (c *sessionsChangeCommand) change() (*client.SessionChange, error) {
	if c.NoLabels && len(c.Label) > 0 {
		return nil, errors.New("--label and --no-labels cannot be used together: remove one of them")
	}
	change := &client.SessionChange{Name: c.Name}
	if c.NoLabels || len(c.Label) > 0 {
		labels := append([]string{}, c.Label...)
		change.Labels = &labels
	}
	if c.Idle != 0 {
		idle := c.Idle.Milliseconds()
		change.IdleTimeoutMs = &idle
	}
	return change, nil
}

// printSession prints the description of a session.
func printSession(asJSON bool, s *client.SessionInfo) error {
	if asJSON {
		return printJSON(s)
	}
	state := "idle"
	if s.Running {
		state = "running"
	}
	rows := [][2]string{
		{"ID", s.ID},
		{"Name", s.Name},
		{"Labels", strings.Join(s.Labels, ", ")},
		{"Language", string(s.Language)},
		{"State", state},
		{"Runs", fmt.Sprint(s.Executions)},
		{"Created", localTime(s.CreatedAt)},
		{"Expires", localTime(s.ExpiresAt)},
		{"Idle time-out", (time.Duration(s.IdleTimeoutMs) * time.Millisecond).String()},
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(os.Stdout, "%-14s %s\n", row[0]+":", printable.Clean(row[1])); err != nil {
			return err
		}
	}
	return nil
}
