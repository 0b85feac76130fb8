package log

import (
	"context"
	"fmt"
	"maps"

	"golang.org/x/mod/sumdb/tlog"
)

// tree contains the part of a Merkle tree that is needed to add leaves and to compute the
// root hash. This part is called the edge. It consists of the roots of the largest
// complete subtrees. The number of these subtrees is the number of ones in the binary
// form of the field "size".
type tree struct {
	size int64
	// edge maps the indexes of package tlog to the root hashes of the subtrees.
	edge map[int64]tlog.Hash
}

func newTree() *tree { return &tree{edge: map[int64]tlog.Hash{}} }

// readTree reads the edge of a tree with the given number of leaves from the store.
func readTree(ctx context.Context, store hashStore, size int64) (*tree, error) {
	t := &tree{size: size, edge: map[int64]tlog.Hash{}}
	stored := hashesAt(ctx, store)
	// The function TreeHash reads only hashes that belong to the edge. Therefore keep all
	// hashes that it reads.
	_, err := tlog.TreeHash(size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes, err := stored(indexes)
		for i := range hashes {
			t.edge[indexes[i]] = hashes[i]
		}
		return hashes, err
	}))
	return t, err
}

func (t *tree) clone() *tree { return &tree{size: t.size, edge: maps.Clone(t.edge)} }

// The method "add" adds a record as a leaf. It returns the hashes of the subtrees that
// the leaf completes, the smallest subtree first.
func (t *tree) add(record []byte) [][32]byte { return t.addLeaf(tlog.RecordHash(record)) }

func (t *tree) addLeaf(leaf tlog.Hash) [][32]byte {
	hashes, err := tlog.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		panic(err) // All hashes that tlog reads are in the edge.
	}
	// The largest subtree that the leaf completed replaces the smaller subtrees. Remove
	// the hashes of the smaller subtrees.
	n := t.size
	for level := range len(hashes) - 1 {
		delete(t.edge, tlog.StoredHashIndex(level, n>>level-1))
	}
	top := len(hashes) - 1
	t.edge[tlog.StoredHashIndex(top, n>>top)] = hashes[top]
	t.size++
	out := make([][32]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h
	}
	return out
}

func (t *tree) root() tlog.Hash {
	h, err := tlog.TreeHash(t.size, t)
	if err != nil {
		panic(err) // All hashes that tlog reads are in the edge.
	}
	return h
}

// ReadHashes returns hashes of the edge by tlog index. It implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := t.edge[index]
		if !ok {
			return nil, fmt.Errorf("audit: hash %d is not at the edge of the tree", index)
		}
		hashes[i] = h
	}
	return hashes, nil
}
