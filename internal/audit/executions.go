package audit

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Executions returns a service that passes all calls to the service "next" and records
// each run in the log. It writes the entry after the run has ended and the caller has
// received all events. Execute returns only after it has written the entry.
func Executions(next pyth.ExecutionService, log Recorder) pyth.ExecutionService {
	return &executions{next, log}
}

type executions struct {
	next pyth.ExecutionService
	log  Recorder
}

// Execute writes an audit entry with the action code.executed, or zk.executed for an
// encrypted program.
func (x *executions) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	// Build the event before the run, because the called service may clear fields of the
	// program.
	e := executionEvent(user, p)
	run, err := x.next.Execute(ctx, user, p, events)
	if err == nil {
		addResult(e, run.ID, run.Language, &run.Outcome)
	}
	if err := recordAfter(ctx, x.log, e, err); err != nil {
		return nil, err
	}
	return run, nil
}

// addResult adds the result of a run to its event.
func addResult(e *pyth.AuditEvent, id pyth.ExecutionID, language pyth.Language, o *pyth.Outcome) {
	e.Details["executionId"] = string(id)
	e.Details["language"] = string(language)
	e.Details["status"] = string(o.Status)
	e.Details["wallMs"] = o.Usage.Wall.Round(time.Millisecond).Milliseconds()
	if o.ExitCode != nil {
		e.Details["exitCode"] = *o.ExitCode
	}
}

func executionEvent(user pyth.UserID, p *pyth.Program) *pyth.AuditEvent {
	language := p.Language
	if language == "" {
		language = pyth.Python
	}
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionCodeExecuted, Details: map[string]any{"language": string(language)}}
	if p.Encrypted != nil {
		// Do not record a hash of the ciphertext. Each encryption of the same program
		// creates a different ciphertext, so the hash would not identify the program.
		e.Action, e.Resource = pyth.ActionZKExecuted, p.Encrypted.Name
	} else {
		e.Details["codeSha256"] = hashText(p.Code)
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
