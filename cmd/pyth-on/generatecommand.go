package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

type generateCommand struct {
	Prompt     string        `arg:"" help:"What the program is to do, or - to read it from standard input."`
	Server     string        `placeholder:"URL" help:"A server to ask, with the API key that is in PYTH_ON_API_KEY (default: all is done here, with ANTHROPIC_API_KEY)."`
	APIKeyFile string        `name:"api-key-file" type:"existingfile" help:"File of the API key of the server."`
	Language   string        `default:"python" help:"What to write the program in: python, javascript or typescript."`
	Execute    bool          `default:"true" negatable:"" help:"Whether the program is run, and mended when it fails."`
	Attempts   int           `default:"3" help:"How many programs may be written until one succeeds."`
	File       []string      `short:"f" type:"existingfile" sep:"none" env:"-" help:"A file to put beside the program; may be repeated."`
	Allow      []string      `env:"-" help:"Hosts that the program may reach."`
	Session    string        `env:"-" help:"A session of the server to run in."`
	Timeout    time.Duration `default:"30s" help:"How long each run may take by the clock."`
	Memory     int64         `default:"256" help:"How much memory each run may take, in MiB."`
	CacheDir   string        `type:"path" help:"Where the sandboxes' root file system is kept (default: in the user's cache directory)."`

	modelFlags
	nodeFlags
}

func (c *generateCommand) Run() error {
	if c.Server == "" {
		if err := privileged(); err != nil {
			return err
		}
	}
	code, err := c.run()
	if err != nil {
		fail(err, nil)
		return exitCode(exitNotRun)
	}
	return exitCode(code)
}

func (c *generateCommand) run() (int, error) {
	request, err := c.request()
	if err != nil {
		return 0, err
	}
	ctx, stop := untilSignal()
	defer stop()
	ask := c.here
	if c.Server != "" {
		ask = c.there
	}
	g, err := ask(ctx, request)
	if err != nil {
		return 0, explain(err)
	}
	return showGeneration(g), nil
}

// request reads the prompt and the files.
func (c *generateCommand) request() (*pyth.GenerateRequest, error) {
	r := &pyth.GenerateRequest{
		Prompt: c.Prompt, Language: pyth.Language(c.Language), Execute: c.Execute, MaxAttempts: c.Attempts, AllSecrets: true,
		Timeout: c.Timeout, Limits: pyth.Limits{MemoryBytes: c.Memory << 20}, Network: c.Allow, Session: pyth.SessionID(c.Session),
	}
	if c.Prompt == "-" {
		b, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, err
		}
		r.Prompt = string(b)
	}
	for _, path := range c.File {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r.Files = append(r.Files, pyth.File{Path: filepath.Base(path), Content: b})
	}
	return r, nil
}

// here has the program run on this machine.
func (c *generateCommand) here(ctx context.Context, r *pyth.GenerateRequest) (_ *pyth.Generation, err error) {
	model, err := c.model()
	if err != nil {
		return nil, err
	}
	if model == nil {
		return nil, errors.New("there is no model: set ANTHROPIC_API_KEY or --anthropic-key-file, or ask a server with --server")
	}
	limits := execution.DefaultLimits()
	limits.MaxTimeout = max(limits.MaxTimeout, c.Timeout)
	limits.Max.MemoryBytes = max(limits.Max.MemoryBytes, r.Limits.MemoryBytes)
	way, err := networkFlags{Egress: "on"}.network(unwatched{})
	if err != nil {
		return nil, err
	}
	run, err := openLocal(ctx, &localConfig{cache: c.CacheDir, node: c.nodeFlags, language: r.Language, limits: limits, network: way})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	service := generate.New(generate.Config{
		Model: model, Default: c.Model, Timeout: c.GenerateTimeout, Executions: run.executions, Languages: run.languages, Limits: limits,
		Check: check(run.executions), Clock: now,
	})
	return service.Generate(ctx, "local", r, nil)
}

// check is that of a generate.Config.
func check(executions *execution.Service) func(pyth.UserID, *pyth.Program) error {
	return func(user pyth.UserID, p *pyth.Program) error {
		_, err := executions.Job(user, p)
		return err
	}
}

// unwatched is for connections that nobody counts.
type unwatched struct{}

func (unwatched) Finished(egress.Connection) {}

// showGeneration prints what was asked for to standard output, which is what the
// program printed, or the program if it was not run; and all else to standard
// error. It returns the program's exit code.
func showGeneration(g *pyth.Generation) int {
	for i, a := range g.Attempts[:len(g.Attempts)-1] {
		fmt.Fprintf(os.Stderr, "pyth-on: attempt %d %s%s\n", i+1, strings.ReplaceAll(string(a.Execution.Status), "_", " "), because(a.Execution))
	}
	last := g.Last()
	fmt.Fprintf(os.Stderr, "%s\n\n", last.Explanation)
	for _, name := range g.MissingPackages {
		fmt.Fprintf(os.Stderr, "pyth-on: the package %s is not installed\n", name)
	}
	if g.Stopped != nil {
		fmt.Fprintf(os.Stderr, "pyth-on: %s\n", g.Stopped.Message)
	}
	code := strings.TrimRight(last.Code, "\n")
	if last.Execution == nil {
		// Nobody may be reading any more.
		_, _ = fmt.Fprintln(os.Stdout, code)
		if g.Stopped != nil {
			return exitNotRun
		}
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s\n\n", code)
	exit := show(last.Execution)
	for _, r := range last.Execution.Results {
		if text, ok := r["text/plain"]; ok {
			_, _ = fmt.Fprintln(os.Stdout, text)
		}
	}
	return exit
}

// because is why a run failed, if the program said.
func because(e *pyth.Execution) string {
	if e.Error == nil {
		return ""
	}
	first, _, _ := strings.Cut(e.Error.Message, "\n")
	return fmt.Sprintf(": %s: %s", e.Error.Name, first)
}
