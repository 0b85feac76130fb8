package audit

import (
	"context"
	"fmt"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	pyth "github.com/pyth-on/pyth-on"
)

// maxFindings bounds what a report lists.
const maxFindings = 20

// Verification says what is checked.
type Verification struct {
	Store pyth.AuditStore
	// Key is the verifier key of the log.
	Key string
	// Kept is a checkpoint that was kept elsewhere; nil for none.
	Kept []byte
	// Progress is told how many of the entries were looked at; nil for nobody.
	Progress func(done, total int64)
}

// Report is what a verification found.
type Report struct {
	// Size is the number of entries, of which Pruned only have their hashes left.
	Size, Pruned int64
	// Checkpoint is the one that the entries were checked against, Root its root.
	Checkpoint []byte
	Root       tlog.Hash
	// Findings are what is wrong, at most 20 of them, and More how many there are
	// besides. With none the log is whole.
	Findings []string
	More     int
}

// Whole is whether nothing was found.
func (r *Report) Whole() bool { return len(r.Findings) == 0 }

func (r *Report) found(format string, args ...any) {
	if len(r.Findings) == maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// Verify reads the whole log and computes the tree anew. What is added meanwhile
// is not looked at. An error means that it could not be done.
func Verify(ctx context.Context, v Verification) (*Report, error) {
	size, note, err := v.Store.AuditHead(ctx)
	if err != nil {
		return nil, err
	}
	c := &check{Verification: v, Report: Report{Size: size, Checkpoint: note}, tree: newTree()}
	c.signed = c.open("the stored checkpoint", note)
	if v.Kept != nil {
		c.kept = c.open("the kept checkpoint", v.Kept)
	}
	if err := c.all(ctx); err != nil {
		return nil, err
	}
	if err := c.removed(ctx); err != nil {
		return nil, err
	}
	c.heads()
	return &c.Report, nil
}

// check is a verification in progress.
type check struct {
	Verification
	Report
	// tree is made of the entries so far.
	tree *tree
	// broken is whether entries are missing, so that no root can be computed.
	broken bool
	// signed and kept are what the checkpoints say; nil where there is none, or
	// one that does not count.
	signed, kept *tlog.Tree
	// keptRoot is the root at the size of the kept checkpoint.
	keptRoot *tlog.Hash
	// pruned are the entries that were, as ranges; allowed is the sequence before
	// which the log says so.
	pruned  []span
	allowed int64
}

// span is the entries from one sequence up to, and without, another.
type span struct{ from, to int64 }

func (c *check) open(what string, note []byte) *tlog.Tree {
	if note == nil && c.Size == 0 {
		return &tlog.Tree{Hash: c.tree.root()}
	}
	head, err := openCheckpoint(note, c.Key)
	if err != nil {
		c.found("%s does not count: %v", what, err)
		return nil
	}
	return &head
}

// all looks at the entries in their order.
func (c *check) all(ctx context.Context) error {
	c.noteRoot()
	next := int64(0)
	// If the log is cut while it is read, the size shows it.
	for r, err := range records(ctx, c.Store, 0, c.Size) {
		if err != nil {
			return err
		}
		if c.Progress != nil && r.Sequence%readAtOnce == 0 {
			c.Progress(r.Sequence, c.Size)
		}
		if r.Sequence > next {
			c.missing(span{next, r.Sequence})
		}
		c.entry(r)
		next = r.Sequence + 1
	}
	if c.Progress != nil {
		c.Progress(c.Size, c.Size)
	}
	return nil
}

func (c *check) missing(s span) {
	c.broken = true
	if s.to == s.from+1 {
		c.found("%s is missing", entries(s))
	} else {
		c.found("%s are missing", entries(s))
	}
}

// entry looks at one.
func (c *check) entry(r *pyth.AuditRecord) {
	if len(r.Hashes) == 0 {
		c.broken = true
		c.found("entry %d has no hash", r.Sequence)
		return
	}
	leaf := tlog.Hash(r.Hashes[0])
	if r.Record == nil {
		c.notePruned(r.Sequence)
	} else {
		leaf = tlog.RecordHash(r.Record)
		c.content(r, leaf)
	}
	if c.broken {
		return
	}
	if hashes := c.tree.addLeaf(leaf); leaf == r.Hashes[0] && !slices.Equal(hashes, r.Hashes) {
		c.found("the hashes of the tree at entry %d were changed", r.Sequence)
	}
	c.noteRoot()
}

func (c *check) notePruned(sequence int64) {
	c.Pruned++
	if n := len(c.pruned); n > 0 && c.pruned[n-1].to == sequence {
		c.pruned[n-1].to++
		return
	}
	c.pruned = append(c.pruned, span{sequence, sequence + 1})
}

// content compares what an entry says with its hash and with its columns.
func (c *check) content(r *pyth.AuditRecord, leaf tlog.Hash) {
	e, err := entryOf(r.Record)
	switch {
	case err == nil && e.Sequence != r.Sequence:
		c.found("entry %d is not in its place: here is the one that was entry %d", r.Sequence, e.Sequence)
	case leaf != r.Hashes[0]:
		c.found("entry %d was changed", r.Sequence)
	case err != nil:
		c.found("entry %d: %v", r.Sequence, err)
	case e.User != r.User || e.Action != r.Action || e.Outcome != r.Outcome || !e.Timestamp.Equal(r.Timestamp):
		c.found("entry %d is listed as something else than it says", r.Sequence)
	default:
		c.allow(e)
	}
}

// allow notes how far retention went.
func (c *check) allow(e *pyth.AuditEntry) {
	// Numbers come as JSON has them.
	if before, ok := e.Details[prunedBefore].(float64); ok && e.Action == pyth.ActionAuditPruned {
		c.allowed = max(c.allowed, int64(before))
	}
}

// removed looks for entries that were pruned by somebody else than the log.
func (c *check) removed(ctx context.Context) error {
	if n := len(c.pruned); n == 0 || c.pruned[n-1].to <= c.allowed {
		return nil
	}
	// Retention may have set in after this began.
	for r, err := range records(ctx, c.Store, c.Size, math.MaxInt64) {
		if err != nil {
			return err
		}
		if e, err := entryOf(r.Record); err == nil {
			c.allow(e)
		}
	}
	for _, p := range c.pruned {
		if p.from = max(p.from, c.allowed); p.from < p.to {
			c.found("%s said something that was removed, and not by the log's retention", entries(p))
		}
	}
	return nil
}

func entries(s span) string {
	if s.to == s.from+1 {
		return fmt.Sprintf("entry %d", s.from)
	}
	return fmt.Sprintf("entries %d to %d", s.from, s.to-1)
}

// noteRoot keeps the root that the kept checkpoint is about.
func (c *check) noteRoot() {
	if c.kept != nil && c.tree.size == c.kept.N {
		root := c.tree.root()
		c.keptRoot = &root
	}
}

// heads compares the tree with the checkpoints.
func (c *check) heads() {
	if !c.broken {
		c.Root = c.tree.root()
	}
	if s := c.signed; s != nil {
		switch {
		case s.N > c.Size:
			c.found("the last %d entries are missing: the stored checkpoint covers %d, there are %d", s.N-c.Size, s.N, c.Size)
		case s.N < c.Size:
			c.found("the last %d entries were added without a signature: the stored checkpoint covers %d, there are %d", c.Size-s.N, s.N, c.Size)
		case !c.broken && s.Hash != c.Root:
			c.found("the entries are not those that the stored checkpoint was signed for")
		}
	}
	if k := c.kept; k != nil {
		switch {
		case k.N > c.Size:
			c.found("the last %d entries are missing: the kept checkpoint covers %d, there are %d", k.N-c.Size, k.N, c.Size)
		case !c.broken && (c.keptRoot == nil || *c.keptRoot != k.Hash):
			c.found("the first %d entries are not those that the kept checkpoint was signed for: they were rewritten", k.N)
		}
	}
}
