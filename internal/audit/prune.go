package audit

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// pruneBatch is the maximum number of records that a transaction prunes.
const pruneBatch = 1000

// Prune removes the content of entries older than before. It keeps their hashes, so
// that all other entries can still be proved. It starts at the oldest entry and stops
// at the first entry that is not older. First it writes an entry with the range that
// it will prune, so that Verify can detect other removals. It returns the number of
// pruned entries.
func (l *Log) Prune(ctx context.Context, before time.Time) (int64, error) {
	size := l.Size()
	start, err := l.firstWhole(ctx, size)
	if err != nil {
		return 0, err
	}
	end := start
	for r, err := range records(ctx, l.store, start, size) {
		if err != nil {
			return 0, err
		}
		if !r.Timestamp.Before(before) {
			break
		}
		end = r.Sequence + 1
	}
	if end == start {
		return 0, nil
	}
	event := &pyth.AuditEvent{
		Action: pyth.ActionAuditPruned, Outcome: pyth.AuditSuccess,
		Details: map[string]any{prunedBefore: end},
	}
	if err := l.Record(ctx, event); err != nil {
		return 0, err
	}
	for from := start; from < end; from += pruneBatch {
		if err := l.store.PruneAudit(ctx, from, min(from+pruneBatch, end)); err != nil {
			return from - start, err
		}
	}
	return end - start, nil
}

// prunedBefore names the detail of audit.pruned that contains the first kept
// sequence.
const prunedBefore = "before"

// firstWhole returns the sequence of the first entry that is not pruned. All pruned
// entries are before it.
func (l *Log) firstWhole(ctx context.Context, size int64) (int64, error) {
	low, high := int64(0), size
	for low < high {
		middle := low + (high-low)/2
		records, err := l.store.AuditRecords(ctx, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(records) == 1 && records[0].Record == nil {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
