package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// MaxMessageBytes is the maximum size of a message from a client. A message is copied
// several times while it is decoded, so the limit is lower than the limit of the API.
const MaxMessageBytes = 4 << 20

// lastWrites is the maximum time for sending the results of running calls after the
// context of ServeStdio has ended.
const lastWrites = 2 * time.Second

// Clients returns the API client for one tool call. The parameter is the context of the
// tool call. If Clients returns an error, the tool shows the error to the language model.
type Clients func(ctx context.Context) (*client.Client, error)

// Server serves the tools. It is safe for concurrent use, and holds no state of its
// clients.
type Server struct {
	sdk     *sdk.Server
	clients Clients
}

// New returns a Server. The parameter "version" is the version of this program. The
// logger receives panics, which are mistakes of this program.
func New(version string, clients Clients, logger *slog.Logger) *Server {
	s := &Server{clients: clients}
	s.sdk = sdk.NewServer(
		&sdk.Implementation{Name: "pyth-on", Title: "Pyth-On", Version: version},
		&sdk.ServerOptions{
			Instructions: instructions,
			// Announce no changes of the tools and no log, because the set of tools never
			// changes, and the server writes no log to clients.
			Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}},
		},
	)
	s.sdk.AddReceivingMiddleware(recovered(logger))
	s.addRuns()
	s.addSessions()
	s.addFiles()
	s.addPackages()
	return s
}

// recovered returns a middleware that answers a message with an error if its handler panics.
// The library calls handlers in separate goroutines. Without the middleware, a panic
// would end the process and the programs of all users.
func recovered(logger *slog.Logger) sdk.Middleware {
	return func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, r sdk.Request) (result sdk.Result, err error) {
			defer func() {
				if cause := recover(); cause != nil {
					logger.ErrorContext(ctx, "panic", "method", method, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
					result, err = nil, errors.New("internal error")
				}
			}()
			return next(ctx, method, r)
		}
	}
}

// instructions tells the model how the tools belong together. Clients add this text to
// the system prompt of the model, so it must be short.
const instructions = "Runs code in isolated Linux sandboxes without network. Without session_id, run_code and run_command start from an empty directory and keep nothing. " +
	"To keep variables, files and the working directory between calls, call session_create, pass its session_id to each call, and call session_close at the end."

// ServeStdio serves one client. The messages are lines of JSON. When the input or the
// context ends, ServeStdio ends running tool calls and returns. If the context ends
// first, ServeStdio returns the error of the context, even if the output blocks.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.WriteCloser) error {
	// The library cancels tool calls at the end of the input, but not at the end of the
	// context. So end the input with the context. A goroutine copies the input, because
	// nothing can end a blocked read of standard input.
	reader, writer := io.Pipe()
	go func() {
		_, err := io.Copy(writer, in)
		_ = writer.CloseWithError(err)
	}()
	defer context.AfterFunc(ctx, func() { _ = writer.Close() })()
	ended := make(chan error, 1)
	go func() {
		ended <- s.sdk.Run(context.WithoutCancel(ctx), &sdk.IOTransport{Reader: reader, Writer: out, MaxLineLength: MaxMessageBytes})
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		// Do not wait longer than lastWrites, because nothing can end a blocked write
		// either. Even if the client does not read, a signal must end the process.
		select {
		case err = <-ended:
		case <-time.After(lastWrites):
		}
	}
	// End the goroutine if it is not blocked.
	_ = reader.Close()
	return errors.Join(ctx.Err(), err)
}
