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
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/execution"
)

type generateCommand struct {
	Prompt     string        `arg:"" help:"Description of the program, or - for standard input."`
	Server     string        `placeholder:"URL" help:"URL of a Pyth-On server that generates and runs the program. Set PYTH_ON_API_KEY to an API key of the server. Without this flag, the command runs the program on this machine, and needs the API key for the model in ANTHROPIC_API_KEY or --anthropic-key-file."`
	APIKeyFile string        `name:"api-key-file" type:"existingfile" help:"File with the API key for the server."`
	Language   string        `default:"python" help:"Language of the program: python, javascript or typescript."`
	Execute    bool          `default:"true" negatable:"" help:"Run the program. If the program fails, the model corrects it."`
	Attempts   int           `default:"3" help:"Maximum number of attempts. In each attempt, the model writes one program."`
	File       []string      `short:"f" type:"existingfile" sep:"none" env:"-" help:"A file to copy to the working directory of the program. You can repeat this flag."`
	Allow      []string      `env:"-" help:"Hosts that the program may connect to."`
	Session    string        `env:"-" help:"ID of a session on the server. The program runs in this session."`
	Timeout    time.Duration `default:"${timeout}" help:"Time-out of each run."`
	Memory     int64         `default:"${memory}" unit:"MiB" help:"Memory limit of each run, in MiB."`
	CacheDir   string        `type:"path" help:"Directory for images (default: a folder in the user's cache directory)."`

	modelFlags
	nodeFlags
}

func (c *generateCommand) Run() error {
	if c.Server == "" {
		if err := ensurePrivileged(); err != nil {
			return err
		}
	}
	code, err := c.run()
	if err != nil {
		fail(err, false)
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
	generate := c.runLocal
	if c.Server != "" {
		generate = c.runRemote
	}
	g, err := generate(ctx, request)
	if err != nil {
		return 0, app.Explain(err)
	}
	return showGeneration(g), nil
}

// request returns the request that the flags describe. It reads the files that the
// flags name. If the prompt is on standard input, it also reads the prompt.
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

func (c *generateCommand) runLocal(ctx context.Context, r *pyth.GenerateRequest) (_ *pyth.Generation, err error) {
	model, err := c.config()
	if err != nil {
		return nil, err
	}
	if len(model.Key) == 0 {
		return nil, errors.New("no API key for the model; set ANTHROPIC_API_KEY or --anthropic-key-file, or use a server with --server")
	}
	limits := execution.DefaultLimits()
	limits.MaxTimeout = max(limits.MaxTimeout, c.Timeout)
	limits.Max.MemoryBytes = max(limits.Max.MemoryBytes, r.Limits.MemoryBytes)
	local, err := app.NewLocal(ctx, &app.LocalConfig{
		CacheDir: c.CacheDir, Node: app.NodeConfig(c.nodeFlags), Language: r.Language, Limits: limits, Network: true,
		Progress: newProgress(os.Stderr).step, Logger: localLogger(),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, local.Close()) }()
	service, err := local.Generator(model)
	if err != nil {
		return nil, err
	}
	return service.Generate(ctx, "local", r, nil)
}

// showGeneration writes the output of the last program to standard output. If the
// program was not run, it writes the program's code instead. It writes all other
// information to standard error. The result is the exit code for the command.
func showGeneration(g *pyth.Generation) int {
	for i, a := range g.Attempts[:len(g.Attempts)-1] {
		fmt.Fprintf(os.Stderr, "pyth-on: attempt %d %s%s\n", i+1, strings.ReplaceAll(string(a.Execution.Status), "_", " "), exceptionText(a.Execution))
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
		// Ignore errors, because the process that reads standard output may have closed
		// the pipe.
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

// exceptionText describes the exception that ended a run. It returns "" if no exception
// ended the run.
func exceptionText(e *pyth.Execution) string {
	if e.Error == nil {
		return ""
	}
	first, _, _ := strings.Cut(e.Error.Message, "\n")
	return fmt.Sprintf(": %s: %s", e.Error.Name, first)
}
