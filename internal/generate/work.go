package generate

import (
	"cmp"
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// maxCodeBytes is the contract's bound of a program.
const maxCodeBytes = 1 << 20

// work is one generation.
type work struct {
	*Service
	user    pyth.UserID
	request *pyth.GenerateRequest
	events  pyth.GenerateEvents
	// hiding knows the values that no model must see, until forget is called.
	hiding   *redact.Redactor
	forget   func()
	question *pyth.ModelRequest
	// installs counts the times that packages were installed.
	installs int
	result   *pyth.Generation
}

// hide is the text without values of secrets.
func (w *work) hide(text string) string {
	out, _ := w.hiding.Text([]byte(text))
	return string(out)
}

// run writes programs until one succeeds.
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
		if draft.Code == "" || len(draft.Code) > maxCodeBytes {
			// It is asked again: another answer will differ.
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
		return pyth.Errorf(pyth.CodeLLMFailed, "The model gave no program in the form that it was told. Try again, or name another model.")
	}
	return nil
}

// attempt runs a program. It is done if there is nothing to mend.
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

// stop ends a generation for an error: with what there is, if that is a program
// and the error is none of the request's.
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
