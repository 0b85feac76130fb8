// Package tree builds a root file system from the layers of an image, from
// packages or from a directory.
//
// Its input is untrusted. Paths and links are resolved within the tree and never
// on this machine. Devices, sockets, pipes and mode bits that raise privileges
// are left out. The content of files is in a temporary file (the spool), not in
// memory.
package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	// maxEntries limits the memory of a tree. The image of a whole distribution has some
	// hundred thousand entries.
	maxEntries = 2_000_000
	// maxLinks limits the links in one path, as Linux does (path_resolution(7)).
	maxLinks = 40
	// maxName and maxTarget are Linux's NAME_MAX and PATH_MAX, in bytes.
	maxName   = 255
	maxTarget = 4095
	// maxFile is the size limit of one file (package erofs), and maxSpool that of
	// all files, in bytes. Without maxSpool a small archive could unpack to a
	// very large tree.
	maxFile  = 4<<30 - 1
	maxSpool = 64 << 30
)

// Entry is a directory, a file or a symbolic link.
type Entry struct {
	// Mode contains the type, the permissions and the sticky bit.
	Mode fs.FileMode
	// Target is the target of a link.
	Target string
	// Size is the size of a file in bytes.
	Size int64
	// Open returns a reader of the content of a file.
	Open func() (io.ReadCloser, error)
}

// node is an entry with its children. Hard links of one file share its content.
type node struct {
	Entry
	children map[string]*node
	// layer is the number of the layer that contains the entry.
	layer int
}

// Tree is a root file system. Paths are as in io/fs, or begin with a slash. Only one
// goroutine may use it.
type Tree struct {
	root    *node
	entries int
	layer   int
	spool   *os.File
	spooled int64
}

// New returns an empty tree. It stores the content of files in a temporary file in
// dir that has no name. Close frees this file.
func New(dir string) (*Tree, error) {
	spool, err := os.CreateTemp(dir, ".spool-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(spool.Name()); err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	return &Tree{root: newDir(), spool: spool}, nil
}

// Close frees the content of files. The tree is unusable afterwards.
func (t *Tree) Close() error { return t.spool.Close() }

func newDir() *node {
	return &node{Entry: Entry{Mode: fs.ModeDir | 0o755}, children: make(map[string]*node)}
}

// Dir adds a directory, or sets the mode of an existing one. It replaces any other
// entry at the path.
func (t *Tree) Dir(path string, mode fs.FileMode) error {
	return t.put(path, func(have *node) (*node, error) {
		n := newDir()
		if have != nil && have.children != nil {
			n.children = have.children
		}
		n.Mode = fs.ModeDir | allowed(mode)
		return n, nil
	})
}

// Link adds a symbolic link. It replaces an entry at the path.
func (t *Tree) Link(path, target string) error {
	if target == "" || len(target) > maxTarget || strings.ContainsRune(target, 0) {
		return fmt.Errorf("files: %q: a link's target must have 1 to %d bytes, none of them zero", path, maxTarget)
	}
	return t.put(path, func(*node) (*node, error) {
		return &node{Entry: Entry{Mode: fs.ModeSymlink | fs.ModePerm, Target: target}}, nil
	})
}

// File adds a file. It replaces an entry at the path.
func (t *Tree) File(path string, mode fs.FileMode, content []byte) error {
	return t.put(path, func(*node) (*node, error) {
		return &node{Entry: Entry{
			Mode: allowed(mode), Size: int64(len(content)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		}}, nil
	})
}

// Spool adds a file and copies its content from the reader to the temporary file. It
// replaces an entry at the path.
func (t *Tree) Spool(path string, mode fs.FileMode, content io.Reader) error {
	return t.put(path, func(*node) (*node, error) {
		at := t.spooled
		size, err := io.Copy(io.NewOffsetWriter(t.spool, at), io.LimitReader(content, maxFile+1))
		if t.spooled += size; err == nil && (size > maxFile || t.spooled > maxSpool) {
			err = fmt.Errorf("it is too large: the limit is %d bytes for a file and %d bytes for all files", int64(maxFile), int64(maxSpool))
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(t.spool, at, size)), nil }
		return &node{Entry: Entry{Mode: allowed(mode), Size: size, Open: open}}, err
	})
}

// allowed returns the permission bits and the sticky bit of a mode.
func allowed(mode fs.FileMode) fs.FileMode { return mode & (fs.ModePerm | fs.ModeSticky) }

// put replaces the entry at the path with the result of change. change gets the
// existing entry, or nil.
func (t *Tree) put(path string, change func(have *node) (*node, error)) error {
	parent, name, err := t.parent(path)
	if err != nil {
		return err
	}
	have := t.root
	if parent != nil {
		have = parent.children[name]
	}
	n, err := change(have)
	if err != nil {
		return fmt.Errorf("files: %q: %w", path, err)
	}
	n.layer = t.layer
	switch {
	case parent != nil:
		if have == nil {
			t.entries++
		}
		parent.children[name] = n
	case n.children != nil:
		t.root = n
	default:
		return fmt.Errorf("files: %q: the root is a directory", path)
	}
	if t.entries > maxEntries {
		return fmt.Errorf("files: there are more than %d entries", maxEntries)
	}
	return nil
}

// parent returns the parent directory of the path and the last name in the path. It
// creates missing directories. For the root it returns a nil node.
func (t *Tree) parent(path string) (*node, string, error) {
	names, err := split(path)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	last := names[len(names)-1]
	dir, err := t.walk(names[:len(names)-1], true)
	if err != nil {
		return nil, "", fmt.Errorf("files: %q: %w", path, err)
	}
	return dir, last, nil
}

// split returns the names in the path. It returns an error if one of them is "..".
func split(path string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case name == "" || name == ".":
		case name == ".." || len(name) > maxName || strings.ContainsRune(name, 0):
			return nil, fmt.Errorf("files: %q is not a path within a file system", path)
		default:
			names = append(names, name)
		}
	}
	return names, nil
}

