package generate

import (
	"cmp"
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// bytesPerToken is the estimated length of a token in bytes. The estimate is low. So
	// the server reserves too many tokens rather than too few.
	bytesPerToken = 3
	// formTokens is the estimated number of tokens that the API adds to a request,
	// for example for the required format of the answer.
	formTokens = 1_000
	// minAnswerTokens is the minimum number of tokens to reserve for an answer. It
	// is enough for a short program.
	minAnswerTokens = 1_024
	// settleTimeout is the time-out for returning unused tokens to the budget. The server
	// returns tokens even if the caller has disconnected.
	settleTimeout = 10 * time.Second
)

// tokens is a reservation in the token budget of a day. The field "taken" is the number
// of reserved tokens, or 0 if the user has no token budget. The field "answer" is the
// maximum number of tokens for the answer.
type tokens struct {
	day           time.Time
	taken, answer int64
}

// tokensPerDay returns the maximum number of tokens of the user per day. The result
// "limited" is false if there is no maximum.
func (c *Config) tokensPerDay(ctx context.Context, user pyth.UserID) (limit int64, limited bool, err error) {
	if c.Budget == nil {
		return 0, false, nil
	}
	if c.UserLimits != nil {
		own, err := c.UserLimits.Limits(ctx, user)
		if err != nil {
			return 0, false, err
		}
		if n, ok := own[pyth.QuotaGenerateTokensPerDay]; ok {
			return n, true, nil
		}
	}
	return c.TokensPerDay, c.TokensPerDay > 0, nil
}

// reserveTokens reserves the maximum number of tokens that the request can use. If fewer
// tokens are left in the budget, it reserves the remaining tokens and limits the length
// of the answer. Call it before the request. Otherwise concurrent requests could exceed
// the budget.
func (w *work) reserveTokens(ctx context.Context) (tokens, error) {
	t := tokens{day: w.config.Clock(), answer: maxAnswerTokens}
	limit, limited, err := w.config.tokensPerDay(ctx, w.user)
	if err != nil || !limited {
		return t, err
	}
	q := w.question
	size := len(q.System) + len(q.Context) + len(q.Task)
	for _, turn := range q.Turns {
		size += len(turn.Code) + len(turn.Explanation) + len(turn.Outcome)
	}
	input := int64(size/bytesPerToken + formTokens)
	taken, err := w.config.Budget.TakeTokens(ctx, w.user, t.day, input+minAnswerTokens, input+maxAnswerTokens, limit)
	if pyth.ErrorCode(err) == pyth.CodeTokenBudget {
		return t, w.exhausted()
	}
	t.taken, t.answer = taken, taken-input
	return t, err
}

// settle gives the unused tokens of a request back to the budget, and adds the used
// tokens to the usage of the user. If a request was aborted, the number of used tokens is
// unknown. In this case, settle gives no tokens back and counts all reserved tokens as
// used.
func (w *work) settle(ctx context.Context, t tokens, used pyth.TokenUsage, err error) error {
	known := err == nil || pyth.ErrorCode(err) == pyth.CodeLLMFailed || pyth.ErrorCode(err) == pyth.CodeInvalid
	total := used.Input + used.Output
	if !known {
		total = max(total, t.taken)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var errs []error
	if t.taken > 0 && known {
		errs = append(errs, w.config.Budget.ReturnTokens(ctx, w.user, t.day, t.taken-total))
	}
	if w.config.Usage != nil && total > 0 {
		language := cmp.Or(w.request.Language, pyth.Python)
		errs = append(errs, w.config.Usage.AddGenerateTokens(ctx, w.user, t.day, language, pyth.OriginOf(ctx).KeyID, total))
	}
	return errors.Join(errs...)
}

func (w *work) exhausted() *pyth.Error {
	now := w.config.Clock()
	const day = 24 * time.Hour
	return &pyth.Error{
		Code:       pyth.CodeTokenBudget,
		Message:    "Your token budget for today is exhausted, or too small for this prompt. Wait for the new budget at midnight UTC, or send a shorter prompt.",
		RetryAfter: now.Truncate(day).Add(day).Sub(now),
	}
}

// Quotas returns the token budget of the user. If the user has no token budget, it
// returns no quota.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	if s.config.Model == nil {
		return nil, nil
	}
	limit, limited, err := s.config.tokensPerDay(ctx, user)
	if err != nil || !limited {
		return nil, err
	}
	now := s.config.Clock()
	taken, err := s.config.Budget.TokensTaken(ctx, user, now)
	if err != nil {
		return nil, err
	}
	return []pyth.Quota{{
		Name: pyth.QuotaGenerateTokensPerDay, Limit: limit, Used: taken, ResetsAt: pyth.DayOf(now).AddDate(0, 0, 1),
	}}, nil
}
