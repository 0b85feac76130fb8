package imagestore

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// Limits of the files of one package, and of their paths in bytes.
const (
	MaxFiles = 50_000
	MaxPath  = 1024

	maxNameBytes = 255
	maxDepth     = 64
)

// Errors about archives. Messages to users put "its archive" before them.
var (
	ErrTooManyFiles = errors.New("has too many files")
	ErrTooLarge     = errors.New("exceeds the size limit of packages")
	ErrFileType     = errors.New("has a link, a device or another special file")
)

// File is a file of a package.
type File struct {
	// Path is clean and relative to the root of the package's image.
	Path       string
	Size       int64
	Executable bool
	Open       func() (io.ReadCloser, error)
}

// Contents collects the files of a package and checks their limits.
type Contents struct {
	Files []File
	// Size is the space that the files take in an image. Room is the maximum of
	// Size. Both are in bytes.
	Size, Room int64
	// names maps each used path to true for a file, or false for a directory.
	names map[string]bool
}

// NewContents returns empty Contents. room is the maximum size in bytes.
func NewContents(room int64) *Contents { return &Contents{Room: room, names: map[string]bool{}} }

// Has reports whether there is a file at the path.
func (c *Contents) Has(path string) bool { return c.names[path] }

// Add adds a file. The caller must have checked the path with CheckPath. Add returns
// an error if the path is already used or if a limit is exceeded.
func (c *Contents) Add(f File) error {
	if len(c.Files) >= MaxFiles {
		return ErrTooManyFiles
	}
	if f.Size < 0 || f.Size > c.Room || InBlocks(f.Size) > c.Room-c.Size {
		return ErrTooLarge
	}
	if _, taken := c.names[f.Path]; taken {
		return errors.New("has two files with the same path")
	}
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		if file, known := c.names[dir]; file {
			return errors.New("has a file and a directory with the same path")
		} else if known {
			break
		}
		c.names[dir] = false
	}
	c.names[f.Path] = true
	c.Size += InBlocks(f.Size)
	c.Files = append(c.Files, f)
	return nil
}

// InBlocks returns the space that a file of the given size takes in an image. An
// empty file counts as one block, so that the size limit also limits the number of
// files.
func InBlocks(size int64) int64 { return max(size+4095, 4096) &^ 4095 }

// CheckPath returns an error if the path of a file in an archive is not relative and
// clean, or exceeds a limit.
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
