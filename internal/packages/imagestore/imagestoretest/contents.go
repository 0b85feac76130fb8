// Package imagestoretest checks the contents of packages; for tests.
package imagestoretest

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

// Check checks that all paths are below the package and different, and that the
// size is right.
func Check(t *testing.T, c *imagestore.Contents) {
	t.Helper()
	seen := map[string]bool{}
	var size int64
	for _, f := range c.Files {
		if !fs.ValidPath(f.Path) || path.Clean("/"+f.Path) != "/"+f.Path || seen[f.Path] || strings.ContainsAny(f.Path, "\\\x00\n") {
			t.Errorf("there is %q", f.Path)
		}
		seen[f.Path] = true
		size += imagestore.InBlocks(f.Size)
	}
	if size != c.Size || size > c.Room {
		t.Errorf("%d bytes are %d, in room for %d", size, c.Size, c.Room)
	}
}
