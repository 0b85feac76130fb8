package app

import (
	"context"
	"time"

	"github.com/pyth-on/pyth-on/internal/runs"
)

// prune deletes records, code and output that are older than their retention periods.
// If the server stores no code and output (KeepOutput is 0), prune deletes all that an
// earlier configuration has stored.
func (c RecordConfig) prune(ctx context.Context, records *runs.Service, now time.Time) error {
	var oldest time.Time
	if c.KeepRuns > 0 {
		oldest = now.Add(-c.KeepRuns)
	}
	return records.Prune(ctx, now.Add(-c.KeepOutput), oldest)
}
