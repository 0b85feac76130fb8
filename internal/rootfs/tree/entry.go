package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

const (
	// MaxFile is the maximum size of one file in bytes. The limit exists because EROFS
	// stores the size in 32 bits.
	MaxFile = 4<<30 - 1
	// maxTarget is Linux's PATH_MAX in bytes, without the NUL at the end.
	maxTarget = 4095
)

// Entry is a directory, a file or a symbolic link.
type Entry struct {
	// Mode contains the type, the permissions and the sticky bit of the entry.
	Mode fs.FileMode
	// Target is the target of a link.
	Target string
	// Size is the size of a file in bytes.
	Size int64
	// Open opens the content of a file. The content has exactly Size bytes.
	Open func() (io.ReadCloser, error)
}

// Dir returns a directory.
func Dir(mode fs.FileMode) Entry { return Entry{Mode: fs.ModeDir | mode} }

// Link returns a symbolic link.
func Link(target string) Entry { return Entry{Mode: fs.ModeSymlink | fs.ModePerm, Target: target} }

// File returns a file whose content is in memory.
func File(mode fs.FileMode, content []byte) Entry {
	return Entry{
		Mode: mode, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// CopyTo writes the content of a file to w. It returns an error if the size of the
// content is not equal to Size.
func (e Entry) CopyTo(w io.Writer) error {
	r, err := e.Open()
	if err != nil {
		return err
	}
	// Read one additional byte, to detect whether the file has grown.
	size, err := io.Copy(w, io.LimitReader(r, e.Size+1))
	if err == nil && size != e.Size {
		err = fmt.Errorf("files: a file has %d bytes instead of %d", size, e.Size)
	}
	return errors.Join(err, r.Close())
}

// check returns an error if a tree must not contain the entry. It refuses mode bits that
// raise privileges, because trees are for untrusted programs.
func (e Entry) check() error {
	if e.Mode&^(fs.ModeType|acceptedBits) != 0 {
		return fmt.Errorf("mode %v has bits other than permissions and the sticky bit", e.Mode)
	}
	switch e.Mode.Type() {
	case fs.ModeDir:
	case fs.ModeSymlink:
		if e.Target == "" || len(e.Target) > maxTarget || strings.ContainsRune(e.Target, 0) {
			return fmt.Errorf("a link's target must have 1 to %d bytes, none of them zero", maxTarget)
		}
	case 0:
		if e.Size < 0 || e.Size > MaxFile {
			return errors.New("a file must be smaller than 4 GiB")
		}
	default:
		return fmt.Errorf("mode %v is neither a directory nor a file nor a symbolic link", e.Mode)
	}
	return nil
}

// acceptedBits are the bits of a mode that a tree keeps: the permissions and the
// sticky bit.
const acceptedBits = fs.ModePerm | fs.ModeSticky
