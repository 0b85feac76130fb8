package log

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const pruneBatch = 1000

// Prune removes the content of entries that are older than the given time, and returns
// the number of these entries. It begins with the oldest entry and stops at the first
// entry that is not older. It keeps the hashes of all entries, so that Proof still works
// for the remaining entries.
//
// Before Prune removes content, it writes an audit entry with the range of the pruned
// entries. Without this audit entry, Verify reports the missing content as damage.
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

// prunedBefore is the name of a detail in entries with the action audit.pruned. The value
// is the sequence number of the first entry that Prune kept.
const prunedBefore = "before"

// firstWhole returns the sequence number of the first entry that is not pruned. All
// pruned entries precede all other entries, so it can use a binary search.
func (l *Log) firstWhole(ctx context.Context, size int64) (int64, error) {
	low, high := int64(0), size
	for low < high {
		middle := low + (high-low)/2
		records, err := l.store.AuditRecords(ctx, middle, 1)
		if err != nil {
			return 0, err
		}
		// Also check the time, because erased entries have no content either. But erased
		// entries have a time, and pruned entries have no time.
		if len(records) == 1 && records[0].Record == nil && records[0].Timestamp.IsZero() {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
