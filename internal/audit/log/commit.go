package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// commitAll writes the queued events in batches until the log is closed (group commit).
// It does not wait until a batch is full. Events that arrive during a transaction are
// written in the next transaction.
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

// finish passes err to the callers that wait for the batch. Callers of the method Note do
// not wait. If err is not nil, finish counts their events as lost.
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
	var (
		next *extension
		err  error
	)
	if l.shared != nil {
		next, err = l.appendShared(ctx, batch)
	} else if next, err = l.extend(l.tree, batch); err == nil {
		err = l.store.AppendAudit(ctx, next.records, next.checkpoint)
	}
	if err != nil {
		if next == nil {
			return unavailable(err)
		}
		if stored, seen := l.wasStored(next); seen != nil || !stored {
			return unavailable(errors.Join(err, seen))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Commits++
	l.stats.Entries += int64(len(batch))
	// Do not replace a newer state. The log in memory may already contain entries that
	// another server added after this batch.
	if next.tree.size > l.tree.size {
		l.tree, l.checkpoint = next.tree, next.checkpoint
	}
	return nil
}

// extension contains new records. It also contains the state of the log after these
// records were added.
type extension struct {
	records    []*pyth.AuditRecord
	tree       *tree
	checkpoint []byte
}

// extend creates the records of the batch. They follow the last record in the tree.
func (l *Log) extend(t *tree, batch []*pending) (*extension, error) {
	e := &extension{records: make([]*pyth.AuditRecord, len(batch)), tree: t.clone()}
	for i, p := range batch {
		r, err := p.recordAt(e.tree.size)
		if err != nil {
			return nil, err
		}
		r.Hashes = e.tree.add(r.Record)
		e.records[i] = r
	}
	var err error
	e.checkpoint, err = l.signer.sign(e.tree)
	return e, err
}

// appendShared appends the batch to a log to which several servers append. It returns the
// last extension that it tried to store, even if it also returns an error.
func (l *Log) appendShared(ctx context.Context, batch []*pending) (next *extension, err error) {
	err = l.shared.LockAudit(ctx, func(ctx context.Context, locked pyth.LockedAudit) (err error) {
		next = nil
		size, note := locked.Head()
		known, checkpoint := l.head()
		if size < known.size {
			return fmt.Errorf("%w: the store has %d entries, but this server has seen %d; "+
				"if the database was restored from a backup, restart the server", ErrDamaged, size, known.size)
		}
		t, err := l.treeOf(ctx, locked, known, checkpoint, size, note)
		if err != nil {
			return err
		}
		if next, err = l.extend(t, batch); err != nil {
			return err
		}
		return locked.Append(next.records, next.checkpoint)
	})
	return next, err
}

// treeOf returns the Merkle tree for the head of a shared log. The head contains the size
// and the root hash, and it is signed. If another server has appended to the log, treeOf
// reads the new part from the store. It returns ErrDamaged if the signature of the head
// is invalid, or if the head contradicts the tree "known".
func (l *Log) treeOf(ctx context.Context, store hashStore, known *tree, checkpoint []byte, size int64, note []byte) (*tree, error) {
	if size == known.size && (bytes.Equal(note, checkpoint) || size == 0 && note == nil) {
		return known, nil
	}
	t, err := l.treeAt(ctx, store, size, note)
	if err == nil && size == known.size && t.root() != known.root() {
		err = fmt.Errorf("%w: this server has seen another log of %d entries", ErrDamaged, size)
	}
	return t, err
}

// refresh returns the newest head of the log. If other servers can append to the log,
// it reads the head from the store.
func (l *Log) refresh(ctx context.Context) (*tree, []byte, error) {
	known, checkpoint := l.head()
	if l.shared == nil {
		return known, checkpoint, nil
	}
	size, note, err := l.store.AuditHead(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, err := l.treeOf(ctx, l.store, known, checkpoint, size, note)
	if err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.size > l.tree.size {
		l.tree, l.checkpoint = t, note
	}
	return l.tree, l.checkpoint, nil
}

// wasStored reports whether the store contains the records although the store returned an
// error. This happens if the error occurs after the commit. If a log is not shared, no
// other process may extend the log. If another process has extended it, wasStored returns
// ErrDamaged.
func (l *Log) wasStored(next *extension) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	first := next.records[0]
	found, err := l.store.AuditRecords(ctx, first.Sequence, 1)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return false, nil
	}
	// Each record contains random bits. Therefore another server cannot have written the
	// same record.
	if found[0].Sequence == first.Sequence && bytes.Equal(found[0].Record, first.Record) {
		return true, nil
	}
	if l.shared == nil {
		return false, fmt.Errorf("%w: another process has written entry %d", ErrDamaged, first.Sequence)
	}
	return false, nil
}
