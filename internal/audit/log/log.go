// Package log keeps a tamper-evident log of user actions. It implements
// pyth.AuditService. The decorators of package audit call Record.
//
// An event is durable when Record returns. Events that arrive at the same time share one
// transaction. Every entry is a leaf of a Merkle tree (RFC 6962, section 2.1). Each
// transaction signs the new head of the tree (C2SP tlog-checkpoint and signed-note).
//
// If somebody without the signing key changes, removes, moves or adds entries, Verify
// finds these entries. Verify can also find changes that somebody with the key has made.
// For this, Verify needs an earlier checkpoint that was stored outside the server.
//
// The log limits the length of texts from callers. It replaces unprintable characters and
// credentials in these texts.
//
// docs/audit.md describes the format of records and the actions.
package log

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// maxBatch is the maximum number of events in a transaction. Other writers wait
	// for the same database connection, so a transaction must be short.
	maxBatch = 512
	// maxNotes is the maximum number of queued events that the method Note has added.
	maxNotes = 1024
	// storeTimeout is the time-out of a transaction, including the time to wait for
	// other writers and for the disk.
	storeTimeout = 30 * time.Second
)

// Config configures a Log. All fields except Shared are required.
type Config struct {
	Store pyth.AuditStore
	// Shared is the same store as Store if other servers append to the log too. Shared is
	// nil if only this server appends to the log.
	Shared pyth.SharedAuditStore
	// Seed is the seed of the Ed25519 key that signs checkpoints. It has 32 bytes
	// (RFC 8032).
	Seed  []byte
	Clock func() time.Time
}

// Log is the audit log. It is safe for concurrent use.
type Log struct {
	store  pyth.AuditStore
	shared pyth.SharedAuditStore
	clock  func() time.Time
	signer *signer

	// wake receives a value when the queue has events, or when the log is closed. The
	// method commitAll waits for this value.
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting []*pending
	notes   int
	closed  bool
	// tree and checkpoint contain the newest state of the log that this server knows.
	tree       *tree
	checkpoint []byte
	stats      Stats
}

// Stats contains the numbers of events since the Log was opened.
type Stats struct {
	// Entries is the number of written entries. Commits is the number of transactions in
	// which these entries were written.
	Entries, Commits int64
	// Lost is the number of lost events from the method Note. An event is lost if the
	// queue is full or the store fails.
	Lost int64
}

var _ pyth.AuditService = (*Log)(nil)

// ErrDamaged reports that the stored log does not match its checkpoint (the signed size
// and root hash). Verify finds the damaged entries.
var ErrDamaged = errors.New("audit: the log does not match its signed checkpoint")

// Open opens the log. It returns ErrDamaged if the stored log does not match its
// checkpoint. A damaged log must not grow, because the signature of the next checkpoint
// would make the damage look correct.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Clock == nil || len(cfg.Seed) != ed25519.SeedSize {
		return nil, errors.New("audit: the configuration has no store, no clock or no seed of 32 bytes")
	}
	signer, err := newSigner(cfg.Seed)
	if err != nil {
		return nil, err
	}
	l := &Log{
		store: cfg.Store, shared: cfg.Shared, clock: cfg.Clock, signer: signer,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if l.tree, l.checkpoint, err = l.load(ctx); err != nil {
		return nil, err
	}
	if l.checkpoint == nil {
		if l.checkpoint, err = signer.sign(l.tree); err != nil {
			return nil, err
		}
	}
	go l.commitAll()
	return l, nil
}

