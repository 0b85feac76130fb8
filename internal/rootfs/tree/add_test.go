package tree_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

type addition struct {
	path  string
	entry tree.Entry
}

func TestAddRefusesInvalidEntries(t *testing.T) {
	t.Parallel()
	text := func(path string, mode fs.FileMode) addition { return addition{path, tree.File(mode, nil)} }
	directory := func(path string, mode fs.FileMode) addition { return addition{path, tree.Dir(mode)} }
	symlink := func(path, target string) addition { return addition{path, tree.Link(target)} }
	long := strings.Repeat("n", 256)
	for name, additions := range map[string][]addition{
		"a file twice":                      {text("a", 0o644), text("a", 0o644)},
		"a link twice":                      {symlink("a", "b"), symlink("a", "b")},
		"a directory twice":                 {directory("a", 0o755), directory("a", 0o755)},
		"the root twice":                    {directory(".", 0o755), directory(".", 0o755)},
		"a directory where a file is":       {text("a", 0o644), directory("a", 0o755)},
		"a file where a directory is":       {directory("a", 0o755), text("a", 0o644)},
		"a file where a parent is":          {text("a/b", 0o644), text("a", 0o644)},
		"a file below a file":               {text("a", 0o644), text("a/b", 0o644)},
		"a file below a link":               {symlink("a", "b"), text("a/b", 0o644)},
		"a setuid file":                     {text("a", 0o755|fs.ModeSetuid)},
		"a setgid directory":                {directory("a", 0o755|fs.ModeSetgid)},
		"a device":                          {text("a", 0o644|fs.ModeDevice)},
		"absolute path":                     {text("/a", 0o644)},
		"path with ..":                      {text("a/../b", 0o644)},
		"a file as the root":                {text(".", 0o644)},
		"an empty path":                     {text("", 0o644)},
		"a zero byte in a name":             {text("a\x00b", 0o644)},
		"a name of 256 bytes":               {text(long, 0o644)},
		"a directory with such a name":      {text(long+"/a", 0o644)},
		"a link to nothing":                 {symlink("a", "")},
		"a link with a zero byte":           {symlink("a", "b\x00")},
		"a link with a target of one block": {symlink("a", strings.Repeat("t", 4096))},
		"a negative size":                   {{"a", tree.Entry{Mode: 0o644, Size: -1}}},
		"a file of 4 GiB":                   {{"a", tree.Entry{Mode: 0o644, Size: 1 << 32}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree.New()
			for i, a := range additions {
				err := files.Add(a.path, a.entry)
				if last := i == len(additions)-1; last != (err != nil) {
					t.Errorf("addition %d: error %v", i, err)
				}
			}
		})
	}
}

func TestAddSetsTheModeOfParents(t *testing.T) {
	t.Parallel()
	files := tree.New()
	err := errors.Join(
		files.Add("a/b/c", tree.File(0o600, []byte("c"))),
		files.Add("a", tree.Dir(0o700)),
		files.Add(".", tree.Dir(0o711)),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "/", "a/b": "/", "a/b/c": "c"}
	if diff := cmp.Diff(want, listing(t, files)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for path, mode := range map[string]fs.FileMode{"a": fs.ModeDir | 0o700, "a/b": fs.ModeDir | 0o755, ".": fs.ModeDir | 0o711} {
		if e, err := files.Lstat(path); err != nil || e.Mode != mode {
			t.Errorf("%s has mode %v, %v", path, e.Mode, err)
		}
	}
}

func TestSpoolNeedsASpooledTree(t *testing.T) {
	t.Parallel()
	files := tree.New()
	if err := files.Spool("a", 0o644, strings.NewReader("a")); err == nil {
		t.Error("no error")
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
}
