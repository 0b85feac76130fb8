package app

import (
	"context"
	"time"

	"github.com/pyth-on/pyth-on/internal/runs"
)

// prune deletes records, code and output that are older than their retention periods.
// If the retention period of code and output is 0, the method deletes all of them. Old
// code and output can exist from a time with a different retention period.
func (c RecordConfig) prune(ctx context.Context, records *runs.Service, now time.Time) error {
	var oldest time.Time
	if c.KeepRuns > 0 {
		oldest = now.Add(-c.KeepRuns)
	}
	return records.Prune(ctx, now.Add(-c.KeepOutput), oldest)
}
