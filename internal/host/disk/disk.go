// Package disk determines how much space a file system has, and whether it accepts
// writes. It also changes directories in such a way that the change survives a crash.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

// Space describes the space of a file system.
type Space struct {
	// FreeBytes is the free space. It does not include blocks that are reserved for root.
	// TotalBytes is the size of the file system.
	FreeBytes, TotalBytes int64
	// ReadOnly is true if the file system is mounted read-only.
	ReadOnly bool
}

// SpaceOf returns the space of the file system that contains the path. The call takes
// about a microsecond, because it needs only one system call.
func SpaceOf(path string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Space{}, fmt.Errorf("statfs %s: %w", path, err)
	}
	return Space{
		FreeBytes: int64(st.Bavail) * st.Bsize, TotalBytes: int64(st.Blocks) * st.Bsize,
		ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}, nil
}

// NoRoomError means that a file system has too little free space.
type NoRoomError struct {
	Dir                    string
	NeededBytes, FreeBytes int64
	// The field For says what needs the space, for example an operation or a file. The
	// text of the error begins with this field.
	For string
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%s needs %s of disk space in %s, but only %s are free; free some space, or choose another directory",
		e.For, humanize.IBytes(uint64(e.NeededBytes)), e.Dir, humanize.IBytes(uint64(max(e.FreeBytes, 0))))
}

// Need returns a NoRoomError if the free space in the file system of dir is less than the
// given number of bytes. It also works if dir does not exist yet. If Need cannot
// determine the free space, it returns nil.
func Need(dir string, bytes int64, purpose string) error {
	space, err := SpaceOf(dir)
	for at := dir; errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at; {
		at = filepath.Dir(at)
		space, err = SpaceOf(at)
	}
	if err != nil || space.FreeBytes >= bytes {
		return nil
	}
	return &NoRoomError{Dir: dir, NeededBytes: bytes, FreeBytes: space.FreeBytes, For: purpose}
}
