package app

import (
	"context"
	"time"

	"github.com/pyth-on/pyth-on/internal/runs"
)

// prune deletes records, code and output that are older than their retention
// periods. With a retention period of 0 for code and output, it deletes what an
// earlier setting has stored.
func (c RecordConfig) prune(ctx context.Context, records *runs.Service) error {
	var oldest time.Time
	if c.KeepRuns > 0 {
		oldest = now().Add(-c.KeepRuns)
	}
	return records.Prune(ctx, now().Add(-c.KeepOutput), oldest)
}
