package audit

import (
	"context"
	"iter"

	pyth "github.com/pyth-on/pyth-on"
)

// readAtOnce is how many records are read together.
const readAtOnce = 1000

// records are those in the store from one sequence on, up to and without
// another. They end early where the store does, or with an error.
func records(ctx context.Context, store pyth.AuditStore, from, to int64) iter.Seq2[*pyth.AuditRecord, error] {
	return func(yield func(*pyth.AuditRecord, error) bool) {
		for from < to {
			page, err := store.AuditRecords(ctx, from, readAtOnce)
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
