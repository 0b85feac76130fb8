// Package imagestoretest provides a check of package contents for use in tests.
package imagestoretest

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// Check checks that all paths are below the root of the package. It also checks that the
// size is correct and not larger than Room.
func Check(t *testing.T, c *imagestore.Contents) {
	t.Helper()
	var size int64
	for name, file := range Files(t, c) {
		if !fs.ValidPath(name) || path.Clean("/"+name) != "/"+name || strings.ContainsAny(name, "\\\x00\n") {
			t.Errorf("the path %q is invalid", name)
		}
		size += imagestore.InBlocks(file.Size)
	}
	if size != c.Size || size > c.Room {
		t.Errorf("the files take %d bytes, Size is %d, Room is %d", size, c.Size, c.Room)
	}
}

// Files returns a map from the paths of the files to the files.
func Files(t testing.TB, c *imagestore.Contents) map[string]tree.Entry {
	t.Helper()
	files := map[string]tree.Entry{}
	err := c.Tree.Walk(func(name string, e tree.Entry) error {
		if e.Mode.IsRegular() {
			files[name] = e
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
