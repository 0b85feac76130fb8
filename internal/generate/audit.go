package generate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	pyth "github.com/pyth-on/pyth-on"
)

// record takes down what became of the generation, of which no text is kept.
func (w *work) record(ctx context.Context, err error) error {
	if w.config.Auditor == nil {
		return nil
	}
	g := w.result
	details := map[string]any{
		"model": g.Model, "language": string(g.Language), "attempts": w.calls, "promptVersion": Version(),
		"inputTokens": g.Usage.Input, "outputTokens": g.Usage.Output, "promptSha256": sum(w.request.Prompt),
	}
	outcome := pyth.AuditSuccess
	switch code := pyth.ErrorCode(err); {
	case err != nil && ctx.Err() != nil:
		outcome, details["status"] = pyth.AuditFailure, "canceled"
	case code == pyth.CodeTokenBudget:
		outcome, details["status"] = pyth.AuditDenied, string(code)
	case err != nil:
		outcome, details["status"] = pyth.AuditFailure, string(code)
	default:
		details["status"] = "not_executed"
	}
	if len(g.Attempts) > 0 {
		last := g.Last()
		details["codeSha256"] = sum(last.Code)
		if last.Execution != nil {
			details["executionId"] = string(last.Execution.ID)
			if err == nil {
				details["status"] = string(last.Execution.Status)
			}
		}
	}
	if g.Stopped != nil {
		outcome, details["stopped"] = pyth.AuditFailure, string(g.Stopped.Code)
	}
	return w.config.Auditor.Record(ctx, &pyth.AuditEvent{
		User: w.user, Action: pyth.ActionCodeGenerated, Outcome: outcome, Resource: string(g.ID), Details: details,
	})
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}
