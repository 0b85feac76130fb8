package imagestore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// Limits for one package. MaxFiles is the maximum number of files. MaxPath is the maximum
// length of a path in bytes. maxNameBytes is the maximum length of one name in a path, in
// bytes. maxDepth is the maximum number of names in a path.
const (
	MaxFiles = 50_000
	MaxPath  = 1024

	maxNameBytes = 255
	maxDepth     = 64
)

// Errors about archives. In a message to a user, each error follows the words "its
// archive".
var (
	ErrTooManyFiles = errors.New("has too many files")
	ErrTooLarge     = errors.New("exceeds the size limit of packages")
	ErrFileType     = errors.New("has a link, a device or another special file")
)

// Contents collects the files of a package and checks their limits. Paths are
// relative to the root of the package's image.
type Contents struct {
	Tree *tree.Tree
	// Size is the space in bytes that the files take in an image. Room is the maximum
	// value of Size.
	Size, Room int64
	files      int
}

// NewContents returns empty Contents. The parameter "room" is the maximum size of the
// files in bytes.
func NewContents(room int64) *Contents { return &Contents{Tree: tree.New(), Room: room} }

// Has reports whether there is a file at the path.
func (c *Contents) Has(path string) bool {
	e, err := c.Tree.Lstat(path)
	return err == nil && e.Mode.IsRegular()
}

// Add adds a file. The caller must have checked the path with CheckPath. Add returns an
// error if another file has the same path, or if the package exceeds a limit.
func (c *Contents) Add(path string, file tree.Entry) error {
	if c.files >= MaxFiles {
		return ErrTooManyFiles
	}
	if file.Size < 0 || file.Size > min(c.Room, tree.MaxFile) || InBlocks(file.Size) > c.Room-c.Size {
		return ErrTooLarge
	}
	switch err := c.Tree.Add(path, file); {
	case errors.Is(err, fs.ErrExist):
		return errors.New("has two files with the same path")
	case errors.Is(err, tree.ErrNotDirectory):
		return errors.New("has a file and a directory with the same path")
	case err != nil:
		return fmt.Errorf("has an invalid file: %w", err)
	}
	c.files++
	c.Size += InBlocks(file.Size)
	return nil
}

// FileMode returns the mode of a file in a package.
func FileMode(executable bool) fs.FileMode {
	if executable {
		return 0o755
	}
	return 0o644
}

// InBlocks returns the space that a file of the given size takes in an image. An empty
// file counts as one block. So the size limit also limits the number of files.
func InBlocks(size int64) int64 { return max(size+4095, 4096) &^ 4095 }

// CheckPath checks the path of a file in an archive. It returns an error if the path is
// absolute, is not clean, or exceeds a limit.
func CheckPath(name string) error {
	bad := func(why string) error { return fmt.Errorf("has a file whose path %s", why) }
	switch {
	case name == "" || len(name) > MaxPath:
		return bad("is empty or too long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return bad("has invalid characters")
	case path.IsAbs(name) || path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return bad("leads out of the package")
	case strings.Count(name, "/") >= maxDepth:
		return bad("is too deep")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxNameBytes {
			return bad("is too long")
		}
	}
	return nil
}
