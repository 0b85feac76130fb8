package rootfs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// plan contains the files of an image, except the files of the interpreters. The keys are
// paths as in io/fs. Unlike a tree, a plan does not contain the parents of its paths. So
// a custom image keeps the directories of its source.
type plan map[string]tree.Entry

func (p plan) dir(path string, mode fs.FileMode) { p[path] = tree.Dir(mode) }

func (p plan) file(path string, mode fs.FileMode, data []byte) { p[path] = tree.File(mode, data) }

func (p plan) link(path, target string) { p[path] = tree.Link(target) }

func (p plan) has(path string) bool {
	_, ok := p[path]
	return ok
}

// key returns a hash for the image's name. The hash covers the plan and the given string.
// The string identifies all inputs that are not in the plan.
func (p plan) key(python string) (string, error) {
	h := sha256.New()
	// Include the length of each part in the hash. Otherwise different parts could give
	// the same bytes.
	length := func(n int64) { _ = binary.Write(h, binary.BigEndian, n) } // This cannot fail.
	part := func(s string) {
		length(int64(len(s)))
		_, _ = io.WriteString(h, s) // This cannot fail.
	}
	part(python)
	for _, path := range slices.Sorted(maps.Keys(p)) {
		e := p[path]
		part(path)
		length(int64(e.Mode))
		part(e.Target)
		length(e.Size)
		if !e.Mode.IsRegular() {
			continue
		}
		if err := e.CopyTo(h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// addTo adds all entries of the plan to a tree. The tree must not contain any of these
// entries.
func (p plan) addTo(t *tree.Tree) error {
	for path, e := range p {
		if err := t.Add(path, e); err != nil {
			return err
		}
	}
	return nil
}

// The method "overlay" adds all entries of the plan to a tree. It replaces entries of the
// tree that have the same paths.
func (p plan) overlay(t *tree.Tree) error {
	// In this order, each directory comes before its entries.
	for _, path := range slices.Sorted(maps.Keys(p)) {
		if err := t.Put(path, p[path]); err != nil {
			return err
		}
	}
	return nil
}
