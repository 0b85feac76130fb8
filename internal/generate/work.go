package generate

import (
	"cmp"
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// work holds the state of one call of the method Generate.
type work struct {
	*Service
	user    pyth.UserID
	request *pyth.GenerateRequest
	events  pyth.GenerateEvents
	// hiding redacts secret values in all texts for the model. The function "forget"
	// overwrites these values. Do not use the redactor after a call of "forget".
	hiding   *redact.Redactor
	forget   func()
	question *pyth.ModelRequest
	// The field "installs" is the number of attempts to install a package.
	installs int
	result   *pyth.Generation
}

func (w *work) hide(text string) string {
	out, _ := w.hiding.Text([]byte(text))
	return string(out)
}

// run makes attempts until one attempt succeeds or the maximum number of attempts is
// reached.
func (w *work) run(ctx context.Context) error {
	for n := range cmp.Or(w.request.MaxAttempts, defaultAttempts) {
		if w.events != nil {
			if err := w.events.Attempt(n + 1); err != nil {
				return err
			}
		}
		draft, err := w.write(ctx)
		if err != nil {
			return w.stop(ctx, err)
		}
		if draft.Code == "" || len(draft.Code) > pyth.MaxCodeBytes {
			// This answer contains no valid program. Ask again, because the next answer
			// may contain a valid program.
			continue
		}
		done, err := w.attempt(ctx, draft)
		if err != nil {
			return w.stop(ctx, err)
		}
		if done {
			return nil
		}
	}
	if len(w.result.Attempts) == 0 {
		return pyth.Errorf(pyth.CodeLLMFailed, "The model returned no program in the required format. Try again, or select another model.")
	}
	return nil
}

// attempt adds the draft to the list of attempts. If the request asks for a run, attempt
// runs the draft. The result "done" is true if no correction is needed.
func (w *work) attempt(ctx context.Context, draft pyth.Draft) (done bool, err error) {
	w.result.Attempts = append(w.result.Attempts, pyth.Attempt{Draft: draft})
	if w.events != nil {
		if err := w.events.Code(draft.Code); err != nil {
			return false, err
		}
	}
	if !w.request.Execute {
		return true, nil
	}
	run, err := w.execute(ctx, draft.Code)
	if err != nil {
		return false, err
	}
	w.result.Last().Execution = run.Execution
	switch {
	case run.Status == pyth.StatusSucceeded, run.Status == pyth.StatusCanceled, run.SessionEnded:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	w.question.Turns = append(w.question.Turns, pyth.ModelTurn{
		Draft:   pyth.Draft{Code: w.hide(draft.Code), Explanation: w.hide(draft.Explanation)},
		Outcome: w.outcome(run),
	})
	return false, nil
}

// The method "stop" decides whether an error makes the whole generation fail. If the
// error is temporary and there was at least one attempt, the method returns nil. The last
// attempt is then the result of the generation. In all other cases, the method returns
// the error.
func (w *work) stop(ctx context.Context, err error) error {
	passing := []pyth.Code{
		pyth.CodeLLMFailed, pyth.CodeLLMTimeout, pyth.CodeTokenBudget,
		pyth.CodeOverloaded, pyth.CodeQuotaExceeded, pyth.CodeTooManyExecutions, pyth.CodeUnavailable, pyth.CodeRuntimeUnavailable, pyth.CodeDraining,
	}
	e, ok := asError(err)
	if !ok || ctx.Err() != nil || len(w.result.Attempts) == 0 || !slices.Contains(passing, e.Code) {
		return err
	}
	w.result.Stopped = e
	return nil
}
