// Package imagestoretest provides a check of package contents for tests.
package imagestoretest

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

// Check checks that all paths are below the package and unique, and that the size
// is correct.
func Check(t *testing.T, c *imagestore.Contents) {
	t.Helper()
	seen := map[string]bool{}
	var size int64
	for _, f := range c.Files {
		if !fs.ValidPath(f.Path) || path.Clean("/"+f.Path) != "/"+f.Path || seen[f.Path] || strings.ContainsAny(f.Path, "\\\x00\n") {
			t.Errorf("the path %q", f.Path)
		}
		seen[f.Path] = true
		size += imagestore.InBlocks(f.Size)
	}
	if size != c.Size || size > c.Room {
		t.Errorf("the files take %d bytes, Size is %d, Room is %d", size, c.Size, c.Room)
	}
}
