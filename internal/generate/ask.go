package generate

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// maxAnswerTokens is the maximum number of tokens of an answer, including the tokens for
// thinking. It is enough for a program of a thousand lines. The SDK allows at most 21,333
// tokens without streaming.
const maxAnswerTokens = 20_000

func asError(err error) (*pyth.Error, bool) { return errors.AsType[*pyth.Error](err) }

// write sends one request to the model and returns the program in the answer. If the
// answer contains no program, the field Code of the result is empty.
func (w *work) write(ctx context.Context) (pyth.Draft, error) {
	w.result.Calls++
	taken, err := w.reserveTokens(ctx)
	if err != nil {
		return pyth.Draft{}, err
	}
	w.question.MaxTokens = taken.answer
	var text func(string) error
	if w.events != nil {
		text = w.events.Text
	}
	limited, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	started := w.config.Clock()
	_, span := tracing.Start(limited, "model.call")
	reply, err := w.config.Model.Write(limited, w.question, text)
	span.End(err)
	w.result.Usage.Add(reply.Usage)
	w.observe(w.config.Clock().Sub(started), &reply, err)
	if settleErr := w.settle(ctx, taken, reply.Usage, err); err == nil {
		err = settleErr
	}
	if err != nil {
		return pyth.Draft{}, w.explain(err, taken, reply.Usage)
	}
	if reply.Model != "" {
		w.result.Model = reply.Model
	}
	return reply.Draft, nil
}

// explain converts an error of the model into the error for the caller. The parameter
// "taken" is the number of tokens that were reserved for the request. The parameter
// "used" is the number of tokens that the request used.
func (w *work) explain(err error, taken tokens, used pyth.TokenUsage) error {
	switch code := pyth.ErrorCode(err); {
	case code == pyth.CodeInvalid && w.request.Model == "":
		return &pyth.Error{
			Code:    pyth.CodeLLMFailed,
			Message: "The configured model does not exist at the provider. Select another model, or inform the operator.",
			Err:     err,
		}
	case code == pyth.CodeLLMFailed && taken.answer < maxAnswerTokens && used.Output >= taken.answer:
		// The answer was truncated, because only a small part of the user's token budget
		// was left.
		return w.exhausted()
	}
	return err
}

func (w *work) observe(took time.Duration, reply *pyth.ModelReply, err error) {
	if w.config.Observer == nil {
		return
	}
	result := resultAnswered
	switch e, ok := asError(err); {
	case ok:
		result = string(e.Code)
	case err != nil:
		result = resultCanceled
	case reply.Code == "":
		result = resultMalformed
	}
	w.config.Observer.Requested(result, took, reply.Usage)
}
