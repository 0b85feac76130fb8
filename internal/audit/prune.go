package audit

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// pruneAtOnce bounds a transaction that prunes.
const pruneAtOnce = 1000

// Prune drops what entries from before the time say, and keeps their hashes, so
// that all else stays provable. It goes from the oldest on and stops at the first
// that is not older. Before it drops anything it enters how far it will go, so
// that what somebody else drops shows. It returns how many were dropped.
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
	for from := start; from < end; from += pruneAtOnce {
		if err := l.store.PruneAudit(ctx, from, min(from+pruneAtOnce, end)); err != nil {
			return from - start, err
		}
	}
	return end - start, nil
}

// prunedBefore is the detail of audit.pruned with the first sequence that stays.
const prunedBefore = "before"

// firstWhole is the first sequence that was not pruned. Those that were are
// before all others.
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
