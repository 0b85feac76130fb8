// Command pyth-on serves an API that runs untrusted programs in gVisor sandboxes.
// See `pyth-on --help`.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/alecthomas/kong"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/listen"
)

// version is the version of this program. The linker sets it (see Makefile).
var version = "unknown"

type commands struct {
	Serve    serveCommand     `cmd:"" help:"Serve the API over HTTP."`
	Worker   workerCommand    `cmd:"" help:"Run the programs of servers that use --dispatch."`
	Run      runCommand       `cmd:"" help:"Run one program in a sandbox, on this machine or on a server."`
	Generate generateCommand  `cmd:"" help:"Let a model write a program, and run the program on this machine or on a server."`
	Keys     keysCommands     `cmd:"" help:"Rotate and check the encryption keys."`
	Migrate  migrateCommand   `cmd:"" help:"Copy an SQLite database to a PostgreSQL database."`
	Backup   backupCommand    `cmd:"" help:"Copy all data of a server to one file, even while the server runs."`
	Restore  restoreCommand   `cmd:"" help:"Restore a backup to a new data directory."`
	Users    usersCommands    `cmd:"" help:"Manage accounts."`
	Invites  invitesCommands  `cmd:"" help:"Manage invites."`
	Doctor   doctorCommand    `cmd:"" help:"Check whether this host can run sandboxes, and print how to fix problems."`
	Audit    auditCommand     `cmd:"" help:"Check or export the audit log, even while the server runs."`
	Runtime  runtimeCommands  `cmd:"" help:"Build custom images."`
	Settings settingsCommands `cmd:"" help:"Show the settings of a server."`
	Version  versionCommand   `cmd:"" help:"Print the version."`

	Login      loginCommand      `cmd:"" help:"Log in to a server, and store an API key in a profile."`
	Logout     logoutCommand     `cmd:"" help:"Revoke the API key of a profile, and remove the profile."`
	Whoami     whoamiCommand     `cmd:"" help:"Show the account and the server of a profile."`
	Runs       runsCommands      `cmd:"" help:"Manage runs on a server."`
	Sessions   sessionsCommands  `cmd:"" help:"Manage sessions on a server."`
	Files      filesCommands     `cmd:"" help:"Manage the files of sessions."`
	Secrets    secretsCommands   `cmd:"" help:"Manage secrets."`
	Packages   packagesCommands  `cmd:"" help:"Manage packages."`
	ZK         zkCommands        `cmd:"" name:"zk" help:"Manage encrypted programs."`
	MCP        mcpCommand        `cmd:"" name:"mcp" help:"Offer tools to language models, over MCP on standard input and output."`
	Usage      usageCommand      `cmd:"" help:"Show the usage and the quotas of an account."`
	Completion completionCommand `cmd:"" help:"Print a script for the completion of commands in a shell."`
	Complete   completeCommand   `cmd:"" hidden:""`

	Config string `action:"" placeholder:"FILE" help:"Settings file in TOML. With 'off', the command uses no file (default: /etc/pyth-on/pyth-on.toml if it exists, for commands that use a server's data)."`
}

// exitCode is an error without a message. If a command returns it, the process ends
// with this exit code.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	if err := hideSettings(); err != nil {
		os.Exit(fail(err, wantsJSONLog(os.Args[1:], os.Environ(), false)))
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	p, err := parse(args)
	json := wantsJSONLog(args, os.Environ(), p.logsJSON())
	if _, ok := errors.AsType[*kong.ParseError](err); ok && !json {
		p.parser.FatalIfErrorf(err)
	}
	if err == nil {
		err = p.context.Run(p)
	}
	return fail(err, json)
}

func newParser(root *commands, file *settingsFile) (*kong.Kong, error) {
	return kong.New(root,
		kong.Name("pyth-on"),
		kong.Description("Runs untrusted Python, JavaScript, TypeScript and bash programs in gVisor sandboxes. Clients use a REST API.\n\n"+
			"Each flag can also be set with the environment variable shown next to it. Flags of a server or worker can be set in a settings file (--config)."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.DefaultEnvars("PYTH_ON"),
		kong.Vars{
			"model": app.DefaultModel, "letsencrypt": listen.LetsEncrypt, "timeout": pyth.DefaultTimeout.String(), "memory": strconv.FormatInt(pyth.DefaultMemoryBytes>>20, 10),
		},
		kong.Resolvers(file), kong.WithBeforeResolve(file.load),
	)
}

// fail prints the error and returns the exit code of the process. If the error is nil,
// it prints nothing. If "json" is true, it prints the error as a log record in JSON.
func fail(err error, json bool) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if json {
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Error("server failed", "error", err.Error())
		return 1
	}
	fmt.Fprintf(os.Stderr, "pyth-on: error: %s\n", cleanLines(err.Error()))
	return 1
}

type versionCommand struct{}

func (versionCommand) Run() error {
	_, err := fmt.Fprintln(os.Stdout, "pyth-on "+version)
	return err
}
