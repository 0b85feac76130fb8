package files

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// merge moves the content of a directory in the staging directory into a directory in the
// working directory. It keeps existing directories and replaces existing files. It first
// checks all paths. If there is a conflict, it moves nothing.
func (f *Files) merge(staged, to string) error {
	if to != "" {
		if err := f.makeAll(to); err != nil {
			return err
		}
	}
	for _, visit := range []func(string) func(*entry) (bool, error){f.checkMerge, f.mergeInto} {
		from, err := within(f.config.Staging, staged, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		if err := (&walker{depth: maxDepth + 1, visit: visit(to)}).walk(from, "", 0); err != nil {
			return err
		}
	}
	return nil
}

// checkMerge returns a function that checks an entry. The function returns an error if
// the new path is invalid, or if an entry of another type has this path. If a directory
// already exists at its new path, the function returns true, so that the walk continues
// with the entries in this directory.
func (f *Files) checkMerge(to string) func(*entry) (bool, error) {
	return func(e *entry) (descend bool, err error) {
		name := path.Join(to, e.full)
		if fault := workpath.Fault(name); fault != "" {
			return false, refuse(e.full, "the path %s", fault)
		}
		n, err := f.node(name)
		switch {
		case errors.Is(err, unix.ENOENT):
			return false, nil
		case err != nil:
			return false, err
		}
		isDirectory := n.Type == protocol.NodeDirectory
		switch {
		case e.kind() == unix.S_IFDIR && !isDirectory:
			return false, refuse(e.full, "is a directory, but the session has something else at this path")
		case e.kind() != unix.S_IFDIR && isDirectory:
			return false, refuse(e.full, "is a file, but the session has a directory at this path")
		}
		return isDirectory, nil
	}
}

// mergeInto returns a function that moves an entry to its new path. If the new path
// already exists, the function replaces a file. For a directory, it returns true, so that
// the walk continues with the entries in this directory.
func (f *Files) mergeInto(to string) func(*entry) (bool, error) {
	return func(e *entry) (descend bool, err error) {
		dir, base, err := f.parent(path.Join(to, e.full), false)
		if err != nil {
			return false, err
		}
		defer unix.Close(dir)
		err = unix.Renameat2(e.dir, e.base, dir, base, unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return false, err
		}
		if e.kind() == unix.S_IFDIR {
			return true, nil
		}
		return false, unix.Renameat2(e.dir, e.base, dir, base, 0)
	}
}
