package main

import (
	"context"
	"errors"
	"iter"
	"maps"
	"os"

	"github.com/pyth-on/pyth-on/client"
)

// remoteFlags are the flags of the command `run` that apply only to a run on a server.
type remoteFlags struct {
	connectFlags
	Remote  bool     `env:"-" help:"Run the program on the server of the profile, instead of this machine. You do not need this flag if you set --server or --profile."`
	Secret  []string `env:"-" sep:"none" placeholder:"NAME" help:"A secret for a program on a server (default: all secrets). You can repeat this flag. With 'none', the program gets no secrets."`
	Allow   []string `env:"-" placeholder:"HOSTS" help:"Hosts that a program on a server may connect to."`
	Label   []string `env:"-" sep:"none" help:"A label for a run on a server, to find the run in the list of runs. You can repeat this flag."`
	Session string   `env:"-" placeholder:"ID" help:"ID of a session on the server. The program runs in this session."`
	JSON    bool     `name:"json" env:"-" help:"Print the result of a run on a server as JSON."`
}

// isRemote reports whether the program runs on a server.
func (f *remoteFlags) isRemote() bool { return f.Remote || f.Server != "" || f.Profile != "" }

// onlyRemote returns an error if the user has set a flag that needs a server, but has
// not selected a server.
func (f *remoteFlags) onlyRemote() error {
	if len(f.Secret)+len(f.Allow)+len(f.Label) > 0 || f.Session != "" || f.JSON || f.APIKeyFile != "" {
		return errors.New("--secret, --allow, --label, --session, --json and --api-key-file need a server; add --server or --remote")
	}
	return nil
}

// runRemote runs the program on the server and returns the exit code of this command.
func (c *runCommand) runRemote() (int, error) {
	if c.Runtime != "" || len(c.Preload) > 0 {
		return 0, errors.New("--runtime and --preload are for runs on this machine; the server has its own images")
	}
	request, err := c.request()
	if err != nil {
		return 0, err
	}
	server, err := c.connect("run")
	if err != nil {
		return 0, err
	}
	ctx, stop := untilSignal()
	defer stop()
	if c.JSON {
		return c.runAsJSON(ctx, server, request)
	}
	run, err := showEvents(server.Stream(ctx, request), c.outputs())
	if err != nil {
		return 0, advise(err)
	}
	return finish(string(run.Status), run.ExitCode, run.Signal), nil
}

func (c *runCommand) runAsJSON(ctx context.Context, server *client.Client, request *client.ExecuteRequest) (int, error) {
	stop := waiting("Running the program")
	run, err := server.Run(ctx, request)
	stop()
	if err != nil {
		return 0, advise(err)
	}
	out := c.outputs()
	for i := range run.Files {
		if err := out.saveFile(&run.Files[i]); err != nil {
			return 0, err
		}
	}
	for _, r := range run.Results {
		if err := out.saveResult(r); err != nil {
			return 0, err
		}
	}
	if err := printJSON(run); err != nil {
		return 0, err
	}
	return finish(string(run.Status), run.ExitCode, run.Signal), nil
}

// request returns the request for a run on a server. It reads the program, the
// program's standard input and the files.
func (c *runCommand) request() (*client.ExecuteRequest, error) {
	p, err := c.program()
	if err != nil {
		return nil, err
	}
	r := &client.ExecuteRequest{
		Code: p.Code, Stdin: p.Stdin, Args: p.Args, Env: maps.Clone(c.Env), OutputFiles: p.OutputFiles,
		TimeoutMs: p.Timeout.Milliseconds(), Labels: c.Label, Secrets: secretNames(c.Secret), SessionID: c.Session,
	}
	if c.Session == "" {
		// A run in a session has the language and the limits of the session. So the
		// request contains neither.
		r.Language = client.Language(p.Language)
		r.Limits = &client.LimitsRequest{MemoryBytes: p.Limits.MemoryBytes}
	}
	if len(c.Allow) > 0 {
		r.Network = &client.NetworkRequest{Allow: c.Allow}
	}
	for _, f := range p.Files {
		r.Files = append(r.Files, client.NewInputFile(f.Path, f.Content))
	}
	return r, nil
}

// secretNames returns the names of the secrets that the flag --secret selects. It
// returns nil if the run gets all secrets.
func secretNames(flag []string) []string {
	if len(flag) == 1 && flag[0] == "none" {
		return []string{}
	}
	return flag
}

// showEvents prints the output of a run as soon as the output arrives. It also saves
// the files and rich values of the run. It returns the result of the run.
func showEvents(events iter.Seq2[client.Event, error], out *outputs) (*client.ExecuteResponse, error) {
	stop := waiting("Waiting for the program")
	defer stop()
	for event, err := range events {
		if err != nil {
			return nil, err
		}
		switch e := event.(type) {
		case *client.Output:
			stop()
			// Ignore errors, because the process that reads the output may have closed
			// the pipe. The exit code is still valid.
			if e.Stderr {
				_, _ = os.Stderr.WriteString(e.Text)
			} else {
				_, _ = os.Stdout.WriteString(e.Text)
			}
		case *client.Result:
			stop()
			err = out.saveResult(e.Value)
		case *client.File:
			stop()
			err = out.saveFile(&e.OutputFile)
		case *client.Ended:
			stop()
			return &e.ExecuteResponse, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the server ended the stream without a result")
}
