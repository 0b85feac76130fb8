package log

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	pyth "github.com/pyth-on/pyth-on"
)

func leafHash(record []byte) [32]byte { return tlog.RecordHash(record) }

// Entries returns the user's entries, newest first, and the cursor of the next page.
// The parameter "limit" is the maximum number of entries.
func (l *Log) Entries(ctx context.Context, user pyth.UserID, f pyth.AuditFilter, cursor string, limit int) ([]*pyth.AuditEntry, string, error) {
	before, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	// The log stores labels after cleaning. Therefore clean the label of the filter as
	// well.
	f.Label = clean(f.Label)
	records, err := l.store.AuditPage(ctx, user, f, before, limit+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(records) > limit {
		records = records[:limit]
		next = formatCursor(records[limit-1])
	}
	entries := make([]*pyth.AuditEntry, len(records))
	for i, r := range records {
		if entries[i], err = entryOf(r.Record); err != nil {
			return nil, "", err
		}
	}
	return entries, next, nil
}

// formatCursor returns the cursor of the next page. The record r is the last entry of the
// current page.
func formatCursor(r *pyth.AuditRecord) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", r.Timestamp.UnixMicro(), r.Sequence))
}

func parseCursor(cursor string) (pyth.AuditPosition, error) {
	if cursor == "" {
		return pyth.AuditPosition{}, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	micro, sequence, found := strings.Cut(string(text), ".")
	at, faultyTime := strconv.ParseInt(micro, 10, 64)
	n, faultySequence := strconv.ParseInt(sequence, 10, 64)
	if err != nil || !found || faultyTime != nil || faultySequence != nil || n < 0 {
		return pyth.AuditPosition{}, pyth.Invalid("query.cursor", "must be the nextCursor of the previous page")
	}
	return pyth.AuditPosition{Timestamp: time.UnixMicro(at).UTC(), Sequence: n}, nil
}

// Checkpoint returns the newest checkpoint. A checkpoint is a signed tree head, and each
// transaction signs one.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	_, checkpoint, err := l.refresh(ctx)
	return checkpoint, err
}

// VerifierKey returns the key that verifies checkpoints.
func (l *Log) VerifierKey() string { return l.signer.key }

func (l *Log) head() (*tree, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tree, l.checkpoint
}

// Proof returns the proof that the log contains the user's entry with the given ID.
func (l *Log) Proof(ctx context.Context, user pyth.UserID, id string) (*pyth.AuditProof, error) {
	absent := pyth.Errorf(pyth.CodeNotFound, "Your audit log has no entry with this ID.")
	sequence, err := sequenceOf(id)
	if err != nil {
		return nil, absent
	}
	head, checkpoint := l.head()
	if sequence >= head.size {
		// Another server may have written the entry, so read the newest state of the log
		// from the store.
		if head, checkpoint, err = l.refresh(ctx); err != nil {
			return nil, err
		}
	}
	if sequence >= head.size {
		return nil, absent
	}
	records, err := l.store.AuditRecords(ctx, sequence, 1)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].Sequence != sequence || records[0].Record == nil {
		return nil, absent
	}
	entry, err := entryOf(records[0].Record)
	if err != nil {
		return nil, err
	}
	if entry.ID != id || entry.User != user || user == "" {
		return nil, absent
	}
	proof, err := tlog.ProveRecord(head.size, sequence, hashesAt(ctx, l.store))
	if err != nil {
		return nil, err
	}
	// Check the proof. It is wrong if somebody has changed the entry in the store.
	if err := tlog.CheckRecord(proof, head.size, head.root(), sequence, entry.Hash); err != nil {
		return nil, fmt.Errorf("%w: entry %d", ErrDamaged, sequence)
	}
	hashes := make([][32]byte, len(proof))
	for i, h := range proof {
		hashes[i] = h
	}
	return &pyth.AuditProof{
		Entry: entry, Record: records[0].Record, TreeSize: head.size, Hashes: hashes, Checkpoint: checkpoint,
	}, nil
}
