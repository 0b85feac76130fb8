package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// commitAll writes what waits, all of it at once, until the log is closed. There
// is no timer: one alone is written at once, and what comes while it is goes
// with the next transaction (group commit).
func (l *Log) commitAll() {
	defer close(l.done)
	for range l.wake {
		batch, closed := l.next()
		for ; len(batch) > 0; batch, closed = l.next() {
			l.tell(batch, l.commit(batch))
		}
		if closed {
			return
		}
	}
}

// next takes what waits.
func (l *Log) next() (batch []*pending, closed bool) {
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

// tell lets those who wait go on.
func (l *Log) tell(batch []*pending, err error) {
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

// commit writes the batch in one transaction.
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

// wasStored looks whether a transaction that failed took effect all the same, as
// it may when the error came after the commit. A checkpoint that is neither the
// one before nor this one was written by somebody else, with whom the log must
// not be continued: the store's own check of the size sees to that.
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
		return false, fmt.Errorf("%w: there are %d entries where this server has written %d", ErrDamaged, size, l.tree.size)
	}
	return false, nil
}
