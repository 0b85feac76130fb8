package log

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	pyth "github.com/pyth-on/pyth-on"
)

const maxFindings = 20

// Verification contains the parameters of Verify.
type Verification struct {
	Store pyth.AuditStore
	// Key is the public key of the log. It verifies the signatures of checkpoints.
	Key string
	// Kept is an earlier checkpoint that was stored outside the server. Kept may be
	// nil.
	Kept []byte
	// Progress receives the number of checked entries and the number of all entries.
	// Progress may be nil.
	Progress func(done, total int64)
}

// Report is the result of a verification.
type Report struct {
	// Size is the number of all entries. Pruned is the number of entries without
	// content.
	Size, Pruned int64
	// Checkpoint is the stored checkpoint. Root is the root hash that Verify computed
	// from the entries.
	Checkpoint []byte
	Root       tlog.Hash
	// Findings describes the first problems, at most maxFindings. More is the number of
	// further problems. The log is intact if Findings is empty.
	Findings []string
	More     int
}

// Whole reports whether the log is intact. The log is intact if there are no findings.
func (r *Report) Whole() bool { return len(r.Findings) == 0 }

func (r *Report) report(format string, args ...any) {
	if len(r.Findings) == maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// Verify reads the whole log and computes the Merkle tree again. It does not check
// entries that are added during the call. The Report contains all damage that Verify
// finds. Verify returns an error only if it cannot check the log.
func Verify(ctx context.Context, v Verification) (*Report, error) {
	size, note, err := v.Store.AuditHead(ctx)
	if err != nil {
		return nil, err
	}
	c := &check{Verification: v, Report: Report{Size: size, Checkpoint: note}, tree: newTree()}
	c.signed = c.open("the stored checkpoint", note)
	if v.Kept != nil {
		c.kept = c.open("the earlier checkpoint", v.Kept)
	}
	if err := c.all(ctx); err != nil {
		return nil, err
	}
	if err := c.checkPruned(ctx); err != nil {
		return nil, err
	}
	c.heads()
	return &c.Report, nil
}

type check struct {
	Verification
	Report
	// tree contains the leaves of the entries that Verify has read.
	tree *tree
	// The field "broken" is true if entries or hashes are missing. In this case Verify
	// cannot compute a root hash.
	broken bool
	// The field "signed" is the tree head in the stored checkpoint, and "kept" is the
	// tree head in Verification.Kept. A tree head is nil if its checkpoint is absent or
	// invalid.
	signed, kept *tlog.Tree
	// keptRoot is the root hash that Verify computed from the first kept.N entries.
	keptRoot *tlog.Hash
	// The field "pruned" contains the ranges of entries without content. An entry with
	// the action audit.pruned contains a sequence number, and all entries with a lower
	// number may have no content. The field "allowed" is the highest of these sequence
	// numbers.
	pruned  []span
	allowed int64
	// The field "erased" contains the ranges that the entries with the action
	// audit.erased list.
	erased []span
}

// span is the range [from, to) of sequence numbers.
type span struct{ from, to int64 }

func (c *check) open(name string, note []byte) *tlog.Tree {
	if note == nil && c.Size == 0 {
		return &tlog.Tree{Hash: c.tree.root()}
	}
	head, err := openCheckpoint(note, c.Key)
	if err != nil {
		c.report("%s is not valid: %v", name, err)
		return nil
	}
	return &head
}

func (c *check) all(ctx context.Context) error {
	c.noteRoot()
	next := int64(0)
	// This loop cannot find missing entries at the end of the log. The method "heads"
	// finds them, because checkpoints contain the size of the log.
	for r, err := range records(ctx, c.Store, 0, c.Size) {
		if err != nil {
			return err
		}
		if c.Progress != nil && r.Sequence%readBatch == 0 {
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
		c.report("%s is missing", entries(s))
	} else {
		c.report("%s are missing", entries(s))
	}
}

func (c *check) entry(r *pyth.AuditRecord) {
	if len(r.Hashes) == 0 {
		c.broken = true
		c.report("entry %d has no hash", r.Sequence)
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
		c.report("the hashes of the tree at entry %d were changed", r.Sequence)
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

// content compares a record with its stored leaf hash, and with the other columns of
// its row in the database.
func (c *check) content(r *pyth.AuditRecord, leaf tlog.Hash) {
	e, err := entryOf(r.Record)
	switch {
	case err == nil && e.Sequence != r.Sequence:
		c.report("entry %d was replaced by entry %d", r.Sequence, e.Sequence)
	case leaf != r.Hashes[0]:
		c.report("entry %d was changed", r.Sequence)
	case err != nil:
		c.report("entry %d: %v", r.Sequence, err)
	case e.User != r.User || e.Action != r.Action || e.Outcome != r.Outcome || !e.Timestamp.Equal(r.Timestamp):
		c.report("entry %d has columns that contradict its record", r.Sequence)
	default:
		c.allow(e)
	}
}

// allow reads the audit entries that explain why the content of other entries is
// missing. For the action audit.pruned, it increases the field "allowed". For the action
// audit.erased, it adds the ranges to the field "erased".
func (c *check) allow(e *pyth.AuditEntry) {
	switch e.Action {
	case pyth.ActionAuditPruned:
		// The value is a float64, because package json decodes numbers as float64.
		if before, ok := e.Details[prunedBefore].(float64); ok {
			c.allowed = max(c.allowed, int64(before))
		}
	case pyth.ActionAuditErased:
		c.erased = append(c.erased, parseSpans(e.Details[erasedEntries])...)
	default:
	}
}

// checkPruned reports entries whose content is missing although no entry about pruning or
// erasure contains their sequence numbers.
func (c *check) checkPruned(ctx context.Context) error {
	if len(c.unexplained()) == 0 {
		return nil
	}
	// The server may have pruned or erased entries after this verification began. The
	// entries about pruning and erasure are then newer, so read the newer entries as
	// well.
	for r, err := range records(ctx, c.Store, c.Size, math.MaxInt64) {
		if err != nil {
			return err
		}
		if e, err := entryOf(r.Record); err == nil {
			c.allow(e)
		}
	}
	for _, p := range c.unexplained() {
		c.report("%s lost content, but no entry says that the server removed it", entries(p))
	}
	return nil
}

// The method "unexplained" returns the ranges of entries whose content is missing
// although no entry about pruning or erasure contains their sequence numbers.
func (c *check) unexplained() []span {
	covered := slices.SortedFunc(slices.Values(append(c.erased, span{0, c.allowed})), func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var all []span
	for _, p := range c.pruned {
		for len(covered) > 0 && covered[0].to <= p.from {
			covered = covered[1:]
		}
		for _, by := range covered {
			if by.from >= p.to {
				break
			}
			if by.from > p.from {
				all = append(all, span{p.from, by.from})
			}
			p.from = max(p.from, by.to)
		}
		if p.from < p.to {
			all = append(all, p)
		}
	}
	return all
}

func entries(s span) string {
	if s.to == s.from+1 {
		return fmt.Sprintf("entry %d", s.from)
	}
	return fmt.Sprintf("entries %d to %d", s.from, s.to-1)
}

// noteRoot stores the current root hash in keptRoot if the tree has exactly kept.N
// leaves.
func (c *check) noteRoot() {
	if c.kept != nil && c.tree.size == c.kept.N {
		root := c.tree.root()
		c.keptRoot = &root
	}
}

// heads compares the computed tree with the stored checkpoint and with the checkpoint in
// Verification.Kept.
func (c *check) heads() {
	if !c.broken {
		c.Root = c.tree.root()
	}
	if s := c.signed; s != nil {
		switch {
		case s.N > c.Size:
			c.report("the last %d entries are missing: the stored checkpoint covers %d entries, but the log has %d", s.N-c.Size, s.N, c.Size)
		case s.N < c.Size:
			c.report("the last %d entries were added without a signature: the stored checkpoint covers %d entries, but the log has %d", c.Size-s.N, s.N, c.Size)
		case !c.broken && s.Hash != c.Root:
			c.report("the entries differ from the entries that the stored checkpoint covers")
		}
	}
	if k := c.kept; k != nil {
		switch {
		case k.N > c.Size:
			c.report("the last %d entries are missing: the earlier checkpoint covers %d entries, but the log has %d", k.N-c.Size, k.N, c.Size)
		case !c.broken && (c.keptRoot == nil || *c.keptRoot != k.Hash):
			c.report("the first %d entries differ from the entries that the earlier checkpoint covers: they were rewritten", k.N)
		}
	}
}
