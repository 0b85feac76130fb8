package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// maxName is the longest name of an entry, in bytes.
	maxName = 255
	// maxTarget is the longest target of a symbolic link, in bytes.
	maxTarget = blockSize - 1
	// maxSubdirs is the largest number of directories in a directory. A compact
	// inode counts links in 16 bits, and every directory has two links to itself.
	maxSubdirs = math.MaxUint16 - 2
)

// Content describes the content of a regular file.
type Content struct {
	// Size is the size in bytes, below 4 GiB.
	Size int64
	// Open returns a reader of exactly Size bytes. Write calls it once.
	Open func() (io.ReadCloser, error)
}

// Bytes returns a Content with the bytes b.
func Bytes(b []byte) Content {
	return Content{Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// Tree is a file system under construction. Paths are as in io/fs: slashes
// between names, none at either end, "." for the root. Missing parents of an
// entry are added with mode 0755. Write returns the first error of all methods.
type Tree struct {
	root    *node
	modTime time.Time
	err     error
}

// node is a directory, a file or a symbolic link.
type node struct {
	mode     uint16
	children map[string]*node
	// made is true if Dir added the directory, and false if it was added as the
	// parent of an entry.
	made    bool
	content Content
	target  string

	// The position of the node in the image, set by layout.
	parent *node
	nid    uint64
	block  uint32
	size   uint32
	data   []byte
}

// NewTree returns an empty tree. modTime becomes the modification time of all
// entries, in whole seconds.
func NewTree(modTime time.Time) *Tree {
	return &Tree{root: newDir(), modTime: modTime}
}

func newDir() *node {
	return &node{mode: modeDir | 0o755, children: make(map[string]*node)}
}

// Dir adds a directory. If the directory was added as a parent, Dir sets its
// mode.
func (t *Tree) Dir(path string, mode fs.FileMode) {
	bits, err := permissions(mode)
	if err != nil {
		t.fail(path, err)
		return
	}
	dir := t.root
	if path != "." {
		parent, name := t.parent(path)
		if parent == nil {
			return
		}
		if dir = parent.children[name]; dir == nil {
			dir = newDir()
			parent.children[name] = dir
		}
	}
	if dir.made || dir.children == nil {
		t.fail(path, fs.ErrExist)
		return
	}
	dir.made, dir.mode = true, modeDir|bits
}

// File adds a regular file.
func (t *Tree) File(path string, mode fs.FileMode, content Content) {
	bits, err := permissions(mode)
	if err == nil && (content.Size < 0 || content.Size > math.MaxUint32) {
		err = errors.New("a file must be smaller than 4 GiB")
	}
	if err != nil {
		t.fail(path, err)
		return
	}
	t.add(path, &node{mode: modeFile | bits, content: content})
}

// Symlink adds a symbolic link.
func (t *Tree) Symlink(path, target string) {
	if target == "" || len(target) > maxTarget || strings.ContainsRune(target, 0) {
		t.fail(path, fmt.Errorf("the target of a link must have 1 to %d bytes, none of them zero", maxTarget))
		return
	}
	t.add(path, &node{mode: modeLink | 0o777, target: target})
}

func (t *Tree) add(path string, n *node) {
	parent, name := t.parent(path)
	switch {
	case parent == nil:
	case parent.children[name] != nil:
		t.fail(path, fs.ErrExist)
	default:
		parent.children[name] = n
	}
}

// parent returns the parent directory of the path and the last name in the path. It
// adds missing directories. After an error it returns a nil node.
func (t *Tree) parent(path string) (*node, string) {
	if !fs.ValidPath(path) || path == "." || strings.ContainsRune(path, 0) {
		t.fail(path, fs.ErrInvalid)
		return nil, ""
	}
	names := strings.Split(path, "/")
	dir := t.root
	for i, name := range names {
		if len(name) > maxName {
			t.fail(path, fmt.Errorf("a name must have at most %d bytes", maxName))
			return nil, ""
		}
		if i == len(names)-1 {
			return dir, name
		}
		next := dir.children[name]
		if next == nil {
			next = newDir()
			dir.children[name] = next
		}
		if next.children == nil {
			t.fail(path, fmt.Errorf("%s is not a directory", strings.Join(names[:i+1], "/")))
			return nil, ""
		}
		dir = next
	}
	return nil, "" // Unreachable: every path has a last name.
}

func (t *Tree) fail(path string, err error) {
	if t.err == nil {
		t.err = fmt.Errorf("erofs: add %q: %w", path, err)
	}
}

// permissions converts mode to the permission bits of the format. It returns an
// error for bits that raise privileges, since images are for untrusted programs.
func permissions(mode fs.FileMode) (uint16, error) {
	if mode&^(fs.ModePerm|fs.ModeSticky) != 0 {
		return 0, fmt.Errorf("mode %v has bits other than permissions and the sticky bit", mode)
	}
	bits := uint16(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= modeSticky
	}
	return bits, nil
}

// names returns the sorted names of a directory's children.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.children)) }
