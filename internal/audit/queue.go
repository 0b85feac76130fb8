package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Queue returns a service that passes all calls to the service "next". It records each
// accepted run in the log.
func Queue(next pyth.QueueService, log Recorder) pyth.QueueService {
	return &queue{next, log}
}

type queue struct {
	next pyth.QueueService
	log  Recorder
}

// EnqueueExecution writes an audit entry with the action execution.queued.
func (x *queue) EnqueueExecution(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.ExecutionRecord, error) {
	e := executionEvent(user, p)
	e.Action = pyth.ActionExecutionQueued
	r, err := x.next.EnqueueExecution(ctx, user, p)
	if err == nil {
		e.Resource = string(r.ID)
		e.Details["executionId"] = string(r.ID)
	}
	if err := recordAfter(ctx, x.log, e, err); err != nil {
		return nil, err
	}
	return r, nil
}

// EndOfQueued returns a function that must be called when an asynchronous run has ended.
// The function writes an audit entry with the action code.executed. If the program is
// unknown, the parameter p is nil.
func EndOfQueued(log Recorder) func(context.Context, *pyth.Program, *pyth.ExecutionRecord) error {
	return func(ctx context.Context, p *pyth.Program, r *pyth.ExecutionRecord) error {
		e := &pyth.AuditEvent{User: r.User, Action: pyth.ActionCodeExecuted, Details: map[string]any{}}
		if p != nil {
			e = executionEvent(r.User, p)
		} else if len(r.Labels) > 0 {
			e.Details["labels"] = r.Labels
		}
		addResult(e, r.ID, r.Language, &pyth.Outcome{Status: r.Status, ExitCode: r.ExitCode, Usage: r.Usage})
		if r.Reason != "" {
			e.Details["reason"] = r.Reason
		}
		return recordAfter(ctx, log, e, nil)
	}
}
