package imagestore

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	goerofs "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// addPackage makes the image of a package. The parameter "files" maps paths to
// contents.
func addPackage(t *testing.T, s *Store, p *pyth.PinnedPackage, files map[string]string) Package {
	t.Helper()
	c := NewContents(1 << 20)
	for path, content := range files {
		if err := c.Add(path, tree.File(FileMode(path == "bin/run"), []byte(content))); err != nil {
			t.Fatal(err)
		}
	}
	key := ImageKey(p.Place)
	size, err := s.Image(t.Context(), key, 1<<20, func(to *os.File) error { return WriteImage(t.Context(), to, c.Tree) })
	if err != nil {
		t.Fatal(err)
	}
	p.SizeBytes = size
	return Package{PinnedPackage: p, Key: key}
}

func pinned(name, place string, requires ...string) *pyth.PinnedPackage {
	return &pyth.PinnedPackage{Package: pyth.Package{Name: name}, Place: place, Requires: requires}
}

func openLinks(t *testing.T, s *Store, layer pyth.LayerID) fs.FS {
	t.Helper()
	f, err := os.Open(s.linksPath(layer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	image, err := goerofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// links returns the links of a layer, and the SHA-256 hash of the image that contains
// these links.
func links(t *testing.T, s *Store, layer pyth.LayerID) (targets map[string]string, hash string) {
	t.Helper()
	b, err := os.ReadFile(s.linksPath(layer))
	if err != nil {
		t.Fatal(err)
	}
	image := openLinks(t, s, layer)
	targets = map[string]string{}
	err = fs.WalkDir(image, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		targets[name], err = fs.ReadLink(image, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return targets, fmt.Sprintf("%x", sha256.Sum256(b))
}

// TestLayerLinksPackages checks the links of a layer, and the hash of the image that
// contains these links. If you change the hash intentionally, also change the constant
// "recipe".
func TestLayerLinksPackages(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		runtime  pyth.Runtime
		packages []Package
		want     map[string]string
		hash     string
	}{
		{
			pyth.PythonRuntime,
			[]Package{
				addPackage(t, s, pinned("a", "a"), map[string]string{"shared/a.py": "a", "a/b/c.py": "c", "one.py": "1"}),
				addPackage(t, s, pinned("b", "b"), map[string]string{"shared/b.py": "b", "one.py": "2", "bin/run": "#!"}),
			},
			map[string]string{
				"a": ".store/0/a", "one.py": ".store/0/one.py", "bin": ".store/1/bin",
				"shared/a.py": "../.store/0/shared/a.py", "shared/b.py": "../.store/1/shared/b.py",
			},
			"066e2ea08cd4630853585182468245692b22d08a41546189216e18c940b926ff",
		},
		{
			pyth.NodeRuntime,
			[]Package{
				addPackage(t, s, pinned("@s/x", "node_modules/@s/x", "node_modules/y"), map[string]string{"package.json": "{}"}),
				addPackage(t, s, pinned("y", "node_modules/y"), map[string]string{"package.json": "{}", "lib/y.js": "y"}),
			},
			map[string]string{
				"@s/x": "../.store/0/node_modules/@s/x", "y": ".store/1/node_modules/y",
				".store/0/node_modules/y": "../../../.store/1/node_modules/y",
			},
			"325cd09d6d65f21293a02e133524ccef11741f7a7d27c0b9f27b62c4188aa4e0",
		},
	} {
		layer, err := s.Layer(t.Context(), c.runtime, c.packages)
		if err != nil {
			t.Fatal(err)
		}
		got, hash := links(t, s, layer)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.runtime, diff)
		}
		if hash != c.hash {
			t.Errorf("%s: the image of links has the hash %s", c.runtime, hash)
		}
	}
}

// TestLayerCopiesTheSmallestPackages makes a layer with more than maxMounts packages. The
// image with the links must contain a copy of the smallest package.
func TestLayerCopiesTheSmallestPackages(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var packages []Package
	for i := range maxMounts + 1 {
		content := make([]byte, 5000)
		if i == 3 {
			content = []byte("small")
		}
		name := fmt.Sprintf("p%03d", i)
		packages = append(packages, addPackage(t, s, pinned(name, name), map[string]string{name + ".py": string(content)}))
	}
	layer, err := s.Layer(t.Context(), pyth.PythonRuntime, packages)
	if err != nil {
		t.Fatal(err)
	}
	image := openLinks(t, s, layer)
	if b, err := fs.ReadFile(image, ".store/3/p003.py"); err != nil || string(b) != "small" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, hash := links(t, s, layer); hash != "65cb0bc016dd6566581952d6ff23312a09cb6d370d797b5e1cade9d39d62bcd8" {
		t.Errorf("the image of links has the hash %s", hash)
	}
}
