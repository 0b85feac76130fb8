package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/mcp"
)

type mcpCommand struct {
	connectFlags
	Remote   bool   `env:"-" help:"Use the server of the profile, instead of this machine. You do not need this flag if you set --server or --profile."`
	CacheDir string `type:"path" help:"Directory for images (default: a folder in the user's cache directory)."`

	nodeFlags
	packageFlags
}

func (*mcpCommand) Help() string {
	return "Clients of the Model Context Protocol, such as Claude Code, start this command. " +
		"Without --server, --profile or --remote, the sandboxes are on this machine; sessions, their files and added packages are then lost when the command ends."
}

func (c *mcpCommand) Run() error {
	run := c.serveRemote
	if !c.Remote && c.Server == "" && c.Profile == "" {
		if c.APIKeyFile != "" {
			return errors.New("--api-key-file needs a server; add --server or --remote")
		}
		if err := ensurePrivileged(); err != nil {
			return err
		}
		run = c.serveLocal
	}
	ctx, stop := untilSignal()
	defer stop()
	// A client can close the pipe while this command sends a result. By default, SIGPIPE
	// would then end this process before it deletes the data of the local server.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	err := run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) || errors.Is(err, syscall.EPIPE) {
		return nil // The client stopped this command with a signal, or closed the pipe.
	}
	return err
}

func (c *mcpCommand) serveRemote(ctx context.Context) error {
	server, err := c.connect("mcp")
	if err != nil {
		return err
	}
	tools := mcp.New(version, func(context.Context) (*client.Client, error) { return server, nil }, localLogger())
	return tools.ServeStdio(ctx, os.Stdin, os.Stdout)
}

// serveLocal answers the client at once, and starts the server at the same time. The
// first start builds the images, which takes longer than clients wait for an answer. The
// calls of tools wait for the server.
func (c *mcpCommand) serveLocal(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	local := &localServer{started: make(chan struct{})}
	var starting sync.WaitGroup
	starting.Go(func() { local.start(ctx, c) })
	defer func() {
		cancel()
		starting.Wait()
		err = errors.Join(err, local.close())
	}()
	return mcp.New(version, local.connect, localLogger()).ServeStdio(ctx, os.Stdin, os.Stdout)
}

// localServer is the server of a local MCP command.
type localServer struct {
	// The channel "started" is closed when the other fields are set.
	started   chan struct{}
	server    *app.Ephemeral
	transport *mcp.HandlerTransport
	client    *client.Client
	err       error
}

func (l *localServer) start(ctx context.Context, c *mcpCommand) {
	defer close(l.started)
	if l.err = l.open(ctx, c); l.err != nil && ctx.Err() == nil {
		fail(l.err, false)
	}
}

func (l *localServer) open(ctx context.Context, c *mcpCommand) (err error) {
	packages, err := c.config()
	if err != nil {
		return err
	}
	l.server, err = app.NewEphemeral(ctx, &app.EphemeralConfig{
		CacheDir: c.CacheDir, Node: app.NodeConfig(c.nodeFlags), Packages: packages, Limits: execution.DefaultLimits(),
		Version: version, Progress: newProgress(os.Stderr).step, Logger: localLogger(),
	})
	if err != nil {
		return fmt.Errorf("the local server could not start: %w", err)
	}
	l.transport = mcp.NewHandlerTransport(ctx, l.server.Handler, mcp.Origin{RemoteAddr: "127.0.0.1:0"})
	l.client, err = client.New("http://local.internal", client.WithAPIKey(l.server.APIKey), client.WithUserAgent("pyth-on mcp"),
		client.WithHTTPClient(&http.Client{Transport: l.transport}))
	return err
}

// connect waits until the server has started.
func (l *localServer) connect(ctx context.Context) (*client.Client, error) {
	select {
	case <-l.started:
		return l.client, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close ends all runs and deletes the data of the server.
func (l *localServer) close() error {
	if l.transport != nil {
		l.transport.Wait()
	}
	if l.server == nil {
		return nil
	}
	return l.server.Close()
}
