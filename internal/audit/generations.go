package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"

	pyth "github.com/pyth-on/pyth-on"
)

// Generations returns a service that passes all calls to the service "next" and records
// each generation in the log. The parameter promptVersion is the version of the
// instructions that the server sends to the model.
func Generations(next pyth.GenerateService, log Recorder, promptVersion string) pyth.GenerateService {
	return &generations{next, log, promptVersion}
}

type generations struct {
	next          pyth.GenerateService
	log           Recorder
	promptVersion string
}

// Generate writes an audit entry with the action code.generated. Runs of generated
// programs have separate entries. The decorator from the function Executions writes them.
func (g *generations) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionCodeGenerated, Details: map[string]any{
		"language": string(cmp.Or(r.Language, pyth.Python)), "promptVersion": g.promptVersion, "promptSha256": hashText(r.Prompt),
	}}
	result, err := g.next.Generate(ctx, user, r, events)
	e.Outcome = outcomeOf(err)
	if result != nil {
		addGeneration(e, result)
		// A generation that stopped early is a failure, even if the service returned no
		// error. If the outcome is "", the audit log would have no entry. But the model may
		// have used tokens, so record a failure.
		if e.Outcome == "" || result.Stopped != nil {
			e.Outcome = pyth.AuditFailure
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		e.Outcome, e.Details["status"] = pyth.AuditFailure, "canceled"
	default:
		e.Details["status"] = string(pyth.ErrorCode(err))
	}
	if err := recordOutcome(ctx, g.log, e, err); err != nil {
		return nil, err
	}
	return result, nil
}

// addGeneration adds details about a generation to the event. The details contain a
// hash of the program, but neither the program nor the prompt.
func addGeneration(e *pyth.AuditEvent, g *pyth.Generation) {
	e.Resource = string(g.ID)
	e.Details["model"], e.Details["language"], e.Details["attempts"] = g.Model, string(g.Language), g.Calls
	e.Details["inputTokens"], e.Details["outputTokens"] = g.Usage.Input, g.Usage.Output
	e.Details["status"] = "not_executed"
	if len(g.Attempts) > 0 {
		last := g.Last()
		e.Details["codeSha256"] = hashText(last.Code)
		if last.Execution != nil {
			e.Details["executionId"] = string(last.Execution.ID)
			e.Details["status"] = string(last.Execution.Status)
		}
	}
	if g.Stopped != nil {
		e.Details["stopped"] = string(g.Stopped.Code)
	}
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
