package runs

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// pruneBatch is the maximum number of records that one transaction changes.
const pruneBatch = 100

// Prune removes the content of runs that ended before the time "contents". It also
// removes the records of runs that were created before the time "records". If the time
// "contents" is zero, Prune removes no content. If the time "records" is zero, Prune
// removes no records.
func (s *Service) Prune(ctx context.Context, contents, records time.Time) error {
	if err := inBatches(ctx, contents, s.config.Store.ExpireExecutionContents); err != nil {
		return err
	}
	return inBatches(ctx, records, s.config.Store.DeleteOldExecutions)
}

// inBatches calls the function "prune" until the function has nothing left to remove.
func inBatches(ctx context.Context, before time.Time, prune func(context.Context, time.Time, int) (int, error)) error {
	if before.IsZero() {
		return nil
	}
	for {
		n, err := prune(ctx, before, pruneBatch)
		if err != nil || n < pruneBatch {
			return err
		}
	}
}

// Recover completes the records of runs whose server was lost. It completes runs that
// were created before the given time, and returns the number of these runs. The zero time
// means all runs, including runs whose time of creation is in the future because the
// clock was set back. Before the call, all these runs must have ended on all servers.
func (s *Service) Recover(ctx context.Context, before time.Time) (int, error) {
	n := 0
	for after := pyth.ExecutionID(""); ; {
		page, err := s.config.Store.UnendedExecutions(ctx, after, pruneBatch)
		if err != nil || len(page) == 0 {
			return n, err
		}
		var lost []*pyth.SealedExecution
		for _, r := range page {
			if !before.IsZero() && !r.CreatedAt.Before(before) {
				continue
			}
			// The run ended together with its server. A queued run had not started yet,
			// so Recover marks it as canceled.
			if r.State == pyth.StateQueued {
				r.Status = pyth.StatusCanceled
			} else {
				r.Status, r.Signal = pyth.StatusKilled, "SIGKILL"
			}
			r.State, r.Reason, r.EndedAt = pyth.StateEnded, pyth.ReasonWorkerLost, s.config.Clock()
			lost = append(lost, &pyth.SealedExecution{ExecutionRecord: *r})
		}
		if err := s.config.Store.PutExecutions(ctx, lost); err != nil {
			return n, err
		}
		n, after = n+len(lost), page[len(page)-1].ID
	}
}
