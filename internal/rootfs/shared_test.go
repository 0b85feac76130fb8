package rootfs_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"testing"

	goerofs "github.com/erofs/go-erofs"
	"golang.org/x/sync/errgroup"

	"github.com/pyth-on/pyth-on/internal/rootfs"
)

// sharedDir contains an image that all tests share, because a build takes seconds. Tests
// must not change this image.
var sharedDir string

func TestMain(m *testing.M) {
	var err error
	if sharedDir, err = os.MkdirTemp("", "rootfs-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(sharedDir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// built is the result of one build. In this test, several builds run at the same time for
// the same image.
type built struct {
	image *rootfs.Image
	// The field "steps" contains the steps that this build reported as finished.
	steps []string
}

var buildShared = sync.OnceValues(func() ([]built, error) {
	all := make([]built, 3)
	var group errgroup.Group
	for i := range all {
		group.Go(func() (err error) {
			all[i].image, err = rootfs.Build(context.Background(), sharedDir, rootfs.Options{
				Progress: func(step string, done, total int) {
					if done == total {
						all[i].steps = append(all[i].steps, step)
					}
				},
			})
			return err
		})
	}
	return all, group.Wait()
})

func shared(t *testing.T) *rootfs.Image {
	t.Helper()
	all, err := buildShared()
	if err != nil {
		t.Fatal(err)
	}
	return all[0].image
}

func open(t *testing.T) fs.FS {
	t.Helper()
	f, err := os.Open(shared(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fsys, err := goerofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

func read(t *testing.T, fsys fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The function "walk" calls the function "visit" for each entry of the image.
func walk(t *testing.T, fsys fs.FS, visit func(name string, stat *goerofs.Stat)) {
	t.Helper()
	err := fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := fs.Lstat(fsys, name)
		if err != nil {
			return err
		}
		visit(name, info.Sys().(*goerofs.Stat))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// resolve returns the path without symbolic links. It resolves the links in the same way
// as a process in the sandbox.
func resolve(fsys fs.FS, name string) (string, error) {
	done, left := ".", strings.Split(name, "/")
	for range 1000 {
		if len(left) == 0 {
			return done, nil
		}
		next := path.Join(done, left[0])
		left = left[1:]
		info, err := fs.Lstat(fsys, next)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = next
			continue
		}
		target, err := fs.ReadLink(fsys, next)
		if err != nil {
			return "", err
		}
		if rest, absolute := strings.CutPrefix(target, "/"); absolute {
			done, target = ".", rest
		}
		if strings.HasPrefix(path.Join(done, target), "..") {
			return "", fmt.Errorf("%s leads outside the image", next)
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return "", fmt.Errorf("%s: too many links", name)
}
