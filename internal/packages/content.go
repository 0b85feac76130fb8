package packages

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Bounds of what is in one package.
const (
	maxFiles    = 50_000
	maxPath     = 1024
	maxNameByte = 255
	maxDepth    = 64
)

var (
	errFiles   = errors.New("has too many files")
	errContent = errors.New("takes more than there is room for")
	errSpecial = errors.New("has something other than a file in it: links and devices are not taken")
)

// content is a file of a package.
type content struct {
	// path is below where packages are, clean.
	path       string
	size       int64
	executable bool
	open       func() (io.ReadCloser, error)
}

// contents are the files of a package in the making.
type contents struct {
	files []content
	// size is what they take in an image, and room what they may.
	size, room int64
	// names are the paths that are taken: true for files.
	names map[string]bool
}

func newContents(room int64) *contents { return &contents{room: room, names: map[string]bool{}} }

// checkPath refuses a path in an archive that is not plainly one below it.
func checkPath(name string) error {
	bad := func(why string) error { return fmt.Errorf("has a file whose path %s", why) }
	switch {
	case name == "" || len(name) > maxPath:
		return bad("is empty or too long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return bad("has characters that no path should have")
	case path.IsAbs(name) || path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return bad("is not below the package")
	case strings.Count(name, "/") >= maxDepth:
		return bad("is too deep")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxNameByte {
			return bad("is too long")
		}
	}
	return nil
}

// add adds a file whose path in the archive has been checked.
func (c *contents) add(f content) error {
	if len(c.files) >= maxFiles {
		return errFiles
	}
	if f.size < 0 || f.size > c.room || inBlocks(f.size) > c.room-c.size {
		return errContent
	}
	if _, taken := c.names[f.path]; taken {
		return errors.New("has two files in one place")
	}
	for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
		if file, known := c.names[dir]; file {
			return errors.New("has a file where a directory is")
		} else if known {
			break
		}
		c.names[dir] = false
	}
	c.names[f.path] = true
	c.size += inBlocks(f.size)
	c.files = append(c.files, f)
	return nil
}

// inBlocks is what a file takes: an empty one takes room as well.
func inBlocks(size int64) int64 { return max(size+4095, 4096) &^ 4095 }

// faulty is the error for the caller about an archive that will not do.
func faulty(name, version string, err error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnsatisfiable,
		Message: fmt.Sprintf("%s %s cannot be installed: its archive %v.", name, version, err),
		Err:     err,
	}
}
