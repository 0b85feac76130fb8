package log

import (
	"context"
	"io"

	pyth "github.com/pyth-on/pyth-on"
)

// Export writes records to w, oldest first, one record per line. It includes a record
// only if the function "selects" returns true for the record. It omits pruned records,
// and records that are added during the call. The leaf hash of a record is the hash of
// the record's line without the newline.
func Export(ctx context.Context, store pyth.AuditStore, selects func(*pyth.AuditRecord) bool, w io.Writer) error {
	size, _, err := store.AuditHead(ctx)
	if err != nil {
		return err
	}
	for r, err := range records(ctx, store, 0, size) {
		if err != nil {
			return err
		}
		if r.Record == nil || !selects(r) {
			continue
		}
		if _, err := w.Write(append(r.Record, '\n')); err != nil {
			return err
		}
	}
	return nil
}
