package generate

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// bytesPerToken is few for code and much for none of the languages that
	// tokens are short in, so that an estimate is rather too high.
	bytesPerToken = 3
	// formTokens are for what the API adds to the text of a request.
	formTokens = 1_000
	// minAnswerTokens are enough for a short program.
	minAnswerTokens = 1_024
	// settleTimeout bounds what is done when the caller may have gone.
	settleTimeout = 10 * time.Second
)

// tokens are those that were taken for a call, of which so many are for the
// answer.
type tokens struct {
	day           time.Time
	taken, answer int64
}

// take takes the tokens of a call out of the budget before it is made, so that no
// number of calls at once goes beyond it.
func (w *work) take(ctx context.Context) (tokens, error) {
	t := tokens{day: w.config.Clock(), answer: maxAnswerTokens}
	if w.config.Budget == nil || w.config.TokensPerDay <= 0 {
		return t, nil
	}
	q := w.question
	size := len(q.System) + len(q.Context) + len(q.Task)
	for _, turn := range q.Turns {
		size += len(turn.Code) + len(turn.Explanation) + len(turn.Outcome)
	}
	input := int64(size/bytesPerToken + formTokens)
	taken, err := w.config.Budget.TakeTokens(ctx, w.user, t.day, input+minAnswerTokens, input+maxAnswerTokens, w.config.TokensPerDay)
	if pyth.ErrorCode(err) == pyth.CodeTokenBudget {
		return t, w.exhausted()
	}
	t.taken, t.answer = taken, taken-input
	return t, err
}

// settle gives back what was not used. What a call took that did not end is not
// known: it keeps all.
func (w *work) settle(ctx context.Context, t tokens, used pyth.TokenUsage, err error) error {
	if t.taken == 0 || err != nil && pyth.ErrorCode(err) != pyth.CodeLLMFailed && pyth.ErrorCode(err) != pyth.CodeInvalid {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return w.config.Budget.ReturnTokens(ctx, w.user, t.day, t.taken-used.Input-used.Output)
}

func (w *work) exhausted() *pyth.Error {
	now := w.config.Clock()
	const day = 24 * time.Hour
	return &pyth.Error{
		Code:       pyth.CodeTokenBudget,
		Message:    "Your tokens of today are used up, or too few are left for this prompt. The budget is renewed at midnight UTC.",
		RetryAfter: now.Truncate(day).Add(day).Sub(now),
	}
}