// walk returns the node at the path and follows links. If making is true, it
// makes missing directories.
func (t *Tree) walk(names []string, making bool) (*node, error) {
	way := []*node{t.root}
	left := slices.Clone(names)
	for links := 0; len(left) > 0; {
		name, at := left[0], way[len(way)-1]
		left = left[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			way = way[:max(len(way)-1, 1)]
			continue
		}
		if at.children == nil {
			return nil, errors.New("there is a file where a directory should be")
		}
		next := at.children[name]
		switch {
		case next == nil && !making:
			return nil, fs.ErrNotExist
		case next == nil:
			next = newDir()
			next.layer = t.layer
			at.children[name] = next
			t.entries++
		case next.Mode.Type() == fs.ModeSymlink:
			if links++; links > maxLinks {
				return nil, errors.New("there are too many links")
			}
			if strings.HasPrefix(next.Target, "/") {
				way = way[:1]
			}
			left = append(strings.Split(next.Target, "/"), left...)
			continue
		}
		way = append(way, next)
	}
	at := way[len(way)-1]
	if making && at.children == nil {
		return nil, errors.New("there is a file where a directory should be")
	}
	return at, nil
}

// Remove removes the entry at the path, if it exists, and all entries below it.
func (t *Tree) Remove(path string) error {
	names, err := split(path)
	if err != nil || len(names) == 0 {
		return err
	}
	last := len(names) - 1
	if parent, err := t.walk(names[:last], false); err == nil && parent.children != nil {
		delete(parent.children, names[last])
	}
	return nil
}

// Stat returns the entry at the path. It follows links.
func (t *Tree) Stat(path string) (Entry, error) {
	names, err := split(path)
	if err != nil {
		return Entry{}, err
	}
	n, err := t.walk(names, false)
	if err != nil {
		return Entry{}, fmt.Errorf("files: %q: %w", path, err)
	}
	return n.Entry, nil
}

// Lstat returns the entry at the path. It does not follow a link at the end.
func (t *Tree) Lstat(path string) (Entry, error) {
	names, err := split(path)
	if err != nil || len(names) == 0 {
		return t.root.Entry, err
	}
	last := len(names) - 1
	parent, err := t.walk(names[:last], false)
	if err == nil && parent.children[names[last]] == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Entry{}, fmt.Errorf("files: %q: %w", path, err)
	}
	return parent.children[names[last]].Entry, nil
}

// Names returns the sorted names in the directory at the path; nil if it is not a
// directory.
func (t *Tree) Names(path string) []string {
	names, err := split(path)
	if err != nil {
		return nil
	}
	n, err := t.walk(names, false)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.children))
}

// Walk calls visit for all entries below the root, sorted by name, parents first.
// visit may add and remove entries below its path. Walk visits the added ones.
func (t *Tree) Walk(visit func(path string, e Entry) error) error { return walk(t.root, "", visit) }

func walk(n *node, path string, visit func(string, Entry) error) error {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		if err := visit(path+name, child.Entry); err != nil {
			return err
		}
		if err := walk(child, path+name+"/", visit); err != nil {
			return err
		}
	}
	return nil
}
