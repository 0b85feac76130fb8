package log

import (
	"context"
	"iter"

	pyth "github.com/pyth-on/pyth-on"
)

const readBatch = 1000

// records iterates over the stored records whose sequence number is at least "from"
// and less than "to". If a query fails, the error is the last element.
func records(ctx context.Context, store pyth.AuditStore, from, to int64) iter.Seq2[*pyth.AuditRecord, error] {
	return func(yield func(*pyth.AuditRecord, error) bool) {
		for from < to {
			page, err := store.AuditRecords(ctx, from, readBatch)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, r := range page {
				if r.Sequence >= to || !yield(r, nil) {
					return
				}
				from = r.Sequence + 1
			}
		}
	}
}
