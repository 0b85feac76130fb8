// Package tree represents a file tree. The tree is the root file system of a sandbox, or
// it contains the files of packages. Sources of a tree are the layers of an image, Debian
// packages, a directory, or single entries. Package erofs writes trees as images.
//
// Archives and directories are not trusted. The package resolves paths and links within
// the tree, never on this machine. It omits devices, sockets, pipes and mode bits that
// raise privileges.
//
// The tree does not hold the content of files in memory. It copies files of archives to a
// temporary file, the spool. It reads files of directories when their content is needed.
package tree

import (
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
	// maxEntries limits the memory that a tree needs. The image of a whole distribution
	// has several hundred thousand entries.
	maxEntries = 2_000_000
	// maxLinks is the maximum number of links that the tree follows for one path. Linux
	// has the same limit (path_resolution(7)).
	maxLinks = 40
	// maxName is Linux's NAME_MAX, in bytes.
	maxName = 255
	// maxSpool is the maximum size in bytes of all files in a spool. Without this
	// limit, a small archive could unpack to a very large tree.
	maxSpool = 64 << 30
)

// ErrNotDirectory means that a part of a path, other than the last part, is a file.
var ErrNotDirectory = errors.New("there is a file where a directory should be")

// node is an entry. If the entry is a directory, the node also contains its children.
// Hard links of one file have equal entries.
type node struct {
	Entry
	children map[string]*node
	// The field "layer" is the number of the image layer (or other archive) that
	// contained the entry.
	layer int
	// The field "implicit" is true for a directory that exists only because it is the
	// parent of an entry.
	implicit bool
}

// Tree is a tree of files. Paths have the format of io/fs, or begin with a slash. Only
// one goroutine at a time may use a Tree.
type Tree struct {
	root    *node
	entries int
	layer   int
	// The field "spool" is the temporary file with the content of archives. It is nil if
	// the tree has no spool.
	spool   *os.File
	spooled int64
}

// New returns an empty tree without a spool. The caller does not have to close this tree.
func New() *Tree {
	t := new(Tree)
	t.root = t.newParent()
	return t
}

// NewSpooled returns an empty tree for archives. It copies the content of their
// files to an unnamed temporary file in dir. Close frees this file.
func NewSpooled(dir string) (*Tree, error) {
	spool, err := os.CreateTemp(dir, ".spool-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(spool.Name()); err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	t := New()
	t.spool = spool
	return t, nil
}

// Close frees the spool. The caller must not use the tree after this call.
func (t *Tree) Close() error {
	if t.spool == nil {
		return nil
	}
	return t.spool.Close()
}

// Put adds an entry or replaces the entry at the path. It follows links in the path and
// creates missing parents. If a directory replaces a directory, the new directory keeps
// the entries of the old directory. Put ignores all mode bits except permissions and the
// sticky bit.
func (t *Tree) Put(path string, e Entry) error {
	e.Mode &= fs.ModeType | acceptedBits
	return t.put(path, func() (Entry, error) { return e, nil })
}

// Dir adds or replaces a directory.
func (t *Tree) Dir(path string, mode fs.FileMode) error { return t.Put(path, Dir(mode&acceptedBits)) }

// Link adds or replaces a symbolic link.
func (t *Tree) Link(path, target string) error { return t.Put(path, Link(target)) }

// File adds or replaces a file.
func (t *Tree) File(path string, mode fs.FileMode, content []byte) error {
	return t.Put(path, File(mode&acceptedBits, content))
}

// Spool adds or replaces a file. It copies the content from the reader to the spool.
func (t *Tree) Spool(path string, mode fs.FileMode, content io.Reader) error {
	return t.put(path, func() (Entry, error) {
		at := t.spooled
		size, err := io.Copy(io.NewOffsetWriter(t.spool, at), io.LimitReader(content, MaxFile+1))
		if t.spooled += size; err == nil && (size > MaxFile || t.spooled > maxSpool) {
			err = fmt.Errorf("it is too large: the limit is %d bytes for a file and %d bytes for all files", int64(MaxFile), int64(maxSpool))
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(t.spool, at, size)), nil }
		return Entry{Mode: mode & acceptedBits, Size: size, Open: open}, err
	})
}

// The method "put" adds the entry that the function "read" returns. It calls this
// function only if the path is valid.
func (t *Tree) put(path string, read func() (Entry, error)) error {
	parent, name, err := t.parent(path)
	if err != nil {
		return err
	}
	e, err := read()
	if err == nil {
		err = e.check()
	}
	if err == nil {
		err = t.replace(parent, name, e)
	}
	if err != nil {
		return fmt.Errorf("files: %q: %w", path, err)
	}
	return nil
}

// replace puts the entry e into the directory "parent". It replaces an entry with the
// same name. If both entries are directories, the files in the directory stay. For the
// root of the tree, the parameter "parent" is nil.
func (t *Tree) replace(parent *node, name string, e Entry) error {
	n := t.newNode(e)
	have := t.root
	if parent != nil {
		have = parent.children[name]
	}
	if have != nil && have.children != nil && n.children != nil {
		n.children = have.children
	}
	switch {
	case parent == nil && n.children == nil:
		return errors.New("the root is a directory")
	case parent == nil:
		t.root = n
	default:
		parent.children[name] = n
	}
	if have == nil {
		return t.count()
	}
	return nil
}

// The method "parent" returns the directory that contains the path, and the last name of
// the path. It creates missing directories. For the root, it returns a nil node.
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

// split returns the names in the path. It returns an error if the path contains
// "..".
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

// walk starts at the root and follows the names and all links. It returns the node at the
// end. If the parameter "making" is true, it creates missing directories.
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
			return nil, ErrNotDirectory
		}
		next := at.children[name]
		switch {
		case next == nil && !making:
			return nil, fs.ErrNotExist
		case next == nil:
			next = t.newParent()
			at.children[name] = next
			if err := t.count(); err != nil {
				return nil, err
			}
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
		return nil, ErrNotDirectory
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

// Lstat returns the entry at the path. If the last name of the path is a link, Lstat
// returns the link itself.
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

// Names returns the sorted names in the directory at the path. If there is no directory
// at this path, Names returns nil.
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

// Walk calls the function "visit" for all entries below the root. It visits a directory
// before the entries of the directory. The entries of a directory are sorted by name. The
// function "visit" may add and remove entries below its path. Walk also visits the added
// entries.
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
