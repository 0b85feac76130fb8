package mcp

import (
	"context"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/client"
)

// defaultTimeoutMs is the time-out of a command in a session if the call sets no
// time-out. It is equal to the default time-out of runs.
const defaultTimeoutMs = 30_000

// stopTimeout limits the time for ending a command whose call was canceled.
const stopTimeout = 5 * time.Second

// runInSession runs a command as a process of a session, and reports its output as
// progress. It does not wait for runs in the session.
func (c *call) runInSession(ctx context.Context, in *runCommandInput) (*sdk.CallToolResult, *runOutput, error) {
	session, err := c.openSession(ctx, in.SessionID)
	if err != nil {
		return nil, nil, err
	}
	timeout := in.TimeoutMs
	if timeout == 0 {
		timeout = defaultTimeoutMs
	}
	p, err := session.StartProcess(ctx, &client.ProcessRequest{Command: in.Command, TimeoutMs: timeout})
	if err != nil {
		return nil, nil, explainSession(err)
	}
	pid := p.PID
	progress, stop := c.watch(ctx)
	defer stop()
	var stdout, stderr collected
	ended, err := session.FollowProcess(ctx, pid, func(o *client.Output) {
		progress.add(o.Text)
		if o.Stderr {
			stderr.add(o.Text)
		} else {
			stdout.add(o.Text)
		}
	})
	if err != nil {
		// The caller has canceled the call, or the connection was lost. Kill the process,
		// because nobody waits for its result.
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = session.SignalProcess(stopping, pid, "SIGKILL")
		return nil, nil, explainSession(err)
	}
	// Stop the notifications now, because no notification may follow the result.
	stop()
	result, out := present(commandResult(in.SessionID, ended, &stdout, &stderr))
	return result, out, nil
}

// collected is the beginning of an output stream.
type collected struct {
	strings.Builder
	truncated bool
}

// maxCollected is the maximum size of an output stream in bytes. A model gets only a part
// of it.
const maxCollected = 1 << 20

func (c *collected) add(text string) {
	if room := maxCollected - c.Len(); len(text) > room {
		c.truncated = true
		text = strings.ToValidUTF8(text[:max(room, 0)], "")
	}
	c.WriteString(text)
}

// commandResult describes a process as a run. If a signal ended the process, the exit
// code is 128 plus the number of the signal, as in a shell.
func commandResult(session string, p *client.Process, stdout, stderr *collected) *client.ExecuteResponse {
	r := &client.ExecuteResponse{
		Status: client.ExecutionStatusSucceeded, ExitCode: p.ExitCode, Stdout: stdout.String(), Stderr: stderr.String(),
		StdoutTruncated: stdout.truncated, StderrTruncated: stderr.truncated, SessionID: session, CreatedAt: p.StartedAt,
	}
	r.Usage.WallMs = p.EndedAt.Sub(p.StartedAt).Milliseconds()
	switch {
	case p.TimedOut:
		r.Status, r.Signal = client.ExecutionStatusTimedOut, p.Signal
	case p.Signal != "":
		r.Status = client.ExecutionStatusFailed
		if number := unix.SignalNum(p.Signal); number > 0 {
			code := int64(128 + number)
			r.ExitCode = &code
		}
	case p.ExitCode == nil || *p.ExitCode != 0:
		r.Status = client.ExecutionStatusFailed
	}
	return r
}
