package app

import (
	"context"
	"time"

	"github.com/pyth-on/pyth-on/internal/runs"
)

// prune deletes records, code and output after their retention periods. If KeepOutput
// is 0, the server stores no code and output. In this case, prune deletes all code and
// output that the server stored with an earlier configuration.
func (c RecordConfig) prune(ctx context.Context, records *runs.Service, now time.Time) error {
	var oldest time.Time
	if c.KeepRuns > 0 {
		oldest = now.Add(-c.KeepRuns)
	}
	return records.Prune(ctx, now.Add(-c.KeepOutput), oldest)
}
