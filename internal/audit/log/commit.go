package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// commitAll writes the events in the queue in batches until the log is closed (group
// commit). It does not wait until a batch is full. Events that arrive during a
// transaction are written in the next transaction.
func (l *Log) commitAll() {
	defer close(l.done)
	for range l.wake {
		batch, closed := l.nextBatch()
		for ; len(batch) > 0; batch, closed = l.nextBatch() {
			l.finish(batch, l.commit(batch))
		}
		if closed {
			return
		}
	}
}

// nextBatch removes up to maxBatch events from the queue and returns them. The
// result "closed" is true if the log was closed.
func (l *Log) nextBatch() (batch []*pending, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), maxBatch)
	batch = slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	for _, p := range batch {
		if p.written == nil {
			l.notes--
		}
	}
	return batch, l.closed
}

// finish passes err to the callers that wait for the batch. If err is not nil, it
// counts the events from Note in the batch as lost.
func (l *Log) finish(batch []*pending, err error) {
	lost := int64(0)
	for _, p := range batch {
		switch {
		case p.written != nil:
			p.failure = err
			close(p.written)
		case err != nil:
			lost++
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Lost += lost
}

// commit writes the entries of the batch and the new checkpoint in one transaction.
func (l *Log) commit(batch []*pending) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	grown := l.tree.clone()
	records := make([]*pyth.AuditRecord, len(batch))
	for i, p := range batch {
		r, err := p.recordAt(grown.size)
		if err != nil {
			return err
		}
		r.Hashes = grown.add(r.Record)
		records[i] = r
	}
	checkpoint, err := l.signer.sign(grown)
	if err != nil {
		return err
	}
	if err := l.store.AppendAudit(ctx, records, checkpoint); err != nil {
		if stored, seen := l.wasStored(checkpoint); seen != nil || !stored {
			return unavailable(errors.Join(err, seen))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tree, l.checkpoint = grown, checkpoint
	l.stats.Commits++
	l.stats.Entries += int64(len(batch))
	return nil
}

// wasStored reports whether the transaction with this checkpoint was stored although
// AppendAudit returned an error. This happens if the error occurs after the commit.
// If another process has extended the log, wasStored returns ErrDamaged.
func (l *Log) wasStored(checkpoint []byte) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	size, note, err := l.store.AuditHead(ctx)
	if err != nil {
		return false, err
	}
	if bytes.Equal(note, checkpoint) {
		return true, nil
	}
	if size != l.tree.size {
		return false, fmt.Errorf("%w: the store has %d entries, this server has written %d", ErrDamaged, size, l.tree.size)
	}
	return false, nil
}
