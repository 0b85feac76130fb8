// Package audit keeps a log of who did what, from which nothing can be taken or
// changed without a trace. It is a pyth.Auditor and a pyth.AuditService, and has
// decorators that write entries for the services of the vocabulary.
//
// It promises that an event is durable when Record returns, and that those that
// wait together share one transaction; that every entry is a leaf of a Merkle
// tree (RFC 6962, section 2.1), whose head is signed anew with each transaction
// (C2SP tlog-checkpoint and signed-note); that Verify finds entries that were
// changed, removed, moved or added by who does not have the signing key, and by
// who has it too where a checkpoint was kept elsewhere; and that what callers
// choose the words of is bounded, printable and free of credentials.
//
// docs/audit.md has the format of records and what the actions mean.
package audit

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
	// maxBatch bounds a transaction: others wait for the same connection.
	maxBatch = 512
	// maxNotes bounds the notes that wait.
	maxNotes = 1024
	// storeTimeout is how long a transaction may take, waiting for the disk and
	// for those of others.
	storeTimeout = 30 * time.Second
)

// Config is what a Log works with; all of it is required.
type Config struct {
	Store pyth.AuditStore
	// Seed is that of the Ed25519 key that signs checkpoints; 32 bytes (RFC 8032).
	Seed  []byte
	Clock func() time.Time
}

// Log is the audit log. It is safe for concurrent use.
type Log struct {
	store  pyth.AuditStore
	clock  func() time.Time
	signer *signer

	// wake tells the committer that somebody waits, or that the log is closed.
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting []*pending
	notes   int
	closed  bool
	// tree and checkpoint are what has been committed.
	tree       *tree
	checkpoint []byte
	stats      Stats
}

// Stats count what a Log did since it was opened.
type Stats struct {
	// Entries are those that were written, in that many Commits.
	Entries, Commits int64
	// Lost are notes that were not written, because too many waited or the store
	// failed.
	Lost int64
}

var (
	_ pyth.Auditor      = (*Log)(nil)
	_ pyth.AuditService = (*Log)(nil)
)

// ErrDamaged is that the stored log is not what its checkpoint says. Verify
// tells where.
var ErrDamaged = errors.New("audit: the log does not agree with its signed checkpoint")

// Open opens the log. It fails with ErrDamaged rather than to go on from, and
// sign, what somebody else has made of it.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Clock == nil || len(cfg.Seed) != ed25519.SeedSize {
		return nil, errors.New("audit: the configuration lacks a store, a clock or a seed of 32 bytes")
	}
	signer, err := newSigner(cfg.Seed)
	if err != nil {
		return nil, err
	}
	l := &Log{
		store: cfg.Store, clock: cfg.Clock, signer: signer,
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

// load reads the end of the tree and checks it against the checkpoint.
func (l *Log) load(ctx context.Context) (*tree, []byte, error) {
	size, note, err := l.store.AuditHead(ctx)
	if err != nil {
		return nil, nil, err
	}
	if size == 0 && note == nil {
		return newTree(), nil, nil
	}
	t, err := readTree(ctx, l.store, size)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	signed, err := openCheckpoint(note, l.signer.key)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if root := t.root(); signed.N != size || signed.Hash != root {
		return nil, nil, fmt.Errorf("%w: signed is %d entries with root %v, there are %d with root %v", ErrDamaged, signed.N, signed.Hash, size, root)
	}
	return t, note, nil
}

// Close writes what waits and ends the log: whoever records later fails.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wakeUp()
	<-l.done
	return nil
}

// Record writes the event. It fails with CodeUnavailable if the store does, or
// if the log is closed.
func (l *Log) Record(ctx context.Context, e *pyth.AuditEvent) error {
	return l.begin(ctx, e)()
}

// Begin is Record for who has more to do meanwhile: what it returns waits, as
// often as it is called.
func (l *Log) Begin(ctx context.Context, e *pyth.AuditEvent) (written func() error) {
	written = l.begin(ctx, e)
	// The committer goes first, here and now: to wake another processor takes time,
	// and it is the committer that the caller will wait for.
	runtime.Gosched()
	return written
}

func (l *Log) begin(ctx context.Context, e *pyth.AuditEvent) (written func() error) {
	p, err := l.pending(ctx, e)
	if err != nil {
		return func() error { return err }
	}
	p.written = make(chan struct{})
	if !l.enqueue(p) {
		return func() error { return unavailable(errors.New("audit: the log is closed")) }
	}
	return func() error {
		// ctx may end, but not what it has led to.
		<-p.written
		return p.failure
	}
}

// Note has the event written with others, without waiting for it and without a
// promise: for attempts that anyone can make any number of.
func (l *Log) Note(ctx context.Context, e *pyth.AuditEvent) {
	p, err := l.pending(ctx, e)
	if err != nil {
		return
	}
	l.enqueue(p)
}

func (l *Log) pending(ctx context.Context, e *pyth.AuditEvent) (*pending, error) {
	origin := pyth.OriginOf(ctx)
	// As the store keeps times.
	return newPending(&origin, e, l.clock().UTC().Truncate(time.Microsecond))
}

// enqueue is whether the event will be written.
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
	default: // It has yet to look.
	}
}

// Stats tells what the log did.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Size is the number of entries.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tree.size
}

func unavailable(err error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: "The audit log cannot be written at this moment. Try again later.",
		Err:     err,
	}
}

// hashesAt reads hashes of the tree by their index in the order of tlog.
func hashesAt(ctx context.Context, store pyth.AuditStore) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		sequences := make([]int64, len(indexes))
		levels := make([]int, len(indexes))
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			// The record that completes the subtree has its hash.
			levels[i], sequences[i] = level, (n+1)<<level-1
		}
		of, err := store.AuditHashes(ctx, sequences)
		if err != nil {
			return nil, err
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i, level := range levels {
			if level >= len(of[i]) {
				return nil, fmt.Errorf("record %d lacks a hash", sequences[i])
			}
			hashes[i] = of[i][level]
		}
		return hashes, nil
	}
}
