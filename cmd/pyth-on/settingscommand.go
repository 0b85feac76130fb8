package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"syscall"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/pyth-on/pyth-on/internal/settings"
)

type settingsCommands struct {
	Show      settingsShowCommand      `cmd:"" help:"Show the settings of a server or worker: values, and where they come from."`
	Example   settingsExampleCommand   `cmd:"" help:"Print an example of a settings file, with all settings and their defaults."`
	Reference settingsReferenceCommand `cmd:"" hidden:"" help:"Print the tables of docs/settings.md."`
}

type settingsShowCommand struct {
	JSON    bool `name:"json" help:"Print the settings as JSON."`
	Running bool `help:"Show the settings of the running server that uses the data directory in --data-dir."`
	dataFlags
	Command []string `arg:"" optional:"" passthrough:"" help:"The command 'serve' or 'worker', and its flags (default: 'serve')."`
}

func (*settingsShowCommand) Help() string {
	return "The command shows the settings that a server would have if it started now in this environment. " +
		"Passwords in URLs are masked."
}

// Run prints the settings that the given command line would use.
func (c *settingsShowCommand) Run(parent *parsed) error {
	if c.Running {
		ctx, stop := untilSignal()
		defer stop()
		list, err := runningSettings(ctx, c.DataDir)
		if err != nil {
			return err
		}
		return printSettings(list, c.JSON)
	}
	args := c.Command
	if len(args) == 0 {
		args = []string{"serve"}
	}
	if args[0] != "serve" && args[0] != "worker" {
		return fmt.Errorf("%s has no settings; write serve or worker, and then its flags", args[0])
	}
	if config := parent.root.Config; config != "" {
		args = slices.Insert(slices.Clone(args), 1, "--config="+config)
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	return printSettings(p.settings(), c.JSON)
}

func printSettings(list []settings.Setting, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(list)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tORIGIN\tRELOAD")
	for _, s := range list {
		origin := string(s.Origin)
		if s.Source != "" {
			origin += " " + s.Source
		}
		reload := "no"
		switch {
		case s.RestartNeeded:
			reload = "restart to change it"
		case s.Reload:
			reload = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Value, origin, reload)
	}
	return w.Flush()
}

// runningSettings returns the settings of the running server that uses the data
// directory.
func runningSettings(ctx context.Context, dataDir string) (list []settings.Setting, err error) {
	err = throughControl(dataDir, "pyth-on settings show", func(c *adminClient) error {
		return c.do(ctx, http.MethodGet, "/settings", nil, &list)
	})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no server runs in the data directory %s; start it, or choose another directory with --data-dir", dataDir)
	}
	return list, err
}

type settingsExampleCommand struct{}

// Run prints an example of a settings file.
func (settingsExampleCommand) Run(p *parsed) error {
	return settings.WriteExample(os.Stdout, sections(p.context.Model.Node))
}

type settingsReferenceCommand struct{}

// Run prints a reference of all settings in tables.
func (settingsReferenceCommand) Run(p *parsed) error {
	return settings.WriteReference(os.Stdout, sections(p.context.Model.Node))
}

// sections returns the settings of a server, followed by the settings that only workers
// have.
func sections(app *kong.Node) []settings.Section {
	serve := settings.Section{Title: "Settings of a server"}
	for _, flag := range settingsOf(commandNamed(app, "serve")) {
		serve.Definitions = append(serve.Definitions, define(flag))
	}
	worker := settings.Section{Title: "Settings of a worker"}
	for _, flag := range settingsOf(commandNamed(app, "worker")) {
		if d := define(flag); !slices.ContainsFunc(serve.Definitions, func(s settings.Definition) bool {
			return s.Name == d.Name && s.Default == d.Default && s.Help == d.Help
		}) {
			worker.Definitions = append(worker.Definitions, d)
		}
	}
	return []settings.Section{serve, worker}
}

// The type "parsed" contains a parsed command line, and the settings from the
// environment and the settings file.
type parsed struct {
	args    []string
	root    *commands
	parser  *kong.Kong
	context *kong.Context
	file    *settingsFile
}

// parse parses the command line. Even if it returns an error, the result can contain a
// parser and the settings file.
func parse(args []string) (*parsed, error) {
	p := &parsed{args: args, root: new(commands), file: new(settingsFile)}
	var err error
	if p.parser, err = newParser(p.root, p.file); err != nil {
		panic(err) // The struct type named "commands" has invalid tags.
	}
	if err := checkEnvironment(p.parser.Model.Node, os.Environ()); err != nil {
		return p, err
	}
	p.context, err = p.parser.Parse(args)
	return p, err
}

// settings returns the settings of the parsed command.
func (p *parsed) settings() []settings.Setting { return current(p.context, p.file) }

// logsJSON reports whether the settings file selects a log in JSON.
func (p *parsed) logsJSON() bool {
	return p.file.texts["log-format"] == jsonFormat
}
