// Command pyth-on serves an API that runs untrusted Python in gVisor
// sandboxes. See `pyth-on --help`.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/pyth-on/pyth-on/internal/generate/claude"
	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// version is set by the build.
var version = "unknown"

// commands are the subcommands and their settings.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Serve the API over HTTP."`
	Run      runCommand      `cmd:"" help:"Run one program in a sandbox, without a server."`
	Generate generateCommand `cmd:"" help:"Have a model write a program and run it, here or on a server."`
	Keys     keysCommands    `cmd:"" help:"Rotate and check the keys by which secrets are encrypted."`
	Users    usersCommands   `cmd:"" help:"Create accounts."`
	Doctor   doctorCommand   `cmd:"" help:"Check what this host can do, point by point, by trying it."`
	Audit    auditCommand    `cmd:"" help:"Check or export the audit log, also while a server runs."`
	Runtime  runtimeCommands `cmd:"" help:"Make runtimes of one's own."`
	Version  versionCommand  `cmd:"" help:"Show the version."`
}

// exitCode ends the program with a code and nothing more to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	// gVisor is this same program under another name.
	if sandbox.RunsGVisor(os.Args[0]) {
		sandbox.GVisorMain()
	}
	if err := hideSettings(); err != nil {
		os.Exit(fail(err, os.Args[1:]))
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	parser, err := kong.New(new(commands),
		kong.Name("pyth-on"),
		kong.Description("Runs untrusted Python safely and fast, in gVisor sandboxes, behind a REST API.\n\n"+
			"Every flag can be set in the environment instead, as shown beside it."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.DefaultEnvars("PYTH_ON"),
		kong.Vars{"model": claude.DefaultModel},
	)
	if err != nil {
		panic(err) // The struct above is at fault.
	}
	if err := checkEnvironment(parser.Model.Node, os.Environ()); err != nil {
		return fail(err, args)
	}
	context, err := parser.Parse(args)
	if err != nil {
		if wantsJSONLog(args, os.Environ()) {
			return fail(err, args)
		}
		parser.FatalIfErrorf(err)
	}
	return fail(context.Run(), args)
}

// fail reports what went wrong, if anything, and returns the exit code. A
// server whose log is JSON reports it as a log record.
func fail(err error, args []string) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if wantsJSONLog(args, os.Environ()) {
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Error("the server ended", "error", err.Error())
		return 1
	}
	fmt.Fprintf(os.Stderr, "pyth-on: error: %v\n", err)
	return 1
}

type versionCommand struct{}

func (versionCommand) Run() error {
	_, err := fmt.Fprintln(os.Stdout, "pyth-on "+version)
	return err
}
