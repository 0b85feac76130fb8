package tree

import (
	"fmt"
	"io/fs"
	"strings"
)

// Add adds an entry at a new path. Unlike Put, it does not follow links, does not replace
// entries, and refuses invalid modes. The path has the format of io/fs. Missing parents
// get the mode 0755. If the path is a directory that Add made as a missing parent, Add
// only sets its mode.
func (t *Tree) Add(path string, e Entry) error {
	err := e.check()
	if err == nil {
		err = t.insert(path, e)
	}
	if err != nil {
		return fmt.Errorf("files: add %q: %w", path, err)
	}
	return nil
}

func (t *Tree) insert(path string, e Entry) error {
	if !fs.ValidPath(path) || strings.ContainsRune(path, 0) {
		return fs.ErrInvalid
	}
	names, err := split(path)
	if err != nil {
		return err
	}
	at := t.root
	for i, name := range names {
		if at.children == nil {
			return fmt.Errorf("%s: %w", strings.Join(names[:i], "/"), ErrNotDirectory)
		}
		next := at.children[name]
		if next != nil {
			at = next
			continue
		}
		if i == len(names)-1 {
			at.children[name] = t.newNode(e)
			return t.count()
		}
		next = t.newParent()
		at.children[name] = next
		if err := t.count(); err != nil {
			return err
		}
		at = next
	}
	if !at.implicit || !e.Mode.IsDir() {
		return fs.ErrExist
	}
	at.Entry, at.implicit = e, false
	return nil
}

// newNode returns a node that belongs to the current layer.
func (t *Tree) newNode(e Entry) *node {
	n := &node{Entry: e, layer: t.layer}
	if e.Mode.IsDir() {
		n.children = make(map[string]*node)
	}
	return n
}

// newParent returns a directory that exists only because it is the parent of an entry.
func (t *Tree) newParent() *node {
	n := t.newNode(Dir(0o755))
	n.implicit = true
	return n
}

// count adds 1 to the number of entries. It returns an error if there are too many
// entries.
func (t *Tree) count() error {
	if t.entries++; t.entries > maxEntries {
		return fmt.Errorf("there are more than %d entries", maxEntries)
	}
	return nil
}
