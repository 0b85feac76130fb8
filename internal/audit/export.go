package audit

import (
	"context"
	"io"

	pyth "github.com/pyth-on/pyth-on"
)

// Export writes the records that are wanted, one a line and in their order. A
// line without its end is what the leaf hash is of. Those that were pruned are
// left out, and so are those that are added meanwhile.
func Export(ctx context.Context, store pyth.AuditStore, wants func(*pyth.AuditRecord) bool, w io.Writer) error {
	size, _, err := store.AuditHead(ctx)
	if err != nil {
		return err
	}
	for r, err := range records(ctx, store, 0, size) {
		if err != nil {
			return err
		}
		if r.Record == nil || !wants(r) {
			continue
		}
		if _, err := w.Write(append(r.Record, '\n')); err != nil {
			return err
		}
	}
	return nil
}
