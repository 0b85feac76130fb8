package rootfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	embedded "github.com/kluctl/go-embed-python/pip"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

// pipDir is the name of pip's directory in the directory of the unpacked Python.
const pipDir = "pip"

// unpackPip unpacks the embedded pip into a subdirectory of dir. It does not use
// site-packages. So programs cannot import pip. Only the resolver of Python packages runs
// pip, by its path.
func unpackPip(dir string) (err error) {
	lib, err := embedded.NewPipLib("pyth-on-" + rand.Text())
	if err != nil {
		return fmt.Errorf("rootfs: unpack pip: %w", err)
	}
	lock := lib.GetExtractedPath() + ".lock"
	defer func() { err = errors.Join(err, lib.Cleanup(), os.Remove(lock)) }()
	return os.CopyFS(filepath.Join(dir, pipDir), os.DirFS(lib.GetExtractedPath()))
}

// compilePip compiles pip. The compiled files contain the path that pip has in the image.
func compilePip(ctx context.Context, dir string) error {
	at := filepath.Join(dir, pipDir)
	return compileAll(ctx, dir, at, guest.PipPath, at)
}

// addPip adds pip to the tree, but without pip's scripts.
func addPip(t *tree.Tree, dir string) error {
	at := filepath.Join(dir, pipDir)
	return filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(at, name)
		if err != nil || strings.HasPrefix(relative, "bin"+string(filepath.Separator)) || !d.Type().IsRegular() {
			return err
		}
		return addFile(t, path.Join(inImage(guest.PipPath), filepath.ToSlash(relative)), name)
	})
}
