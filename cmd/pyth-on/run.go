package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

// Exit codes of `run` where the program has none of its own, as timeout(1) and
// shells use them.
const (
	exitTimedOut = 124
	exitNotRun   = 125
	exitSignal   = 128
)

type runCommand struct {
	File     string            `arg:"" help:"The program, or - to read it from standard input."`
	Args     []string          `arg:"" optional:"" passthrough:"" help:"Arguments of the program."`
	Timeout  time.Duration     `default:"30s" help:"How long the program may take by the clock."`
	Memory   int64             `default:"256" help:"How much memory it may take, in MiB."`
	Env      map[string]string `short:"e" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"An environment variable; may be repeated."`
	Language string            `placeholder:"LANGUAGE" help:"What the program is written in: python, javascript or typescript (default: as the name of the file says)."`
	CacheDir string            `type:"path" help:"Where the sandboxes' root file system is kept (default: in the user's cache directory)."`

	Runtime string   `env:"-" placeholder:"SOURCE" help:"A root file system of one's own to run it in: a directory, or a tar file as docker save writes it."`
	Preload []string `env:"-" placeholder:"MODULES" help:"Modules that its Python has imported before the program starts, such as numpy,pandas."`

	nodeFlags
}

func (c *runCommand) Run() error {
	if err := privileged(); err != nil {
		return err
	}
	code, err := c.run()
	if err != nil {
		fail(err, nil)
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
	here, err := openLocal(ctx, &localConfig{
		cache: c.CacheDir, node: c.nodeFlags, runtimes: c.own(), language: program.Language, limits: limits,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, here.close()) }()
	run, err := here.executions.Execute(ctx, "local", program, nil)
	if err != nil {
		return 0, explain(err)
	}
	return show(run), nil
}

// program reads the program and its input.
func (c *runCommand) program() (*pyth.Program, error) {
	p := &pyth.Program{Language: c.language(), Runtime: c.runtime(), Args: c.Args, Timeout: c.Timeout, Limits: pyth.Limits{MemoryBytes: c.Memory << 20}}
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

// show prints what the program printed, and returns its exit code.
func show(run *pyth.Execution) int {
	// Nobody may be reading any more; the exit code still counts.
	_, _ = os.Stdout.Write(run.Stdout)
	_, _ = os.Stderr.Write(run.Stderr)
	if run.ExitCode != nil {
		return *run.ExitCode
	}
	note := "the program was ended by " + run.Signal
	code := exitSignal + int(unix.SignalNum(run.Signal))
	switch run.Status {
	case pyth.StatusTimedOut:
		note, code = "the program took too long; see --timeout", exitTimedOut
	case pyth.StatusOutOfMemory:
		note = "the program needed too much memory; see --memory"
	case pyth.StatusOutputLimit:
		note = "the program printed more than fits into an answer"
	case pyth.StatusCanceled:
		note, code = "canceled", exitSignal+int(syscall.SIGINT)
	}
	fmt.Fprintln(os.Stderr, "pyth-on: "+note)
	return code
}

// explain puts the faults of a program into words for a command line.
func explain(err error) error {
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	var faults []string
	for _, f := range e.Fields {
		faults = append(faults, strings.TrimPrefix(f.Location, "body.")+": "+f.Message)
	}
	return errors.New(strings.Join(faults, "; "))
}
