package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// maxTimeoutMs is the largest time-out that the schemas of the tools allow. The server
// can have a lower maximum, and its error then names this maximum.
const maxTimeoutMs = 300_000

// runCodeInput is the input of run_code.
type runCodeInput struct {
	Code        string      `json:"code" jsonschema:"The source code, at most 1 MiB."`
	Language    string      `json:"language,omitempty" jsonschema:"Default: the language of the session, or python without a session."`
	SessionID   string      `json:"session_id,omitempty" jsonschema:"Run in this session, with its variables, files and working directory. Runs of one session wait for each other."`
	TimeoutMs   int64       `json:"timeout_ms,omitempty" jsonschema:"Maximum wall-clock time in milliseconds. Default: 30000."`
	Files       []inputFile `json:"files,omitempty" jsonschema:"Files to write to the working directory before the run. At most 64 files."`
	OutputFiles []string    `json:"output_files,omitempty" jsonschema:"Glob patterns of files to return after the run, for example *.png. Default: none."`
	Stdin       string      `json:"stdin,omitempty" jsonschema:"The standard input, at most 1 MiB. Default: empty."`
}

// inputFile is a file for a run.
type inputFile struct {
	Path     string `json:"path" jsonschema:"Path relative to the working directory."`
	Content  string `json:"content"`
	Encoding string `json:"encoding,omitempty" jsonschema:"How content is encoded. Default: utf8."`
}

// runCommandInput is the input of run_command.
type runCommandInput struct {
	Command   string `json:"command" jsonschema:"A bash script, at most 100 KiB."`
	SessionID string `json:"session_id,omitempty" jsonschema:"Run in this session, with its files. Commands do not wait for runs."`
	TimeoutMs int64  `json:"timeout_ms,omitempty" jsonschema:"Maximum wall-clock time in milliseconds. Default: 30000."`
}

// maxCommandBytes is the maximum size of a command. The kernel limits one argument of a
// process to 128 KiB.
const maxCommandBytes = 100 << 10

// maxReceived is the maximum number of bytes of output that a tool keeps in memory. A
// server normally limits the output of a run to less. But the server can belong to
// another operator, and it must not be able to fill the memory of this machine.
const maxReceived = 64 << 20

func (s *Server) addRuns() {
	closed, open := false, true
	add(s, tool[runCodeInput, runOutput]{
		Tool: &sdk.Tool{
			Name: "run_code", Title: "Run code",
			Description: "Runs Python, JavaScript (Node.js), TypeScript or bash in a sandbox and returns stdout, stderr, the value of the last expression, and images. " +
				"matplotlib figures and display(x) become images. Limits: 30 s (timeout_ms: at most 300000), 256 MiB memory, 64 processes, 1 MiB for each of stdout and stderr; no network. " +
				"Secrets of the account are environment variables; their values appear in the output as [secret:NAME]. " +
				"Without session_id nothing is kept after the run.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &closed, OpenWorldHint: &closed},
		},
		limits: func(p properties) {
			lengths(p["code"], 1<<20)
			oneOf(p["language"], "python", "javascript", "typescript", "bash")
			between(p["timeout_ms"], 1, maxTimeoutMs)
			oneOf(p["files"].Items.Properties["encoding"], "utf8", "base64")
		},
		run: runCode,
	})
	add(s, tool[runCommandInput, runOutput]{
		Tool: &sdk.Tool{
			Name: "run_command", Title: "Run a shell command",
			Description: "Runs a bash script in a sandbox and returns stdout, stderr and the exit code. In a session, the script sees the files of the session. " +
				"The next call gets neither the working directory nor the variables of the script. Files and background processes last until the session ends. Redirect the output of background processes to a file. " +
				"The limits are the limits of run_code, and there is no network. In a session, a command gets no secrets.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &open, OpenWorldHint: &closed},
		},
		limits: func(p properties) {
			lengths(p["command"], maxCommandBytes)
			between(p["timeout_ms"], 1, maxTimeoutMs)
		},
		run: runCommand,
	})
}

func runCode(ctx context.Context, c *call, in *runCodeInput) (*sdk.CallToolResult, *runOutput, error) {
	r := &client.ExecuteRequest{
		Code: in.Code, Language: client.Language(in.Language), SessionID: in.SessionID, TimeoutMs: in.TimeoutMs, Stdin: in.Stdin,
		OutputFiles: in.OutputFiles,
	}
	for _, f := range in.Files {
		r.Files = append(r.Files, client.InputFile{Path: f.Path, Content: f.Content, Encoding: client.Encoding(f.Encoding)})
	}
	return c.execute(ctx, r)
}

// runCommand runs the command as a process of the session. If the input has no session,
// it runs the command as a bash program.
func runCommand(ctx context.Context, c *call, in *runCommandInput) (*sdk.CallToolResult, *runOutput, error) {
	if len(in.Command) > maxCommandBytes {
		return nil, nil, errors.New("the command is longer than 100 KiB; write it to a file with file_write, and run the file")
	}
	if strings.ContainsRune(in.Command, 0) {
		return nil, nil, errors.New("the command contains a NUL character; remove it")
	}
	if in.SessionID != "" {
		return c.runInSession(ctx, in)
	}
	results := false
	return c.execute(ctx, &client.ExecuteRequest{Code: in.Command, Language: client.LanguageBash, TimeoutMs: in.TimeoutMs, Results: &results})
}

// execute runs a program and reports its output as progress.
func (c *call) execute(ctx context.Context, r *client.ExecuteRequest) (*sdk.CallToolResult, *runOutput, error) {
	progress, stop := c.watch(ctx)
	defer stop()
	var stdout, stderr strings.Builder
	for event, err := range c.Stream(ctx, r) {
		if err != nil {
			if r.SessionID != "" {
				err = explainSession(err)
			}
			return nil, nil, err
		}
		switch e := event.(type) {
		case *client.Output:
			progress.add(e.Text)
			if stdout.Len()+stderr.Len()+len(e.Text) > maxReceived {
				return nil, nil, fmt.Errorf("the output of the run is longer than %d bytes; print less", maxReceived)
			}
			if e.Stderr {
				stderr.WriteString(e.Text)
			} else {
				stdout.WriteString(e.Text)
			}
		case *client.Ended:
			// Stop the notifications now, because no notification may follow the result.
			stop()
			e.Stdout, e.Stderr = stdout.String(), stderr.String()
			result, out := present(&e.ExecuteResponse)
			return result, out, nil
		}
	}
	return nil, nil, errors.New("the server ended the stream of the run without a result; try again")
}