// load reads the tree and the checkpoint from the store. It returns ErrDamaged if the
// root hash of the tree differs from the root hash in the checkpoint.
func (l *Log) load(ctx context.Context) (*tree, []byte, error) {
	size, note, err := l.store.AuditHead(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, err := l.treeAt(ctx, l.store, size, note)
	return t, note, err
}

// treeAt reads the tree with the given number of leaves from the store. It returns
// ErrDamaged if the root hash of the tree differs from the root hash in the checkpoint.
func (l *Log) treeAt(ctx context.Context, store hashStore, size int64, checkpoint []byte) (*tree, error) {
	if size == 0 && checkpoint == nil {
		return newTree(), nil
	}
	t, err := readTree(ctx, store, size)
	if pyth.ErrorCode(err) == pyth.CodeUnavailable {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	signed, err := openCheckpoint(checkpoint, l.signer.key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if root := t.root(); signed.N != size || signed.Hash != root {
		return nil, fmt.Errorf("%w: the checkpoint covers %d entries with root %v, the store has %d with root %v", ErrDamaged, signed.N, signed.Hash, size, root)
	}
	return t, nil
}

// Close writes the queued events and closes the log. After Close, Record returns an
// error.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wakeUp()
	<-l.done
	return nil
}

// Record writes the event and returns when it is durable. It fails with
// CodeUnavailable if the store fails or the log is closed.
func (l *Log) Record(ctx context.Context, e *pyth.AuditEvent) error {
	return l.begin(ctx, e)()
}

// Begin adds the event to the queue and returns a function that waits until the event
// is durable. The function may be called several times.
func (l *Log) Begin(ctx context.Context, e *pyth.AuditEvent) (wait func() error) {
	wait = l.begin(ctx, e)
	// Let commitAll run on this processor. To wake another processor takes time, and the
	// caller must wait for the commit anyway.
	runtime.Gosched()
	return wait
}

func (l *Log) begin(ctx context.Context, e *pyth.AuditEvent) (wait func() error) {
	p, err := l.pending(ctx, e)
	if err != nil {
		return func() error { return err }
	}
	p.written = make(chan struct{})
	if !l.enqueue(p) {
		return func() error { return unavailable(errors.New("audit: the log is closed")) }
	}
	return func() error {
		// Wait even if ctx has ended. The action has happened, so the log must contain
		// the event.
		<-p.written
		return p.failure
	}
}

// Note adds the event to the queue and returns at once. The event is lost if the queue
// is full or the store fails. Use Note for events that anonymous callers can cause
// without limit.
func (l *Log) Note(ctx context.Context, e *pyth.AuditEvent) {
	p, err := l.pending(ctx, e)
	if err != nil {
		return
	}
	l.enqueue(p)
}

func (l *Log) pending(ctx context.Context, e *pyth.AuditEvent) (*pending, error) {
	origin := pyth.OriginOf(ctx)
	// Truncate the time, because the store has a precision of microseconds.
	return newPending(&origin, e, l.clock().UTC().Truncate(time.Microsecond))
}

// enqueue adds the event to the queue. It returns false if the log is closed. It also
// returns false for an event from the method Note if the queue already has maxNotes such
// events.
func (l *Log) enqueue(p *pending) bool {
	l.mu.Lock()
	note := p.written == nil
	ok := !l.closed && (!note || l.notes < maxNotes)
	switch {
	case ok:
		l.waiting = append(l.waiting, p)
		if note {
			l.notes++
		}
	case note:
		l.stats.Lost++
	}
	l.mu.Unlock()
	if ok {
		l.wakeUp()
	}
	return ok
}

func (l *Log) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // A signal is waiting already.
	}
}

// Stats returns the numbers of entries, transactions and lost events.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Size returns the number of entries in the log, including pruned entries.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tree.size
}

func unavailable(err error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: "The audit log cannot be written. Try again later.",
		Err:     err,
	}
}

// hashStore reads hashes of records. All kinds of audit stores implement it.
type hashStore interface {
	AuditHashes(ctx context.Context, sequences []int64) ([][][32]byte, error)
}

// hashesAt returns a function that reads hashes of the tree from the store. The function
// takes the indexes of the hashes in the numbering of package tlog.
func hashesAt(ctx context.Context, store hashStore) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		sequences := make([]int64, len(indexes))
		levels := make([]int, len(indexes))
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			// The store keeps the hash of a subtree in the row of the subtree's last
			// record.
			levels[i], sequences[i] = level, (n+1)<<level-1
		}
		stored, err := store.AuditHashes(ctx, sequences)
		if err != nil {
			return nil, err
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i, level := range levels {
			if level >= len(stored[i]) {
				return nil, fmt.Errorf("record %d has no hash", sequences[i])
			}
			hashes[i] = stored[i][level]
		}
		return hashes, nil
	}
}
