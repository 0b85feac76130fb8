package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
)

type runsCommands struct {
	List   runsListCommand   `cmd:"" help:"List the runs on a server, newest first."`
	Show   runsShowCommand   `cmd:"" help:"Show a run: state, times, resources and code."`
	Output runsOutputCommand `cmd:"" help:"Print the output of a run, even while the run continues, and save the files of the run."`
	Cancel runsCancelCommand `cmd:"" help:"Cancel a run."`
	Delete runsDeleteCommand `cmd:"" help:"Delete a run with its code and output."`
}

type runsListCommand struct {
	Limit    int       `env:"-" short:"n" default:"20" help:"Maximum number of runs. The value 0 means all runs."`
	State    string    `env:"-" default:"any" enum:"any,queued,running,ended" help:"List only runs in this state: ${enum}."`
	Status   string    `env:"-" help:"List only runs with this status, for example failed or timed_out."`
	Language string    `env:"-" help:"List only runs in this language."`
	Label    string    `env:"-" help:"List only runs with this label."`
	Session  string    `env:"-" placeholder:"ID" help:"List only runs in this session."`
	Since    time.Time `env:"-" help:"List only runs that were created at or after this time, for example 2026-04-04T00:00:00Z."`
	Until    time.Time `env:"-" help:"List only runs that were created before this time."`

	jsonFlag
	connectFlags
}

func (c *runsListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("runs list")
	if err != nil {
		return err
	}
	filter := client.ExecutionFilter{
		Status: client.ExecutionStatus(c.Status), Language: client.Language(c.Language), Label: c.Label, SessionID: c.Session,
		Since: c.Since, Until: c.Until,
	}
	if c.State != "any" {
		filter.State = client.ExecutionState(c.State)
	}
	all, err := atMost(server.Executions(ctx, filter), c.Limit)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"executions": all})
	}
	rows := make([][]string, len(all))
	for i, run := range all {
		rows[i] = []string{
			run.ID, localTime(run.CreatedAt), string(run.Language), stateOf(run.State, run.Status), exitText(run.ExitCode), wallTime(run.Usage),
			strings.Join(run.Labels, ","),
		}
	}
	return printRows("ID\tCREATED\tLANGUAGE\tSTATUS\tEXIT\tTIME\tLABELS", rows)
}

// atMost returns at most "limit" items. If the limit is 0, it returns all items. The
// result is never nil, because JSON must show an empty list as [].
func atMost[Item any](all iter.Seq2[Item, error], limit int) ([]Item, error) {
	items := []Item{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		if items = append(items, item); len(items) == limit {
			break
		}
	}
	return items, nil
}

// stateOf returns the status of a run that has ended. For other runs it returns the
// state, for example "queued".
func stateOf(state client.ExecutionState, status client.ExecutionStatus) string {
	return cmp.Or(string(status), string(state))
}

func exitText(code *int64) string {
	if code == nil {
		return ""
	}
	return strconv.FormatInt(*code, 10)
}

func wallTime(u *client.Usage) string {
	if u == nil {
		return ""
	}
	return (time.Duration(u.WallMs) * time.Millisecond).String()
}

// runArg is the argument that selects a run.
type runArg struct {
	ID string `arg:"" help:"ID of the run."`
}

type runsShowCommand struct {
	runArg
	Wait bool `env:"-" help:"Wait until the run has ended."`
	jsonFlag
	connectFlags
}

func (c *runsShowCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("runs show")
	if err != nil {
		return err
	}
	run, err := c.get(ctx, server)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(run)
	}
	row := func(name, value string) {
		if value = printable.Clean(value); name == "status" {
			value = colour(os.Stdout, statusColour(run.Status), value)
		}
		if value != "" {
			fmt.Fprintf(os.Stdout, "%-9s %s\n", name, value)
		}
	}
	row("id", run.ID)
	row("language", string(run.Language))
	row("status", stateOf(run.State, run.Status))
	row("exit code", exitText(run.ExitCode))
	row("signal", run.Signal)
	row("reason", run.Reason)
	row("session", run.SessionID)
	row("labels", strings.Join(run.Labels, ", "))
	row("created", localTime(run.CreatedAt))
	row("started", localTime(run.StartedAt))
	row("ended", localTime(run.EndedAt))
	row("time", wallTime(run.Usage))
	row("content", string(run.Content))
	if run.Error != nil {
		row("error", run.Error.Name+": "+run.Error.Message)
	}
	if run.Code != "" {
		_, err = fmt.Fprintf(os.Stdout, "\n%s\n", cleanLines(strings.TrimRight(run.Code, "\n")))
	}
	return err
}

func (c *runsShowCommand) get(ctx context.Context, server *client.Client) (*client.Execution, error) {
	if !c.Wait {
		return server.Execution(ctx, c.ID)
	}
	stop := waiting("Waiting for the end of the run")
	defer stop()
	return server.Wait(ctx, c.ID)
}

// statusColour returns the colour of a status: green for success, yellow for runs that
// have not ended, and red for all other statuses.
func statusColour(status client.ExecutionStatus) string {
	switch status {
	case client.ExecutionStatusSucceeded:
		return "32"
	case "":
		return "33"
	default:
		return "31"
	}
}

type runsOutputCommand struct {
	runArg
	Results   bool   `env:"-" help:"Save the rich values of the program, such as figures, as files."`
	OutputDir string `env:"-" default:"." placeholder:"DIR" help:"Directory for saved files and rich values (default: the working directory)."`
	jsonFlag
	connectFlags
}

func (*runsOutputCommand) Help() string {
	return "The command prints the output as the program wrote it. If the program is running, the command also prints new output until the program ends. The command saves the files of the run, except hidden files. The exit code is the exit code of the program."
}

func (c *runsOutputCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("runs output")
	if err != nil {
		return err
	}
	if c.JSON {
		run, err := server.Wait(ctx, c.ID)
		if err != nil {
			return advise(err)
		}
		return printJSON(map[string]any{
			"id": run.ID, "status": run.Status, "content": run.Content, "stdout": run.Stdout, "stderr": run.Stderr, "results": run.Results, "files": run.Files,
		})
	}
	ended, err := showEvents(server.Events(ctx, c.ID), &outputs{dir: c.OutputDir, results: c.Results})
	if err != nil {
		return advise(err)
	}
	if code := finish(string(ended.Status), ended.ExitCode, ended.Signal); code != 0 {
		return exitCode(code)
	}
	return nil
}

type runsCancelCommand struct {
	runArg
	jsonFlag
	connectFlags
}

func (c *runsCancelCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("runs cancel")
	if err != nil {
		return err
	}
	run, err := server.Cancel(ctx, c.ID)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(run)
	}
	text := "Canceled the run"
	if run.State == client.ExecutionStateEnded {
		text = "The run has already ended:"
	}
	_, err = fmt.Fprintf(os.Stdout, "%s %s.\n", text, run.ID)
	return err
}

type runsDeleteCommand struct {
	runArg
	jsonFlag
	connectFlags
}

func (c *runsDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("runs delete")
	if err != nil {
		return err
	}
	if err := server.DeleteExecution(ctx, c.ID); err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "run", c.ID)
}

// printDeleted prints that an object was deleted.
func printDeleted(asJSON bool, kind, name string) error {
	if asJSON {
		return printJSON(map[string]any{kind: name, "deleted": true})
	}
	_, err := fmt.Fprintf(os.Stdout, "Deleted the %s %s.\n", kind, printable.Clean(name))
	return err
}
