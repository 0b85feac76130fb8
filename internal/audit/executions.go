package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Executions enters each run when it has ended, before its outcome is returned.
// What events were told until then has been told.
func Executions(next pyth.ExecutionService, to pyth.Auditor) pyth.ExecutionService {
	return &executions{next, to}
}

type executions struct {
	next pyth.ExecutionService
	to   pyth.Auditor
}

// Execute enters code.executed, or zk.executed for an encrypted program.
func (x *executions) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	// Before the run: the callee may clear what it is given.
	e := executed(user, p)
	run, err := x.next.Execute(ctx, user, p, events)
	if err == nil {
		e.Details["executionId"] = string(run.ID)
		e.Details["language"] = string(run.Language)
		e.Details["status"] = string(run.Status)
		e.Details["wallMs"] = run.Usage.Wall.Round(time.Millisecond).Milliseconds()
		if run.ExitCode != nil {
			e.Details["exitCode"] = *run.ExitCode
		}
	}
	if err := after(ctx, x.to, e, err); err != nil {
		return nil, err
	}
	return run, nil
}

func executed(user pyth.UserID, p *pyth.Program) *pyth.AuditEvent {
	language := p.Language
	if language == "" {
		language = pyth.Python
	}
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionCodeExecuted, Details: map[string]any{"language": string(language)}}
	if p.Encrypted != nil {
		// The hash of a ciphertext would say little, and of the program nothing.
		e.Action, e.Resource = pyth.ActionZKExecuted, p.Encrypted.Name
	} else {
		sum := sha256.Sum256([]byte(p.Code))
		e.Details["codeSha256"] = hex.EncodeToString(sum[:])
	}
	if len(p.Labels) > 0 {
		e.Details["labels"] = p.Labels
	}
	if p.Session != "" {
		e.Details["sessionId"] = string(p.Session)
	}
	if len(p.Secrets) > 0 {
		e.Details["secrets"] = p.Secrets
	}
	return e
}
