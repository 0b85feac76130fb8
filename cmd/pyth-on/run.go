package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/execution"
)

// These are the exit codes of `run` for a program that a signal or a limit ended.
// timeout(1) and shells use the same values. For a signal, the exit code is exitSignal
// plus the number of the signal.
const (
	exitTimedOut = 124
	exitNotRun   = 125
	exitSignal   = 128
)

type runCommand struct {
	File     string            `arg:"" help:"File with the program, or - for standard input."`
	Args     []string          `arg:"" optional:"" passthrough:"" help:"Arguments of the program."`
	Timeout  time.Duration     `default:"${timeout}" help:"Time-out of the program."`
	Memory   int64             `default:"${memory}" unit:"MiB" help:"Memory limit of the program, in MiB."`
	Env      map[string]string `short:"e" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"An environment variable for the program. You can repeat this flag."`
	Language string            `placeholder:"LANGUAGE" help:"Language of the program: python, javascript, typescript or bash (default: from the extension of the file)."`
	CacheDir string            `type:"path" help:"Directory for images (default: a folder in the user's cache directory)."`

	Runtime string   `env:"-" placeholder:"SOURCE" help:"A custom image for the program: a directory, or a tar file from docker save."`
	Preload []string `env:"-" placeholder:"MODULES" help:"Python modules that the custom image imports before the program starts, for example numpy,pandas."`

	Input []string `name:"file" short:"f" type:"existingfile" sep:"none" env:"-" placeholder:"FILE" help:"A file to copy to the working directory of the program. You can repeat this flag."`
	outputFlags
	nodeFlags
	remoteFlags
}

func (*runCommand) Help() string {
	return "Without --server, --profile or --remote, the program runs in a sandbox on this machine. " +
		"The exit code is the exit code of the program. It is 124 after a time-out, and 125 if the program could not run. If a signal ended the program, the exit code is 128 plus the number of the signal."
}

func (c *runCommand) Run() error {
	run := c.runRemote
	if !c.isRemote() {
		if err := c.onlyRemote(); err != nil {
			return err
		}
		if err := ensurePrivileged(); err != nil {
			return err
		}
		run = c.run
	}
	code, err := run()
	if err != nil {
		fail(err, false)
		return exitCode(exitNotRun)
	}
	return exitCode(code)
}

func (c *runCommand) run() (code int, err error) {
	program, err := c.program()
	if err != nil {
		return 0, err
	}
	ctx, stop := untilSignal()
	defer stop()
	limits := execution.DefaultLimits()
	limits.MaxTimeout = max(limits.MaxTimeout, c.Timeout)
	limits.Max.MemoryBytes = max(limits.Max.MemoryBytes, program.Limits.MemoryBytes)
	local, err := app.NewLocal(ctx, &app.LocalConfig{
		CacheDir: c.CacheDir, Node: app.NodeConfig(c.nodeFlags), Images: c.images(), Language: program.Language, Limits: limits,
		Progress: newProgress(os.Stderr).step, Logger: localLogger(),
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	run, err := local.Executions.Execute(ctx, "local", program, nil)
	if err != nil {
		return 0, app.Explain(err)
	}
	return show(run), c.saveLocal(run)
}

// saveLocal saves the files and the rich values of a run on this machine.
func (c *runCommand) saveLocal(run *pyth.Execution) error {
	out := c.outputs()
	for _, f := range run.Files {
		if err := out.saveSelected(f.Path, f.Content); err != nil {
			return err
		}
	}
	for _, r := range run.Results {
		value := client.ResultValue{}
		for mediaType, data := range r {
			if value[mediaType] = data; pyth.IsJSON(mediaType) {
				value[mediaType] = json.RawMessage(data)
			}
		}
		if err := out.saveResult(value); err != nil {
			return err
		}
	}
	return nil
}

// program returns the program that the arguments describe. It reads the program's code
// and standard input.
func (c *runCommand) program() (*pyth.Program, error) {
	p := &pyth.Program{Language: languageOf(c.Language, c.File), Runtime: c.runtime(), Args: c.Args, Timeout: c.Timeout, Limits: pyth.Limits{MemoryBytes: c.Memory << 20}, OutputFiles: c.Output, Results: c.Results}
	for _, path := range c.Input {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, pyth.File{Path: filepath.Base(path), Content: b})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		p.Env = append(p.Env, pyth.EnvVar{Name: name, Value: c.Env[name]})
	}
	var source io.Reader = os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		source = f
	}
	b, err := io.ReadAll(source)
	if err != nil {
		return nil, err
	}
	p.Code = string(b)
	if c.File != "-" && !isatty.IsTerminal(os.Stdin.Fd()) {
		if b, err = io.ReadAll(os.Stdin); err != nil {
			return nil, err
		}
		p.Stdin = string(b)
	}
	return p, nil
}

// show prints the output of the program and returns its exit code.
func show(run *pyth.Execution) int {
	// Ignore errors, because the process that reads standard output may have closed the
	// pipe. The exit code is still valid.
	_, _ = os.Stdout.Write(run.Stdout)
	_, _ = os.Stderr.Write(run.Stderr)
	var exit *int64
	if run.ExitCode != nil {
		exit = new(int64(*run.ExitCode))
	}
	return finish(string(run.Status), exit, run.Signal)
}

// finish prints why a program ended, if the program did not exit by itself. It returns
// the exit code of the command `run`.
func finish(status string, exit *int64, signal string) int {
	if exit != nil {
		return int(*exit)
	}
	note := "the program was killed by " + signal
	code := exitSignal + int(unix.SignalNum(signal))
	switch pyth.Status(status) {
	case pyth.StatusTimedOut:
		note, code = "the program reached its time-out; change it with --timeout", exitTimedOut
	case pyth.StatusOutOfMemory:
		note = "the program reached its memory limit; change it with --memory"
	case pyth.StatusOutputLimit:
		note = "the program exceeded the output limit"
	case pyth.StatusCanceled:
		note, code = "canceled", exitSignal+int(syscall.SIGINT)
	}
	fmt.Fprintln(os.Stderr, "pyth-on: "+note)
	return code
}

// imageName is the name of the custom image that the flag --runtime selects.
const imageName = "own"

// images returns the configuration of the custom image in --runtime with the modules in
// --preload. If neither flag is set, the configuration is empty.
func (c *runCommand) images() app.ImageConfig {
	var config app.ImageConfig
	if c.Runtime != "" {
		config.Runtime = map[string]string{imageName: c.Runtime}
	}
	if len(c.Preload) > 0 {
		config.Preload = map[string]string{imageName: strings.Join(c.Preload, ",")}
	}
	return config
}

// runtime returns the name of the custom image, or "" for the built-in runtime of
// the language.
func (c *runCommand) runtime() pyth.Runtime {
	if c.Runtime == "" {
		return ""
	}
	return imageName
}

// localLogger returns a logger that prints warnings and errors, for commands that do
// not start a server.
func localLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
